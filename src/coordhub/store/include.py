"""What a page of matches brings along: `_include` and `_revinclude` as one statement.

References are followed in the index. Each step, also one that `:iterate` makes from what was
included, goes only through resources that the viewer may see: nothing is reached across a hidden
one.

http://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coordhub.r4 import types
from coordhub.r4.search_result import ANY, Include
from coordhub.store import narrowing
from coordhub.store.arguments import Arguments
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, WIDTH, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible


async def included(
    conn: Connection,
    viewer: Viewer,
    matches: Sequence[Version],
    includes: Sequence[Include],
    *,
    most: int,
) -> list[Version] | None:
    """What the matches bring along, each once and no match again; None if it is more than `most`."""
    arguments = Arguments()
    wants = (
        f"select * from unnest({arguments.add([one.parameter for one in includes], 'smallint[]')},"
        f" {arguments.add([one.target for one in includes], 'smallint[]')},"
        f" {arguments.add([one.reverse for one in includes], 'boolean[]')},"
        f" {arguments.add([one.iterate for one in includes], 'boolean[]')},"
        # one array for each, written out: unnest would take an array of arrays for one of numbers
        f" {arguments.add([_datasets(viewer, one) for one in includes], 'text[]')})"
    )
    rids = arguments.add([match.rid for match in matches], "bigint[]")
    numbers = arguments.add([types.NUMBER[match.type] for match in matches], "smallint[]")
    named, values = visible(viewer, "s", arguments.following, datasets="w.datasets::smallint[]")
    arguments.extend(values)
    steps = " union all ".join(_steps(includes, arguments, named))
    enough = len(matches) * 2 + most + 1
    limit = arguments.add(enough, "int")
    first = arguments.following
    condition, values = visible(viewer, "r", first)
    arguments.extend(values)
    rows = await conn.fetch(
        f"with recursive wants(param, target, reverse, iterate, datasets) as materialized ({wants}),"
        " found(rid, type, matched) as ("
        f" select m.rid, m.type, true from unnest({rids}, {numbers}) m(rid, type)"
        " union"
        f" select r.rid, r.type, false from found f cross join lateral ({steps}) n(rid, wanted)"
        " join resource r on r.rid = n.rid and r.shard = (n.rid & 255)::smallint"
        f" where r.body is not null and (n.wanted = 0 or n.wanted = r.type) and {condition}"
        f"), bounded as materialized (select * from found limit {limit})"
        f" select {COLUMNS}, {shown(viewer, 'r', first)}, (select count(*) from bounded) from resource r"
        " where (r.shard, r.rid) in (select (b.rid & 255)::smallint, b.rid from bounded b"
        f" where not b.matched) and r.rid <> all({rids}) order by r.type, r.rid",
        *arguments.values,
    )
    if rows and (len(rows) > most or rows[0][WIDTH] >= enough):
        return None
    return [version_of(row) for row in rows]


def _datasets(viewer: Viewer, one: Include) -> str | None:
    """The data sets that show what this follows, as Postgres writes an array; None: whatever shows."""
    datasets = narrowing.of_number(viewer, one.parameter).datasets
    return None if datasets is None else f"{{{','.join(map(str, sorted(datasets)))}}}"


def _steps(includes: Sequence[Include], arguments: Arguments, named: str) -> Iterator[str]:
    """From a row `f`: rid of what it leads to, and the type that this must have (0: any).

    named: the condition on `resource s`, whose reference it is, under which the viewer is shown it,
    by what `wants w` says of the parameter.
    """
    told = f" join resource s on s.rid = i.rid and s.shard = (i.rid & 255)::smallint and {named}"
    wanted = "(w.param = 0 or w.param = i.param) and (f.matched or w.iterate)"
    backwards = [one.parameter for one in includes if one.reverse]
    if len(backwards) < len(includes):
        yield (
            f"select i.target, w.target from idx_reference i join wants w on not w.reverse and {wanted}{told}"
            " where i.rid = f.rid and i.target is not null"
        )
    if backwards:
        named = (
            ""
            if ANY in backwards
            else f" and i.param = any({arguments.add(backwards, 'smallint[]')})"
        )
        yield (
            f"select i.rid, 0::smallint from idx_reference i join wants w on w.reverse and {wanted}{told}"
            f" where i.target = f.rid and (w.target = 0 or w.target = f.type){named}"
        )
