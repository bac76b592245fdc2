"""The change feed of one caller: every version it may see, and what it was shown later, none left out.

Numbers are given out before a commit, so that a later one may be there first. The log is therefore read
in the order of transactions, and only up to the oldest that is still running: before that nothing can
come any more. What a caller may see is decided by other rows than versions (grants, rules, labels); each
has the transaction that decided it, and is read in the same way once the log has been: of a resource that
was shown later the current version is told then. So each is told at least once, and none is told as it
was before a version that was told already.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from coordhub.r4 import types
from coordhub.store.engine import Connection
from coordhub.store.log_order import IN_PLACE, LAST_VERSION, WAITS
from coordhub.store.resources import COLUMNS, OF_BOTH, Version, version_of
from coordhub.store.visibility import ANYONE, Viewer, shown, visible

LOOKED_AT: Final = 10_000
"""Rows of the log, or decisions, that one page looks at, whether the caller sees any of them or not."""

CHARTS: Final = 100
"""Patients whose record one page looks through because of a rule about them."""

SKEW: Final = timedelta(hours=1)
"""How far the instants of the log may stand behind the order of its transactions."""

_GRANTS, _RULES, _REVEALED, _DONE = range(4)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a caller has read.

    xid, seq: of the last change. version: the last that was told in its place. shown, at: what was decided
    by transactions before this one, and what began or ended by this instant, was told. kind: of party, as
    which all that was decided. until, until_at: what is being told goes so far; None: nothing is. step,
    first, second: which of its parts, and the last row of it.
    """

    xid: int
    seq: int
    version: int
    shown: int
    at: datetime
    kind: str
    until: int | None = None
    until_at: datetime | None = None
    step: int = _GRANTS
    first: int = 0
    second: int = -1

    def as_values(self) -> list[Any]:
        """As JSON has it."""
        return [
            self.xid, self.seq, self.version, self.shown, (self.at - _EPOCH) // _MICROSECOND, self.kind, self.until,
            self.until_at and (self.until_at - _EPOCH) // _MICROSECOND, self.step, self.first, self.second,
        ]  # fmt: skip


def position_of(values: Sequence[Any]) -> Position:
    """The other way around."""
    xid, seq, version, mark, at, kind, until, until_at, *where = values
    ends = None if until_at is None else _EPOCH + until_at * _MICROSECOND
    return Position(xid, seq, version, mark, _EPOCH + at * _MICROSECOND, kind, until, ends, *where)


class Page(NamedTuple):
    """versions: oldest first. more: there is more already, behind `position`."""

    versions: list[Version]
    position: Position
    more: bool


class _Now(NamedTuple):
    """horizon: every transaction before it has ended. last: none behind it has begun."""

    horizon: int
    last: int
    at: datetime
    kind: str


async def begin(conn: Connection, viewer: Viewer, since: datetime | None) -> Position:
    """Where a feed begins: with all there is, or with what was written from an instant on (all of it, where
    that is before there was any hub)."""
    now = await _now(conn, viewer)
    if since is None or since <= _EPOCH:
        return Position(0, 0, 0, now.horizon, now.at, now.kind)
    first = min(await _transaction_at(conn, since - SKEW), now.horizon)
    return Position(first, 0, 0, first, min(since, now.at), now.kind)


async def read(
    conn: Connection,
    viewer: Viewer,
    kinds: Sequence[str] | None,
    position: Position,
    *,
    count: int,
    since: datetime | None = None,
) -> Page | None:
    """What follows on a position, at most `count` versions of resources of these types (None: all).

    None if the position is not of this log (a backup was restored), or if the kind of party that decides
    what the caller may see has changed: then it begins anew.
    """
    now = await _now(conn, viewer)
    if (
        max(position.xid, position.shown, position.until or 0) > now.last
        or position.kind != now.kind
    ):
        return None
    asked = _Asked(conn, viewer, None if kinds is None else [types.NUMBER[kind] for kind in kinds])
    versions: list[Version] = []
    resumed = position.until is not None  # so that meanwhile there may be more
    if not resumed:
        versions, position, more = await _changes(asked, position, now.horizon, count, since)
        if more:
            return Page(versions, position, more=True)
        position = replace(
            position,
            until=now.horizon,
            until_at=now.at,
            step=_GRANTS,
            first=position.shown,
            second=-1,
        )
    later, position = await _shown_later(asked, position, count - len(versions))
    told = {(one.rid, one.version) for one in versions}
    versions += [one for one in later if (one.rid, one.version) not in told]
    if position.step != _DONE:
        return Page(versions, position, more=True)
    assert position.until is not None
    assert position.until_at is not None
    position = replace(
        position,
        shown=position.until,
        at=position.until_at,
        until=None,
        until_at=None,
        step=_GRANTS,
    )
    return Page(versions, position, more=resumed)


async def reveal(conn: Connection, rids: Iterable[int]) -> None:
    """These may be shown to more than before, without a new version of theirs."""
    await conn.execute(
        "insert into revealed (shard, rid) select (n.rid & 255)::smallint, n.rid"
        " from unnest($1::bigint[]) n(rid) on conflict do nothing",
        list(rids),
    )


class _Asked(NamedTuple):
    conn: Connection
    viewer: Viewer
    kinds: list[int] | None


async def _now(conn: Connection, viewer: Viewer) -> _Now:
    row = await conn.fetchrow(
        "select pg_snapshot_xmin(s), pg_snapshot_xmax(s), now(),"
        " coalesce((select p.kind from party p where p.organization = $1), '')"
        " from pg_current_snapshot() s",
        viewer.organization,
    )
    assert row is not None
    return _Now(*row)


async def _transaction_at(conn: Connection, instant: datetime) -> int:
    """A transaction before which nothing was written from that instant on."""
    newest = await conn.fetchval("select xid from change order by xid desc, seq desc limit 1")
    low, high = 0, newest or 0
    while low < high:
        middle = (low + high + 1) // 2
        row = await conn.fetchrow(
            "select at from change where xid >= $1::xid8 order by xid, seq limit 1", middle
        )
        if row is not None and row["at"] < instant:
            low = middle
        else:
            high = middle - 1
    return low


async def _changes(
    asked: _Asked, position: Position, horizon: int, count: int, since: datetime | None
) -> tuple[list[Version], Position, bool]:
    """The next versions of the log before the horizon; whether there are more."""
    edge = await asked.conn.fetchrow(
        "select xid, seq from change where (xid, seq) > ($1::xid8, $2::bigint) and xid < $3::xid8"
        " order by xid, seq offset $4 limit 1",
        position.xid,
        position.seq,
        horizon,
        LOOKED_AT - 1,
    )
    last = (horizon, 0, LAST_VERSION) if edge is None else (edge["xid"], edge["seq"], LAST_VERSION)
    condition, arguments = visible(asked.viewer, "r", 9, OF_BOTH)
    rows = await asked.conn.fetch(
        "select r.rid, r.type, r.fhir_id, c.version, c.op, c.at, c.author, r.source, r.patient,"
        " case when c.version = r.version then r.body else v.body end,"
        f" {shown(asked.viewer, 'r', 9, OF_BOTH)}, p.xid, p.seq"
        f" from change p cross join {IN_PLACE} join resource r on r.shard = c.shard and r.rid = c.rid"
        " left join resource_version v on v.shard = c.shard and v.rid = c.rid and v.version = c.version"
        " where (p.xid, p.seq) >= ($1::xid8, $2::bigint) and (p.xid, p.seq, c.version) > ($1, $2, $3::int)"
        " and (p.xid, p.seq) <= ($4::xid8, $5::bigint)"
        " and ($6::smallint[] is null or p.type = any($6)) and ($7::timestamptz is null or c.at >= $7)"
        f" and {condition} and not {WAITS} order by p.xid, p.seq, c.version limit $8::int",
        position.xid,
        position.seq,
        position.version,
        last[0],
        last[1],
        asked.kinds,
        since,
        count + 1,
        *arguments,
    )
    page = rows[:count]
    if len(rows) > count:
        last = (page[-1]["xid"], page[-1]["seq"], page[-1]["version"])
    versions = [version_of(row) for row in page]
    more = len(rows) > count or edge is not None
    return versions, replace(position, xid=last[0], seq=last[1], version=last[2]), more


async def _shown_later(
    asked: _Asked, position: Position, room: int
) -> tuple[list[Version], Position]:
    """Current versions of what was decided anew, and how far that got; a version once."""
    found: dict[int, Version] = {}
    while position.step != _DONE and room > len(found):
        step = _of_charts if position.step == _RULES else _of_decisions
        before, position = position.step, await step(asked, position, room, found)
        if position.step == before:
            break
    return list(found.values()), position


_DECISIONS: Final = {
    _GRANTS: "access_grant where organization = $5::bigint and",
    _REVEALED: "revealed where $5::bigint is not null and",
}


async def _of_decisions(
    asked: _Asked, position: Position, room: int, found: dict[int, Version]
) -> Position:
    """What grants show, or what was revealed: one row for each decision, in the order of transactions."""
    among = (
        f" from {_DECISIONS[position.step]} (xid, rid) > ($1::xid8, $2::bigint) and xid < $3::xid8"
        " order by xid, rid"
    )
    where = (position.first, position.second, position.until)
    edge = await asked.conn.fetchrow(
        f"select xid, rid {among} offset $4 limit 1",
        *where,
        LOOKED_AT - 1,
        asked.viewer.organization,
    )
    rows = await _current(asked, f"select xid, rid {among} limit $4", where, room - len(found))
    if len(rows) > room - len(found):
        rows = rows[: room - len(found)]
        position = replace(position, first=rows[-1]["xid"], second=rows[-1]["at"])
    elif edge is not None:
        position = replace(position, first=edge["xid"], second=edge["rid"])
    else:
        position = replace(position, step=position.step + 1, first=0, second=-1)
    found.update((row[0], version_of(row)) for row in rows)
    return position


_RULED: Final = " union ".join(
    f"select id, patient from access_rule where actor = any($1::bigint[]) and id >= $2 and {decided}"
    for decided in (
        "xid >= $3::xid8 and xid < $4::xid8",
        "since > $5::timestamptz and since <= $6::timestamptz",
        "until > $5::timestamptz and until <= $6::timestamptz",
    )
)


async def _of_charts(
    asked: _Asked, position: Position, room: int, found: dict[int, Version]
) -> Position:
    """What is in the records of patients about whom a rule was decided, has begun or has ended."""
    rules = await asked.conn.fetch(
        f"{_RULED} order by id limit $7",
        [asked.viewer.organization, ANYONE],
        position.first,
        position.shown,
        position.until,
        position.at,
        position.until_at,
        CHARTS,
    )
    looked_through: set[int] = set()
    for rule, patient in rules:
        if patient in looked_through:
            continue
        after = position.second if rule == position.first else -1
        among = (
            " from resource where patient = $1 and rid > $2 and $3::xid8 is not null order by rid"
        )
        where = (patient, after, position.until)
        edge = await asked.conn.fetchrow(
            f"select rid {among} offset $4 limit 1", *where, LOOKED_AT - 1
        )
        rows = await _current(
            asked, f"select null::xid8, rid {among} limit $4", where, room - len(found)
        )
        last = None if edge is None else edge["rid"]
        if len(rows) > room - len(found):
            rows = rows[: room - len(found)]
            last = rows[-1]["at"] if rows else after
        found.update((row[0], version_of(row)) for row in rows)
        if last is not None:
            return replace(position, first=rule, second=last)
        looked_through.add(patient)
    if len(rules) == CHARTS:
        return replace(position, first=rules[-1][0] + 1, second=-1)
    return replace(position, step=_REVEALED, first=position.shown, second=-1)


async def _current(asked: _Asked, among: str, where: tuple[Any, ...], room: int) -> list[Any]:
    """The current versions of these resources, as far as the log has told it."""
    condition, arguments = visible(asked.viewer, "r", 8)
    rows: list[Any] = await asked.conn.fetch(
        f"with d(xid, rid) as materialized ({among})"
        f" select {COLUMNS}, {shown(asked.viewer, 'r', 8)}, d.xid, d.rid as at from d"
        " join resource r on r.rid = d.rid and r.shard = (d.rid & 255)::smallint"
        " join change n on n.rid = r.rid and n.version = r.version"
        " where n.xid < $3::xid8 and not exists (select 1 from change o where o.rid = r.rid"
        "  and o.version < r.version and o.xid >= $3) and $5::bigint is not null"
        " and ($6::smallint[] is null or r.type = any($6))"
        f" and {condition} order by d.xid, d.rid limit $7::int",
        *where,
        LOOKED_AT,
        asked.viewer.organization,
        asked.kinds,
        room + 1,
        *arguments,
    )
    return rows
