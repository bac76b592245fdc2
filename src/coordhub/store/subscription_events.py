"""Events of subscriptions: who is to be told of which change, in one order without gaps.

An event is given its number where the change log is followed: in the order of commits, past which no
change can come any more (every transaction before it has ended). So a number is never given twice, and
none is left out; how far the log was followed is one row, locked by whoever follows it.

What is asked for with the same eyes, an organization's with the same scopes, is asked in one statement. Who is
told of a deletion is asked before it, in its commit (`foreseen`): after it there is nothing left to ask.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from coordhub.r4 import types
from coordhub.r4.search import parse_query
from coordhub.store import narrowing, search
from coordhub.store.arguments import Arguments
from coordhub.store.engine import Connection, Engine
from coordhub.store.log_order import IN_PLACE, WAITS
from coordhub.store.subscriptions import COLUMNS, REPRESENTED, Subscribed, subscribed
from coordhub.store.visibility import Viewer, visible

FOLLOWED = 500
"""Changes that are looked at together."""

TOGETHER = 50
"""Different things asked for that stand in one statement."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. rid, version: of the resource that changed. deleted: or that is no more."""

    number: int
    at: datetime
    rid: int
    version: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Followed:
    """seq: of the change, made at that time. kind: its type. deletion: of the resource."""

    seq: int
    at: datetime
    kind: str
    deletion: bool = False


async def recording(conn: Connection) -> list[Subscribed]:
    """Those whose events are counted: that are told, that could not be told lately, that ask to go on."""
    rows = await conn.fetch(
        f"select {COLUMNS} from subscription s where {REPRESENTED}"
        " and (state in ('active', 'error') or state = 'requested' and since is not null) order by rid"
    )
    return [subscribed(row) for row in rows]


async def is_behind(conn: Connection) -> bool:
    """Whether the log has changes that were not followed yet; asked before it is followed."""
    found: bool = await conn.fetchval(
        "select exists (select from feed f join change c on (c.xid, c.seq) > (f.xid, f.seq)"
        " where f.name = 'subscriptions' and c.xid < pg_snapshot_xmin(pg_current_snapshot()))"
    )
    return found


async def follow(conn: Connection, *, for_nobody: bool) -> list[Followed] | None:
    """The next changes of the log, and that they were followed; None where there is none, or another is at it.

    In the transaction that makes the events of them. for_nobody: go to the end without a look. It may be that
    none of them is to be told yet (`store.log_order`).
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
        return None
    rows = await conn.fetch(
        "with p as materialized (select * from change where (xid, seq) > ($1::xid8, $2)"
        "   and xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid, seq limit $3)"
        f" select p.xid, p.seq as place, c.seq, c.at, c.type, c.op from p left join {IN_PLACE} on not {WAITS}"
        " order by p.xid, p.seq, c.version",
        cursor["xid"],
        cursor["seq"],
        FOLLOWED,
    )
    if not rows:
        return None
    await conn.execute(
        "update feed set xid = $1::xid8, seq = $2 where name = 'subscriptions'",
        rows[-1]["xid"],
        rows[-1]["place"],
    )
    return [
        Followed(row["seq"], row["at"], types.name_of(row["type"]), row["op"] == "delete")
        for row in rows
        if row["seq"] is not None
    ]


async def matching(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    held: Sequence[Subscribed],
    followed: Sequence[Followed],
    base: str,
    now: datetime,
) -> dict[int, list[int]]:
    """Of each of these subscriptions (rid), that see the same, seq of the changes since it began of which it asks
    to be told and that its viewer may see now, in their order. Deletions are not among them.

    As in a search, what is shown to it by a data set is not found by what that leaves out.
    """
    seqs = {one.seq: one for one in followed if not one.deletion}
    source = (
        "select {way}::int as way, c.seq as found from change c"
        " join resource r on r.rid = c.rid and r.shard = c.shard where c.seq = any({wanted})"
    )
    found = await _asked(conn, engine, viewer, held, list(seqs.values()), source, base, now)
    return {
        one.rid: [
            seq
            for seq, change in seqs.items()
            if seq in found[one.config.queries] and one.since is not None and change.at >= one.since
        ]
        for one in held
        if one.config.queries in found
    }


@dataclass(frozen=True, slots=True)
class Doomed:
    """seq: rid of what is about to be deleted. kind: its type."""

    seq: int
    kind: str


async def foreseen(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    held: Sequence[Subscribed],
    doomed: Sequence[Doomed],
    base: str,
    now: datetime,
) -> dict[int, list[int]]:
    """Of each of these subscriptions (rid), that see the same, what of this it asks to be told of and may see: the
    last moment at which it can be said."""
    source = (
        "select {way}::int as way, r.rid as found from resource r"
        " where r.rid = any({wanted}) and r.shard = any(array(select (w & 255)::smallint from unnest({wanted}) w))"
    )
    found = await _asked(conn, engine, viewer, held, doomed, source, base, now)
    return {
        one.rid: sorted(found[one.config.queries]) for one in held if one.config.queries in found
    }


async def _asked(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    held: Sequence[Subscribed],
    among: Sequence[Followed] | Sequence[Doomed],
    source: str,
    base: str,
    now: datetime,
) -> dict[tuple[str, ...], set[int]]:
    """What each asks for, by its queries: of several that ask the same, once."""
    kinds = {one.kind for one in among}
    asking = [
        queries
        for queries in dict.fromkeys(one.config.queries for one in held)
        if kinds & {query.partition("?")[0] for query in queries}
    ]
    found: dict[tuple[str, ...], set[int]] = {}
    for first in range(0, len(asking), TOGETHER):
        part = asking[first : first + TOGETHER]
        arguments = Arguments()
        wanted = arguments.add([one.seq for one in among], "bigint[]")
        selects = []
        for number, queries in enumerate(part):
            way = arguments.add(number, "int")
            fits = await _fits(conn, engine, viewer, queries, kinds, arguments, base, now)
            selects.append(f"{source.format(way=way, wanted=wanted)} and {fits}")
        rows = await conn.fetch(" union all ".join(selects), *arguments.values)
        found |= {queries: set() for queries in part}
        for row in rows:
            found[part[row["way"]]].add(row["found"])
    return found


async def _fits(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    queries: Iterable[str],
    kinds: set[str],
    arguments: Arguments,
    base: str,
    now: datetime,
) -> str:
    """What must hold of `resource r`: it is asked for by one of the queries, and may be seen."""
    ways = []
    for text in queries:
        kind, _, criteria = text.partition("?")
        if kind not in kinds:
            continue
        pairs = parse_qsl(criteria, keep_blank_values=True)
        query = parse_query(kind, pairs, base=base, now=now)
        eyes = narrowing.of_query(viewer, query)
        condition, values = visible(eyes, "r", arguments.following)
        arguments.extend(values)
        matches = await search.conditions(conn, engine, viewer, [query], arguments)
        ways.append(f"({' and '.join([condition, *matches])})")
    return f"({' or '.join(ways)})"


async def deleted(conn: Connection, followed: Sequence[Followed]) -> list[tuple[int, int]]:
    """Subscription (rid) and seq of the deletions among these changes, as was foreseen; not to be asked again."""
    seqs = [one.seq for one in followed if one.deletion]
    if not seqs:
        return []
    rows = await conn.fetch(
        "delete from subscription_deletion d using change c"
        " where c.seq = any($1::bigint[]) and d.rid = c.rid and d.version = c.version"
        " returning d.subscription, c.seq",
        seqs,
    )
    return [(row[0], row[1]) for row in rows]


async def record(conn: Connection, told: Sequence[tuple[int, int]], now: datetime) -> None:
    """Give these changes (subscription, seq), in this order, the next numbers of their subscriptions.

    A websocket is told by whoever holds it, and looks by itself.
    """
    await conn.execute(
        "with wanted as (select w.subscription, w.seq,"
        "   row_number() over (partition by w.subscription order by w.place) as place"
        "   from unnest($1::bigint[], $2::bigint[]) with ordinality w(subscription, seq, place)),"
        " counted as (select subscription, count(*) as many from wanted group by subscription),"
        " numbered as (update subscription s set event = event + n.many,"
        "   next_at = case when state = 'active' and sent = event and channel <> 'websocket'"
        "     then least(next_at, $3::timestamptz) else next_at end"
        "   from counted n where s.rid = n.subscription returning s.rid, s.event - n.many as before)"
        " insert into subscription_event (subscription, number, at, rid, version, deleted, shard)"
        " select n.rid, n.before + w.place, c.at, c.rid, c.version, c.op = 'delete', (n.rid & 255)::smallint"
        " from numbered n join wanted w on w.subscription = n.rid join change c on c.seq = w.seq",
        [subscription for subscription, _ in told],
        [seq for _, seq in told],
        now,
    )


async def events(
    conn: Connection, subscription: int, since: int, until: int, most: int
) -> list[Event]:
    """Those with these numbers (both included), in order, at most so many."""
    rows: list[Any] = await conn.fetch(
        "select number, at, rid, version, deleted from subscription_event"
        " where subscription = $1 and number between $2 and $3 order by number limit $4",
        subscription,
        since,
        until,
        most,
    )
    return [Event(*row) for row in rows]
