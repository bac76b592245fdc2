"""Timers: what happens if nothing happens. Set by `transact`, fired once by the worker."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Timer:
    """subject: rid of the Task that is waited for."""

    id: int
    episode: int
    kind: str
    subject: int


async def claim(conn: Connection, now: datetime, besides: Collection[int] = ()) -> Timer | None:
    """Lock one due timer that nobody else holds. besides: episodes to leave alone for now."""
    row = await conn.fetchrow(
        "select id, episode, kind, subject from timer where fired_at is null and due_at <= $1"
        " and episode <> all($2::bigint[]) order by due_at limit 1 for update skip locked",
        now,
        list(besides),
    )
    return None if row is None else Timer(*row)


async def fired(conn: Connection, timer: int, now: datetime) -> None:
    await conn.execute("update timer set fired_at = $2 where id = $1", timer, now)
