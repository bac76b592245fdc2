"""What the hub owes and has not done yet, in numbers, for those who watch it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one Endpoint is owed. endpoint: its rid, 0: the inboxes. oldest: when it was planned."""

    endpoint: int
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """change, timer: since when the oldest waits to be relayed, or fired; None without one.
    alone: how many endpoints are left alone."""

    change: datetime | None
    timer: datetime | None
    dead: int
    alone: int
    waiting: tuple[Waiting, ...]


async def backlog(conn: Connection, now: datetime) -> Backlog:
    row = await conn.fetchrow(
        "select (select min(at) from change where relayed_at is null and episode is not null),"
        " (select min(due_at) from timer where fired_at is null and stood_at is null and due_at <= $1),"
        " (select count(*) from delivery where state = 'dead'),"
        " (select count(*) from circuit where state in ('open', 'probing'))",
        now,
    )
    assert row is not None
    waiting = await conn.fetch(
        "select endpoint, count(*), min(created_at) from delivery"
        " where state in ('queued', 'leased', 'parked') group by endpoint order by endpoint"
    )
    change, timer, dead, alone = row
    return Backlog(change, timer, dead, alone, tuple(Waiting(*one) for one in waiting))
