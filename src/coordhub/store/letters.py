"""Deliveries as an operator looks at them: what waits, what was given up, why, and what to do about it.

Everything here is ids, states and reasons; nothing of what is delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from coordhub.r4 import types
from coordhub.store.deliveries import Claimed
from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Which:
    """Deliveries in one of these states, and further: ids of their resources, bounds of creation.

    endpoint, organization: fhir_id; None: any. since: included; until: not. reason: part of it, in any case.
    """

    states: tuple[str, ...]
    ids: tuple[UUID, ...] = ()
    endpoint: str | None = None
    organization: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None

    @property
    def bounded(self) -> bool:
        """Whether anything but their state says which."""
        further = (self.endpoint, self.organization, self.since, self.until, self.reason)
        return bool(self.ids) or any(one is not None for one in further)


@dataclass(frozen=True, slots=True)
class Letter:
    """endpoint: `Endpoint/x`, or "" for the inbox at the hub. what: `Type/id` of what changed.
    seq: its place in the order of planning."""

    id: UUID
    state: str
    organization: str
    endpoint: str
    what: str
    version: int
    attempts: int
    created_at: datetime
    next_at: datetime
    settled_at: datetime | None
    reason: str | None
    seq: int


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt. status: HTTP's; detail: class of failure."""

    number: int
    at: datetime
    outcome: str
    status: int | None
    latency_ms: int
    detail: str | None


_CHOSEN = """
    from delivery d
    left join resource o on o.rid = d.organization and o.shard = (d.organization & 255)::smallint
    left join resource p on p.rid = d.endpoint and p.shard = (d.endpoint & 255)::smallint
    left join resource w on w.rid = d.rid and w.shard = d.shard
    where d.state = any($1::text[]) and (cardinality($2::uuid[]) = 0 or d.id = any($2::uuid[]))
      and ($3::text is null or p.fhir_id = $3) and ($4::text is null or o.fhir_id = $4)
      and ($5::timestamptz is null or d.created_at >= $5) and ($6::timestamptz is null or d.created_at < $6)
      and ($7::text is null or position(lower($7) in lower(d.reason)) > 0)
"""


def _arguments(which: Which) -> list[Any]:
    return [
        list(which.states), list(which.ids), which.endpoint, which.organization, which.since, which.until,
        which.reason,
    ]  # fmt: skip


async def find(conn: Connection, which: Which, limit: int, after: int = 0) -> list[Letter]:
    """At most `limit` of them, in the order of their planning, behind the one with seq `after`."""
    rows = await conn.fetch(
        "select d.id, d.state, o.fhir_id, p.fhir_id, w.type, w.fhir_id, d.version, d.attempts, d.created_at,"
        f" d.next_at, d.settled_at, d.reason, d.seq {_CHOSEN} and d.seq > $9 order by d.seq limit $8",
        *_arguments(which),
        limit,
        after,
    )
    return [
        Letter(
            row[0], row[1], f"Organization/{row[2]}", f"Endpoint/{row[3]}" if row[3] else "",
            f"{types.name_of(row[4])}/{row[5]}" if row[5] else "", *row[6:],
        )
        for row in rows
    ]  # fmt: skip


async def attempts(conn: Connection, delivery: UUID) -> list[Tried]:
    rows = await conn.fetch(
        "select number, at, outcome, status, latency_ms, detail from attempt"
        " where delivery = $1 order by number",
        delivery,
    )
    return [Tried(*row) for row in rows]


async def last_attempts(conn: Connection, deliveries: Sequence[UUID]) -> dict[UUID, Tried]:
    """By delivery, of those that were attempted."""
    rows = await conn.fetch(
        "select distinct on (delivery) delivery, number, at, outcome, status, latency_ms, detail from attempt"
        " where delivery = any($1::uuid[]) order by delivery, number desc",
        list(deliveries),
    )
    return {row[0]: Tried(*row[1:]) for row in rows}


async def is_apart(conn: Connection, organization: int, rids: Sequence[int]) -> bool:
    """Whether it is for a victim service provider, or holds something of one."""
    found: bool = await conn.fetchval(
        "select exists (select from party p where p.kind = 'vsp' and (p.organization = $1"
        "  or p.organization in (select source from resource where rid = any($2::bigint[]))))",
        organization,
        list(rids),
    )
    return found


async def as_held(conn: Connection, delivery: UUID) -> Claimed | None:
    """The delivery as whoever attempted it next would hold it; nothing is claimed."""
    row = await conn.fetchrow(
        "select id, coalesce(key, id), episode, organization, endpoint, rid, version, attempts + 1, created_at"
        " from delivery where id = $1",
        delivery,
    )
    return None if row is None else Claimed(*row)


async def again(conn: Connection, which: Which, now: datetime) -> list[UUID]:
    """Make them due now, under the same key; those that were dead or parked.

    Their age stays, and with it what is sent: where the budget is spent, one attempt is made.
    """
    return await _due(conn, which, "next_at = $8", now)


async def anew(conn: Connection, which: Which, now: datetime) -> list[UUID]:
    """Make them due now as if they had never been sent: a new key, a new budget, content as it stands now.

    The partner does not know it for a repeat.
    """
    return await _due(conn, which, "next_at = $8, created_at = $8, key = gen_random_uuid()", now)


async def _due(conn: Connection, which: Which, change: str, now: datetime) -> list[UUID]:
    rows = await conn.fetch(
        f"update delivery u set state = 'queued', settled_at = null, reason = null, {change}"
        f" from (select d.id {_CHOSEN} order by d.seq for update of d) c"
        " where u.id = c.id and u.state in ('dead', 'parked') returning u.id",
        *_arguments(which),
        now,
    )
    return [row[0] for row in rows]


async def discard(conn: Connection, which: Which, now: datetime) -> list[UUID]:
    """Give them up for good: they are not sent, and what waited behind them goes on."""
    rows = await conn.fetch(
        "update delivery u set state = 'suppressed', settled_at = $8, reason = 'discarded by an operator'"
        f" from (select d.id {_CHOSEN} order by d.seq for update of d) c"
        " where u.id = c.id and u.state in ('dead', 'parked', 'queued') returning u.id",
        *_arguments(which),
        now,
    )
    return [row[0] for row in rows]
