"""Circuits of endpoints: kept where all workers see them, a row for each that is not as usual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from coordhub.store.engine import Connection

State: TypeAlias = Literal["closed", "open", "probing", "recovering"]


@dataclass(frozen=True, slots=True)
class Circuit:
    """endpoint: rid. failures: in a row. probes: that failed since it opened. opened_at: when it was last
    as usual, that is when the first of them failed. probe_at: when the next probe may go, and another if
    nothing is heard of it. allowance: how many at once while recovering. reason: of the last failure; no
    content.
    """

    endpoint: int
    state: State = "closed"
    failures: int = 0
    probes: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    allowance: int = 0
    reason: str | None = None


_COLUMNS = "endpoint, state, failures, probes, opened_at, probe_at, allowance, reason"


async def change(
    conn: Connection, endpoint: int, now: datetime, to: Callable[[Circuit], Circuit]
) -> tuple[Circuit, Circuit]:
    """The circuit before and after `to`, one change at a time.

    What failed waits for the endpoint and not besides: while it is open, for the next probe, so that this
    is the oldest; when it begins to recover, it is due at once.
    """
    async with conn.transaction():
        await conn.execute(
            "insert into circuit (endpoint, state, failures, probes, allowance)"
            " values ($1, 'closed', 0, 0, 0) on conflict do nothing",
            endpoint,
        )
        row = await conn.fetchrow(
            f"select {_COLUMNS} from circuit where endpoint = $1 for update", endpoint
        )
        before = Circuit(*row) if row is not None else Circuit(endpoint)
        after = to(before)
        if after == Circuit(endpoint):
            await conn.execute("delete from circuit where endpoint = $1", endpoint)
        else:
            await conn.execute(
                "update circuit set state = $2, failures = $3, probes = $4, opened_at = $5,"
                " probe_at = $6, allowance = $7, reason = $8 where endpoint = $1",
                *astuple(after),
            )
        if after.state == "open" and after.probe_at is not None:
            await _due_by(conn, endpoint, after.probe_at)
        elif before.state in ("open", "probing") and after.state == "recovering":
            await _due_by(conn, endpoint, now)
    return before, after


async def _due_by(conn: Connection, endpoint: int, at: datetime) -> None:
    await conn.execute(
        "update delivery set next_at = $2"
        " where endpoint = $1 and state in ('queued', 'parked') and next_at > $2",
        endpoint,
        at,
    )


async def troubled(conn: Connection) -> list[Circuit]:
    """Endpoints that are not as usual."""
    rows = await conn.fetch(f"select {_COLUMNS} from circuit order by endpoint")
    return [Circuit(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Reached:
    """How an organization is reached at one of its endpoints (rid). unproved: it was changed and has not answered
    since. waiting: deliveries that are still to be made there; oldest: when the first of them was planned; hour, day:
    how many of them are older than that. last: when something was delivered there, and what, newest first.
    """

    endpoint: int
    state: State
    opened_at: datetime | None
    probe_at: datetime | None
    unproved: bool
    waiting: int
    oldest: datetime | None
    hour: int
    day: int
    last: tuple[tuple[UUID, datetime], ...]


_LATELY = 5


async def reached(
    conn: Connection, organization: int, endpoints: Sequence[int], now: datetime
) -> dict[int, Reached]:
    """By endpoint."""
    rows = await conn.fetch(
        "select e.rid, coalesce(c.state, 'closed'), c.opened_at, c.probe_at,"
        " p.endpoint is not null and p.proved_at is null, w.waiting, w.oldest, w.hour, w.day, l.ids, l.times"
        " from unnest($2::bigint[]) e(rid) left join circuit c on c.endpoint = e.rid"
        " left join proof p on p.endpoint = e.rid cross join lateral ("
        "  select count(*) as waiting, min(d.created_at) as oldest,"
        "  count(*) filter (where d.created_at < $3) as hour, count(*) filter (where d.created_at < $4) as day"
        "  from delivery d"
        "  where d.endpoint = e.rid and d.organization = $1 and d.state in ('queued', 'leased', 'parked')) w"
        " cross join lateral (select array_agg(n.id) as ids, array_agg(n.settled_at) as times from ("
        "  select d.id, d.settled_at from delivery d where d.endpoint = e.rid and d.organization = $1"
        f"  and d.state = 'delivered' order by d.settled_at desc limit {_LATELY}) n) l",
        organization,
        list(endpoints),
        now - timedelta(hours=1),
        now - timedelta(days=1),
    )
    found = {}
    for *first, ids, times in rows:
        last = tuple(zip(ids or (), times or (), strict=True))
        found[first[0]] = Reached(*(*first, last))
    return found


async def probe_now(conn: Connection, endpoint: int, now: datetime) -> bool:
    """Let the next probe go at once; False if the endpoint is as usual."""
    async with conn.transaction():
        done: str = await conn.execute(
            "update circuit set state = 'open', probe_at = $2, probes = 0"
            " where endpoint = $1 and state in ('open', 'probing')",
            endpoint,
            now,
        )
        await _due_by(conn, endpoint, now)
    return done.endswith(" 1")
