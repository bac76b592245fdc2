"""What the hub owes and has not done yet, in numbers, for those who watch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.store.engine import Connection

MOST: Final = 50
"""How many Endpoints are told apart, those first that have waited longest: monitoring keeps each for ever."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one Endpoint is owed. endpoint: its rid, 0: the inboxes; None: all that are not among MOST.

    oldest: when it was planned. due: since when the one that is due longest is; None: none is due.
    """

    endpoint: int | None
    count: int
    oldest: datetime
    due: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """change, timer: since when the oldest waits to be relayed, or fired; None without one.

    late: how many timers are due. circuits: by state. errands: open ones by kind.
    """

    change: datetime | None
    timer: datetime | None
    late: int
    dead: int
    paused: bool
    circuits: Mapping[str, int]
    errands: Mapping[str, int]
    waiting: tuple[Waiting, ...]


async def backlog(conn: Connection, now: datetime) -> Backlog:
    row = await conn.fetchrow(
        "select (select min(at) from change where relayed_at is null and episode is not null),"
        " (select min(due_at) from timer where fired_at is null and stood_at is null and due_at <= $1),"
        " (select count(*) from timer where fired_at is null and stood_at is null and due_at <= $1),"
        " (select count(*) from delivery where state = 'dead'), exists (select from pause)",
        now,
    )
    assert row is not None
    circuits = await conn.fetch(
        "select state, count(*) from circuit where state <> 'closed' group by state"
    )
    errands = await conn.fetch(
        "select kind, count(*) from errand where closed_at is null group by kind"
    )
    waiting = await conn.fetch(
        "with each as (select endpoint, count(*) as n, min(created_at) as oldest,"
        "   min(next_at) filter (where state <> 'leased' and next_at <= $1) as due from delivery"
        "   where state in ('queued', 'leased', 'parked') group by endpoint),"
        " ranked as (select *, row_number() over (order by oldest, endpoint) as place from each)"
        " select case when place <= $2 then endpoint end, sum(n)::bigint, min(oldest), min(due) from ranked"
        " group by 1 order by 1",
        now,
        MOST,
    )
    change, timer, late, dead, paused = row
    return Backlog(
        change,
        timer,
        late,
        dead,
        paused,
        {one[0]: one[1] for one in circuits},
        {one[0]: one[1] for one in errands},
        tuple(Waiting(*one) for one in waiting),
    )
