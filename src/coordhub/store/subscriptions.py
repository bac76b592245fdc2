"""Subscriptions and their events: who is to be told of which change, in one order without gaps.

An event is given its number where the change log is followed: in the order of commits, past which no
change can come any more (every transaction before it has ended). So a number is never given twice, and
none is left out; how far the log was followed is one row, locked by whoever follows it.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from coordhub.r4 import types
from coordhub.r4.search import parse_query
from coordhub.store import narrowing, search
from coordhub.store.criteria import Arguments
from coordhub.store.engine import Connection, Engine
from coordhub.store.visibility import Viewer, visible

FOLLOWED = 500
"""Changes that are looked at together."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a Subscription asks for.

    topic: its canonical, "" if it is by criteria of R4. queries: searches, one for each type.
    level: how much is told (`empty`, `id-only`, `full-resource`), "" where nothing is but that there is
    something. heartbeat, timeout: seconds, 0 where none is said. most: events in one notification.
    """

    topic: str
    queries: tuple[str, ...]
    endpoint: str
    headers: tuple[str, ...]
    level: str
    heartbeat: int
    timeout: int
    most: int

    def as_text(self) -> str:
        return json.dumps(asdict(self))


def config_of(text: str) -> Config:
    read: dict[str, Any] = json.loads(text)
    return Config(**{**read, "queries": tuple(read["queries"]), "headers": tuple(read["headers"])})


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A Subscription as it stands. event: number of its last event, sent: of the last that was told.
    failures: in a row. since: when it was first reached; None: not yet."""

    rid: int
    organization: int
    state: str
    config: Config
    until: datetime | None
    event: int
    sent: int
    failures: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. rid, version: of the resource that changed."""

    number: int
    at: datetime
    rid: int
    version: int


_REPRESENTED = (
    "(select coalesce(bool_or(k.active), true) from client k where k.organization = s.organization)"
)
"""Whether anybody may still act for whom it tells: an operator who stops its clients stops this, too."""

_COLUMNS = "rid, organization, state, config, until, event, sent, failures, since"


def _subscribed(row: Any) -> Subscribed:
    rid, organization, state, config, *rest = row
    return Subscribed(rid, organization, state, config_of(config), *rest)


async def of_organization(conn: Connection, organization: int) -> list[Subscribed]:
    rows = await conn.fetch(
        f"select {_COLUMNS} from subscription where organization = $1 order by rid", organization
    )
    return [_subscribed(row) for row in rows]


async def recording(conn: Connection) -> list[Subscribed]:
    """Those whose events are counted: that are told, that could not be told lately, that ask to go on."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from subscription s where {_REPRESENTED}"
        " and (state in ('active', 'error') or state = 'requested' and since is not null) order by rid"
    )
    return [_subscribed(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Followed:
    """seq: of the change. kind: its type."""

    seq: int
    kind: str


async def is_behind(conn: Connection) -> bool:
    """Whether the log has changes that were not followed yet; asked before it is followed."""
    found: bool = await conn.fetchval(
        "select exists (select from feed f join change c on (c.xid, c.seq) > (f.xid, f.seq)"
        " where f.name = 'subscriptions' and c.xid < pg_snapshot_xmin(pg_current_snapshot()))"
    )
    return found


async def follow(conn: Connection, *, for_nobody: bool) -> list[Followed] | None:
    """The next changes of the log, and that they were followed; None where another is at it.

    In the transaction that makes the events of them. for_nobody: go to the end without a look.
    """
    cursor = await conn.fetchrow(
        "select xid, seq from feed where name = 'subscriptions' for update skip locked"
    )
    if cursor is None:
        return None
    if for_nobody:
        await conn.execute(
            "update feed set xid = pg_snapshot_xmin(pg_current_snapshot()), seq = 0"
            " where name = 'subscriptions' and xid < pg_snapshot_xmin(pg_current_snapshot())"
        )
        return []
    rows = await conn.fetch(
        "select seq, type, xid from change where (xid, seq) > ($1::xid8, $2)"
        " and xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid, seq limit $3",
        cursor["xid"],
        cursor["seq"],
        FOLLOWED,
    )
    if rows:
        await conn.execute(
            "update feed set xid = $1::xid8, seq = $2 where name = 'subscriptions'",
            rows[-1]["xid"],
            rows[-1]["seq"],
        )
    return [Followed(row["seq"], types.name_of(row["type"])) for row in rows]


async def matching(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    held: Subscribed,
    followed: Sequence[Followed],
    base: str,
    now: datetime,
) -> list[int]:
    """seq of those changes since it began of which it asks to be told and that its organization may see now.

    As in a search, what is shown to it by a data set is not found by what that leaves out.
    """
    kinds = {query.partition("?")[0]: query for query in held.config.queries}
    seqs = [one.seq for one in followed if one.kind in kinds]
    if not seqs:
        return []
    queries = [
        parse_query(
            kind, parse_qsl(query.partition("?")[2], keep_blank_values=True), base=base, now=now
        )
        for kind, query in kinds.items()
    ]
    arguments = Arguments()
    wanted = arguments.add(seqs, "bigint[]")
    since = arguments.add(held.since, "timestamptz")
    ways = []
    for query in queries:
        eyes = narrowing.of_query(viewer, query)
        condition, values = visible(eyes, "r", arguments.following)
        arguments.extend(values)
        matches = await search.conditions(conn, engine, viewer, [query], arguments)
        ways.append(f"({' and '.join([condition, *matches])})")
    rows = await conn.fetch(
        "select c.seq from change c join resource r on r.rid = c.rid and r.shard = c.shard"
        f" where c.seq = any({wanted}) and c.at >= {since} and ({' or '.join(ways)})",
        *arguments.values,
    )
    found = {row[0] for row in rows}
    return [seq for seq in seqs if seq in found]


async def record(conn: Connection, subscription: int, seqs: Sequence[int], now: datetime) -> None:
    """Give these changes the next numbers, in this order."""
    await conn.execute(
        "with numbered as (update subscription set event = event + cardinality($2::bigint[]),"
        "   next_at = least(next_at, case when state = 'active' and sent = event then $3::timestamptz else next_at end)"
        "   where rid = $1 returning rid, event - cardinality($2::bigint[]) as before)"
        " insert into subscription_event (subscription, number, at, rid, version, shard)"
        " select n.rid, n.before + w.place, c.at, c.rid, c.version, (n.rid & 255)::smallint"
        " from numbered n, unnest($2::bigint[]) with ordinality w(seq, place) join change c on c.seq = w.seq",
        subscription,
        list(seqs),
        now,
    )


async def events(
    conn: Connection, subscription: int, since: int, until: int, most: int
) -> list[Event]:
    """Those with these numbers (both included), in order, at most so many."""
    rows = await conn.fetch(
        "select number, at, rid, version from subscription_event"
        " where subscription = $1 and number between $2 and $3 order by number limit $4",
        subscription,
        since,
        until,
        most,
    )
    return [Event(*row) for row in rows]


async def claim(conn: Connection, now: datetime, lease: timedelta) -> Subscribed | None:
    """One that is due to be told something, held for `lease`: a handshake, events, a heartbeat, its end."""
    row = await conn.fetchrow(
        "update subscription set lease_until = $1 + $2 where rid = ("
        f" select rid from subscription s where state in ('requested', 'active') and {_REPRESENTED}"
        "  and (next_at <= $1 or until <= $1) and (lease_until is null or lease_until <= $1)"
        " order by next_at limit 1 for update skip locked)"
        f" returning {_COLUMNS}",
        now,
        lease,
    )
    return None if row is None else _subscribed(row)


async def told(
    conn: Connection, held: Subscribed, sent: int, now: datetime, next_at: datetime | None
) -> None:
    """It was told up to event `sent`; what came meanwhile is due at once. next_at: of the next heartbeat."""
    await conn.execute(
        "update subscription set sent = greatest(sent, $2), failures = 0, since = coalesce(since, $3),"
        " lease_until = null, reason = null,"
        " next_at = case when event > $2 then $3 else $4::timestamptz end where rid = $1",
        held.rid,
        sent,
        now,
        next_at,
    )


async def failed(conn: Connection, held: Subscribed, next_at: datetime, reason: str) -> None:
    """It could not be told; it is tried again then."""
    await conn.execute(
        "update subscription set failures = failures + 1, lease_until = null, next_at = $2, reason = $3"
        " where rid = $1",
        held.rid,
        next_at,
        reason,
    )
