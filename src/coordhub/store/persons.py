"""Records of one person: those that may be, found by keys; the pairs that are, may be, or are not.

One process looks at a time, so that what is decided about a pair is decided by what stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from coordhub.r4 import types
from coordhub.r4.sensitivity import TEST, VSP
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, shard_of_id, version_of
from coordhub.store.visibility import DIRECTORY, HUB, Viewer, shown, visible

LOCK: Final = 0x706572736F6E
"""Held by who looks who is who."""

OF_ONE_KEY: Final = 200
"""Records that one key brings: a name and a street that more have, tell nobody apart."""

MOST: Final = 400


class Pair(NamedTuple):
    """one, other: rids of Patients. evidence: JSON, without content."""

    one: int
    other: int
    state: str
    by: str | None
    reason: str | None
    score: float
    evidence: str
    since: datetime


_PAIR = ", ".join(f"k.{name}" for name in Pair._fields)


async def try_lock(conn: Connection) -> bool:
    """Until the transaction ends; False where another looks just now."""
    held: bool = await conn.fetchval("select pg_try_advisory_xact_lock($1)", LOCK)
    return held


async def lock(conn: Connection) -> None:
    await conn.execute("select pg_advisory_xact_lock($1)", LOCK)


async def is_due(conn: Connection) -> bool:
    """Whether there is a Patient to be looked at, or a name to be counted."""
    found: bool = await conn.fetchval(
        "select exists (select from person_due) or exists (select from name_change)"
    )
    return found


async def claim(conn: Connection, most: int) -> list[int]:
    """The next Patients to be looked at, who are not due any more when the transaction ends."""
    rows = await conn.fetch(
        "delete from person_due where id in (select id from person_due order by id limit $1) returning id, rid",
        most,
    )
    return list(dict.fromkeys(row["rid"] for row in sorted(rows, key=lambda row: row["id"])))


async def make_due(conn: Connection, rids: Collection[int]) -> None:
    await conn.execute(
        "insert into person_due (rid) select * from unnest($1::bigint[])", sorted(rids)
    )


async def make_all_due(conn: Connection, kind: int) -> int:
    """All that have a key of this kind and are not due yet; how many."""
    rows = await conn.fetchval(
        "with made as (insert into person_due (rid) select distinct i.rid from idx_person i where i.param = $1"
        " and not exists (select from person_due d where d.rid = i.rid) order by i.rid returning 1)"
        " select count(*) from made",
        kind,
    )
    found: int = rows
    return found


async def comparable(conn: Connection, rids: Collection[int]) -> set[int]:
    """Of these Patients those that are compared at all: there, out of quarantine, no provider's for victims, and
    not of the sandbox."""
    rows = await conn.fetch(
        "select r.rid from unnest($1::bigint[]) w(rid) join resource r on r.rid = w.rid"
        " and r.shard = (w.rid & 255)::smallint where r.body is not null and not r.quarantined"
        f" and r.labels & {VSP | TEST} = 0 and exists (select from idx_person i where i.rid = r.rid)"
        " and not exists (select from party p where p.organization in (r.source, r.author) and p.kind = 'vsp')",
        sorted(rids),
    )
    return {row[0] for row in rows}


async def candidates(
    conn: Connection, viewer: Viewer, keys: Collection[tuple[int, int]], but: int | None = None
) -> list[Version]:
    """Patients that this viewer may see and that have a key of these, those with most of them first.

    but: not this one. What a victim service provider keeps has no key.
    """
    condition, arguments = visible(viewer, "r", 6)
    wanted = sorted(keys)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 6)} from (select f.rid, count(*) as met"
        " from unnest($1::smallint[], $2::bigint[]) w(param, key) cross join lateral ("
        "  select i.rid from idx_person i join resource r on r.rid = i.rid and r.shard = i.shard"
        "  where i.param = w.param and i.key = w.key and i.rid <> $3 and r.body is not null"
        f"  and not r.quarantined and {condition} order by i.rid limit $4) f"
        " group by f.rid order by met desc, f.rid limit $5) m"
        " join resource r on r.rid = m.rid and r.shard = (m.rid & 255)::smallint order by m.met desc, m.rid",
        [param for param, _ in wanted],
        [key for _, key in wanted],
        but or 0,
        OF_ONE_KEY,
        MOST,
        *arguments,
    )
    return [version_of(row) for row in rows]


async def some(conn: Connection, kind: int, most: int, seed: int) -> list[int]:
    """rids of records that have a key of this kind, as many, taken at random. seed: another takes others."""
    rows = await conn.fetch(
        "select rid from (select distinct rid from idx_person where param = $1) one"
        " order by hashint8extended(rid, $2), rid limit $3",
        kind,
        seed,
        most,
    )
    return [row[0] for row in rows]


async def decided(conn: Connection, states: Collection[str]) -> list[Pair]:
    """The pairs of which a person has decided that they are so."""
    rows = await conn.fetch(
        f"select {_PAIR} from person_link k where k.by is not null and k.state = any($1::text[])"
        " order by k.one, k.other",
        sorted(states),
    )
    return [Pair(*row) for row in rows]


async def shared_by_more(
    conn: Connection, keys: Collection[tuple[int, int]], kinds: Sequence[int], most: int
) -> set[tuple[int, int]]:
    """Of these keys those of records with more than `most` different values of each of these kinds of keys.

    By births and first names, since one person may have any number of records, and a family's may be misspelt.
    """
    wanted = sorted(keys)
    rows = await conn.fetch(
        "select w.param, w.key from unnest($1::smallint[], $2::bigint[]) w(param, key)"
        " where (select min(n.number) from unnest($3::smallint[]) t(kind) cross join lateral"
        "  (select count(distinct b.key) as number from (select i.rid from idx_person i"
        "   where i.param = w.param and i.key = w.key limit $5) c"
        "   join idx_person b on b.rid = c.rid and b.param = t.kind) n) > $4",
        [param for param, _ in wanted],
        [key for _, key in wanted],
        list(kinds),
        most,
        OF_ONE_KEY,
    )
    return {(row[0], row[1]) for row in rows}


async def pairs_of(conn: Connection, rids: Collection[int]) -> list[Pair]:
    """All pairs that one of these is in."""
    rows = await conn.fetch(
        f"select {_PAIR} from person_link k where k.one = any($1::bigint[]) or k.other = any($1::bigint[])"
        " order by k.one, k.other",
        sorted(rids),
    )
    return [Pair(*row) for row in rows]


async def pair(conn: Connection, one: int, other: int) -> Pair | None:
    row = await conn.fetchrow(
        f"select {_PAIR} from person_link k where k.one = $1 and k.other = $2",
        min(one, other),
        max(one, other),
    )
    return None if row is None else Pair(*row)


async def put(conn: Connection, pairs: Iterable[Pair]) -> None:
    """Have these pairs stand so; since when stays, where the state does."""
    columns = ", ".join(Pair._fields)
    await conn.executemany(
        f"insert into person_link as k ({columns}) values ($1, $2, $3, $4, $5, $6, $7, $8)"
        " on conflict (one, other) do update set state = $3, by = $4, reason = $5, score = $6, evidence = $7,"
        " since = case when k.state = $3 then k.since else $8 end",
        list(pairs),
    )


async def remove(conn: Connection, pairs: Iterable[tuple[int, int]]) -> None:
    await conn.executemany("delete from person_link where one = $1 and other = $2", list(pairs))


_SAME: Final = (
    "with recursive same(start, rid) as (select w.rid, w.rid from unnest($1::bigint[]) w(rid)"
    " union select s.start, case when k.one = s.rid then k.other else k.one end"
    " from same s join person_link k on k.state = 'linked' and s.rid in (k.one, k.other))"
    " select start, rid from same"
)


async def together(conn: Connection, rids: Sequence[int]) -> Mapping[int, frozenset[int]]:
    """Of each of these all records of the same person, itself among them."""
    found: dict[int, set[int]] = {rid: {rid} for rid in rids}
    for start, rid in await conn.fetch(_SAME, list(rids)):
        found[start].add(rid)
    return {start: frozenset(same) for start, same in found.items()}


async def beside(
    conn: Connection, viewer: Viewer, ids: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Of these Patients (ids) that the viewer sees: ids of the same person's others that it sees as well."""
    wanted = sorted(ids)
    condition, arguments = visible(viewer, "r", 4)
    at = "r.type = $3::smallint and r.fhir_id = w.id and r.shard in"
    rows = await conn.fetch(
        "with recursive start(rid, id) as materialized (select r.rid, r.fhir_id"
        f" from unnest($1::text[], $2::smallint[]) w(id, shard) join resource r on {at}"
        " (w.shard, (select a.shard from assigned_id a where a.type = $3::smallint and a.fhir_id = w.id))"
        f" where r.body is not null and {condition}),"
        " same(id, first, rid) as (select id, rid, rid from start union"
        " select s.id, s.first, case when k.one = s.rid then k.other else k.one end"
        " from same s join person_link k on k.state = 'linked' and s.rid in (k.one, k.other))"
        " select s.id, r.fhir_id from same s join resource r on r.rid = s.rid"
        " and r.shard = (s.rid & 255)::smallint"
        f" where s.rid <> s.first and r.body is not null and {condition} order by s.id, r.rid",
        wanted,
        [shard_of_id(one) for one in wanted],
        types.NUMBER["Patient"],
        *arguments,
    )
    found: dict[str, list[str]] = {}
    for one, other in rows:
        found.setdefault(one, []).append(other)
    return {one: tuple(others) for one, others in found.items()}


def beside_any(viewer: Viewer, ids: Collection[str], following: int) -> tuple[str, list[object]]:
    """A condition that `beside` has something to say of any of these, and its arguments from $following on.

    For a statement that asks it besides: where nothing is linked it costs two looks into an index.
    """
    wanted = sorted(ids)
    named, kind = following, following + 2
    other, arguments = visible(viewer, "r", following + 3)
    start, _ = visible(viewer, "f", following + 3)
    condition = (
        "exists (with recursive same(first, rid) as (select r.rid, r.rid"
        f" from unnest(${named}::text[], ${named + 1}::smallint[]) w(id, shard) join resource r"
        f" on r.type = ${kind}::smallint and r.fhir_id = w.id and r.shard in (w.shard,"
        f" (select a.shard from assigned_id a where a.type = ${kind}::smallint and a.fhir_id = w.id))"
        " union select s.first, case when k.one = s.rid then k.other else k.one end"
        " from same s join person_link k on k.state = 'linked' and s.rid in (k.one, k.other))"
        " select from same s join resource f on f.rid = s.first and f.shard = (s.first & 255)::smallint"
        " join resource r on r.rid = s.rid and r.shard = (s.rid & 255)::smallint where s.rid <> s.first"
        f" and f.body is not null and r.body is not null and {start} and {other})"
    )
    return condition, [
        wanted,
        [shard_of_id(one) for one in wanted],
        types.NUMBER["Patient"],
        *arguments,
    ]


async def queue(conn: Connection, state: str, after: tuple[int, int], most: int) -> list[Pair]:
    """The pairs in this state, in the order of their rids, after that one."""
    rows = await conn.fetch(
        f"select {_PAIR} from person_link k where k.state = $1 and (k.one, k.other) > ($2, $3)"
        " order by k.one, k.other limit $4",
        state,
        *after,
        most,
    )
    return [Pair(*row) for row in rows]


async def saw_both(
    conn: Connection, ours: Collection[int], theirs: Collection[int], since: datetime
) -> list[int]:
    """rids of the organizations that were shown something of both charts since then.

    Of a victim service provider it is not told what it saw.
    """
    rows = await conn.fetch(
        "with chart as (select r.rid, r.patient = any($1::bigint[]) as ours from resource r"
        " where r.patient = any($1::bigint[] || $2::bigint[]))"
        " select a.organization from audit a cross join lateral unnest(a.rids) u(rid)"
        " join chart c on c.rid = u.rid where a.at >= $3 and a.rids && (select array_agg(rid) from chart)"
        f" and a.organization not in ({HUB}, {DIRECTORY}) and (a.outcome = 0 or a.outcome between 200 and 299)"
        " and not exists (select from party p where p.organization = a.organization and p.kind = 'vsp')"
        " group by a.organization having bool_or(c.ours) and bool_or(not c.ours) order by 1",
        sorted(ours),
        sorted(theirs),
        since,
    )
    return [row[0] for row in rows]
