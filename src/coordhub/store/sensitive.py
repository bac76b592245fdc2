"""The sensitivity classes of stored resources, and what operators decided about them.

The classes are a column beside the text: raised and lowered in place, in the current version and in
those before it, without a new version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from coordhub.r4 import types
from coordhub.store import feed, vault
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible


class CodeChange(NamedTuple):
    """listed: false for a code that was taken out of the list that coordhub brings."""

    name: str
    system: str
    code: str
    listed: bool


async def code_changes(conn: Connection) -> list[CodeChange]:
    """What operators changed in the code lists."""
    rows = await conn.fetch("select name, system, code, listed from label_code order by 1, 2, 3")
    return [CodeChange(*row) for row in rows]


async def set_code(conn: Connection, change: CodeChange) -> None:
    await conn.execute(
        "insert into label_code (name, system, code, listed) values ($1, $2, $3, $4)"
        " on conflict (name, system, code) do update set listed = excluded.listed",
        *change,
    )


async def sources(conn: Connection) -> dict[int, int]:
    """By organization the classes of all that it writes about people."""
    rows = await conn.fetch("select organization, labels from label_source")
    return {row[0]: row[1] for row in rows}


async def set_source(conn: Connection, organization: int, labels: int) -> None:
    """labels 0: nothing is sensitive because this organization wrote it."""
    await conn.execute(
        "with gone as (delete from label_source where organization = $1 and $2::bigint = 0)"
        " insert into label_source (organization, labels) select $1, $2 where $2::bigint <> 0"
        " on conflict (organization) do update set labels = excluded.labels",
        organization,
        labels,
    )


async def lowered(conn: Connection, rids: Iterable[int]) -> dict[int, int]:
    """What a privacy officer took away, of those of `rids` of which something was."""
    rows = await conn.fetch(
        "select rid, labels from label_lowered where rid = any($1::bigint[])", sorted(rids)
    )
    return {row[0]: row[1] for row in rows}


async def held(conn: Connection, rids: Iterable[int]) -> dict[int, int]:
    """The classes of these resources, which nobody changes before this transaction ends."""
    rows = await conn.fetch(
        "select r.rid, r.labels from unnest($1::bigint[]) w(rid)"
        " join resource r on r.rid = w.rid and r.shard = (w.rid & 255)::smallint"
        " order by r.rid for share of r",
        sorted(rids),
    )
    return {row[0]: row[1] for row in rows}


async def perhaps_derived(
    conn: Connection, viewer: Viewer, origins: Mapping[int, str], kinds: Sequence[str]
) -> list[Version]:
    """What may be derived from these (rid -> `Type/id`): of these types, and naming one of them.

    Found by the index of references, and in the charts of the origins' patients by the text: not
    every element that names an origin has a search parameter.
    """
    condition, arguments = visible(viewer, "r", 4)
    rows = await conn.fetch(
        "with o as (select * from unnest($1::bigint[], $2::text[]) as o(rid, name)), near as ("
        " select i.rid from o join idx_reference i on i.target = o.rid"
        " union select r.rid from o"
        " join resource p on p.rid = o.rid and p.shard = (o.rid & 255)::smallint"
        " join resource r on r.patient = p.patient and r.type = any($3::smallint[])"
        " where position(o.name in r.body) > 0)"
        f" select {COLUMNS}, {shown(viewer, 'r', 4)} from near join resource r on r.rid = near.rid"
        " and r.shard = (near.rid & 255)::smallint"
        f" where r.type = any($3::smallint[]) and r.body is not null and {condition}"
        " order by r.rid for update of r",
        list(origins),
        list(origins.values()),
        [types.NUMBER[kind] for kind in kinds],
        *arguments,
    )
    return [version_of(row) for row in rows]


async def raise_labels(conn: Connection, raised: Mapping[int, int]) -> None:
    """Add classes to resources, in all their versions."""
    await conn.execute(
        _IN_ALL_VERSIONS.format(labels="t.labels | n.labels"), list(raised), list(raised.values())
    )


async def lower_labels(conn: Connection, rid: int, labels: int) -> None:
    """Take classes from a resource, in all its versions, and remember that they were taken."""
    await conn.execute(
        "insert into label_lowered (rid, labels) values ($1, $2)"
        " on conflict (rid) do update set labels = label_lowered.labels | excluded.labels",
        rid,
        labels,
    )
    await conn.execute(_IN_ALL_VERSIONS.format(labels="t.labels & ~n.labels"), [rid], [labels])
    await feed.reveal(conn, [rid])


_IN_ALL_VERSIONS = """
with n as (select * from unnest($1::bigint[], $2::bigint[]) as n(rid, labels)), current as (
    update resource t set labels = {labels}
    from n where t.rid = n.rid and t.shard = (n.rid & 255)::smallint and t.labels <> {labels}
)
update resource_version t set labels = {labels}
from n where t.rid = n.rid and t.shard = (n.rid & 255)::smallint and t.labels <> {labels}
"""


async def some(conn: Connection, viewer: Viewer, *, after: int, most: int) -> list[Version]:
    """The next resources behind rid `after`, locked; deletions aside."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from resource r"
        f" where r.rid > $1 and r.body is not null and {condition}"
        " order by r.rid limit $2 for update",
        after,
        most,
        *arguments,
    )
    return [version_of(row) for row in rows]


async def bodies_before(conn: Connection, viewer: Viewer, rid: int) -> list[str]:
    """The texts of the versions that a resource had before, newest first."""
    condition, arguments = visible(viewer, "r", 2)
    rows = await conn.fetch(
        "select v.body from resource r join resource_version v on v.shard = r.shard and v.rid = r.rid"
        f" where r.rid = $1 and v.body is not null and {condition} order by v.version desc",
        rid,
        *arguments,
    )
    return [vault.in_use().open(rid, row[0]).body for row in rows]
