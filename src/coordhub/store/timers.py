"""Timers: what happens if nothing happens. Set by `transact`, fired once by the worker.

A referral's timers change under its lock only: whoever fires one takes that first, as everyone does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Timer:
    """A row of timer. subject: rid of what it is about."""

    id: int
    episode: int | None
    kind: str
    subject: int
    since: datetime
    due_at: datetime
    stood_at: datetime | None
    fired_at: datetime | None


_COLUMNS = "t.id, t.episode, t.kind, t.subject, t.since, t.due_at, t.stood_at, t.fired_at"
_DUE = "t.fired_at is null and t.stood_at is null and t.due_at <= $1"


async def is_due(conn: Connection, now: datetime) -> bool:
    """Whether any timer is; asked before one is claimed."""
    found: bool = await conn.fetchval(f"select exists (select from timer t where {_DUE})", now)
    return found


async def claim(conn: Connection, now: datetime, besides: Collection[int] = ()) -> Timer | None:
    """One due timer, its referral locked if it is of one; not locked itself, so see `hold`.

    besides: episodes, or what timers of none are about, to leave alone for now.
    """
    row = await conn.fetchrow(
        f"select {_COLUMNS} from timer t join episode e on e.id = t.episode where {_DUE}"
        " and t.episode <> all($2::bigint[]) order by t.due_at limit 1 for update of e skip locked",
        now,
        list(besides),
    )
    if row is None:
        row = await conn.fetchrow(
            f"select {_COLUMNS} from timer t where {_DUE} and t.episode is null"
            " and t.subject <> all($2::bigint[]) order by t.due_at limit 1",
            now,
            list(besides),
        )
    return None if row is None else Timer(*row)


async def hold(conn: Connection, timer: int, now: datetime) -> Timer | None:
    """Lock it; None if it is not due any more, or has been fired by another who was faster.

    What belongs to it is locked before, so that nobody waits for whom he keeps waiting.
    """
    row = await conn.fetchrow(
        f"select {_COLUMNS} from timer t where {_DUE} and t.id = $2 for update", now, timer
    )
    return None if row is None else Timer(*row)


async def fired(conn: Connection, timer: int, now: datetime) -> None:
    await conn.execute("update timer set fired_at = $2 where id = $1", timer, now)


async def again(conn: Connection, timer: int, now: datetime, due: datetime) -> None:
    """It counts from now once more, until `due`."""
    await conn.execute(
        "update timer set since = $2, due_at = $3, fired_at = null where id = $1", timer, now, due
    )


async def of(conn: Connection, subjects: Sequence[int]) -> dict[int, dict[str, Timer]]:
    """The timers of these subjects, by subject and kind."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from timer t where t.subject = any($1::bigint[])", list(subjects)
    )
    found: dict[int, dict[str, Timer]] = {}
    for row in rows:
        timer = Timer(*row)
        found.setdefault(timer.subject, {})[timer.kind] = timer
    return found


async def set_if_none(
    conn: Connection, kind: str, subject: int, since: datetime, due: datetime
) -> None:
    """A timer of no referral, unless it is set and waits; one that has fired is set again."""
    await conn.execute(
        "insert into timer (episode, kind, subject, since, due_at, shard)"
        " values (null, $1, $2, $3, $4, ($2::bigint & 255)::smallint)"
        " on conflict (subject, kind) do update set since = $3, due_at = $4, fired_at = null"
        " where timer.fired_at is not null",
        kind,
        subject,
        since,
        due,
    )
