"""Searches beyond one type: over several types, within a compartment, by the time of care; counts.

http://hl7.org/fhir/R4/search.html, http://hl7.org/fhir/R4/compartmentdefinition.html
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.r4 import types
from coordhub.r4.compartments import Compartment
from coordhub.r4.search import Query
from coordhub.store import narrowing, search
from coordhub.store.arguments import Arguments
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import COLUMNS, shard_of_id
from coordhub.store.search import Page
from coordhub.store.sorting import beyond, keys_of, order_by
from coordhub.store.visibility import Viewer, shown, visible


@dataclass(frozen=True, slots=True)
class During:
    """Only what happened at some time of [low, high), by these date parameters, or has no time."""

    parameters: tuple[int, ...]
    low: datetime
    high: datetime


async def search_types(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    queries: Sequence[Query],
    *,
    limit: int,
    after: Sequence[str] | None = None,
    within: Compartment | None = None,
    during: During | None = None,
    named: Collection[str] = (),
) -> Page:
    """One page of at most `limit` matches of any of the queries that this viewer may see.

    The queries differ in their type only; if they are several they sort by the store's own columns.
    after: `Page.next` of the page before. within: only what is in this compartment. named: as of `search`.
    """
    if len(queries) == 1 and within is None and during is None:
        [query] = queries
        return await search.search(
            conn, engine, viewer, query, limit=limit, after=after, named=named
        )
    arguments = Arguments()
    first = arguments.following
    where = await matching(conn, engine, viewer, queries, arguments, within, during)
    keys = keys_of(queries[0].sort)
    columns = "".join(f", {key.expression} as k{number}" for number, key in enumerate(keys))
    statement = (
        f"select {COLUMNS}, {shown(viewer, 'r', first)}"
        f"{''.join(f', r.k{number}::text' for number in range(len(keys)))}"
        f" from (select r.*{columns} from resource r where {where}) r"
    )
    if after is not None:
        statement += f" where {beyond(keys, after, arguments)}"
    statement += f" order by {order_by(keys)} limit {arguments.add(limit + 1, 'int')}"
    statement = search.of_more(statement, viewer, named, len(keys), arguments)
    rows = await search.in_time(conn.fetch(statement, *arguments.values))
    return Page.of(rows, limit)


async def count(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    queries: Sequence[Query],
    *,
    within: Compartment | None = None,
    most: int | None = None,
) -> int:
    """How many matches this viewer may see, over all pages; counting ends at `most`."""
    arguments = Arguments()
    where = await matching(conn, engine, viewer, queries, arguments, within)
    limit = "" if most is None else f" limit {arguments.add(most, 'int')}"
    statement = f"select count(*) from (select from resource r where {where}{limit}) r"
    found = await search.in_time(conn.fetchval(statement, *arguments.values))
    return int(found)


async def matching(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    queries: Sequence[Query],
    arguments: Arguments,
    within: Compartment | None = None,
    during: During | None = None,
) -> str:
    """The condition on `resource r`: one of the queries matches it, and this viewer may see it.

    The arguments of `visible` come first of what is added.
    """
    conditions = ["r.body is not null"]
    found_for = narrowed(viewer, queries, within)
    condition, values = visible(found_for, "r", arguments.following)
    arguments.extend(values)
    conditions.append(condition)
    if within is not None:
        conditions.append(_within(within, arguments))
    if during is not None:
        conditions.append(_during(during, arguments))
    if len(queries) > 1 and not queries[0].criteria:
        numbers = [types.NUMBER[query.resource_type] for query in queries]
        conditions.append(f"r.type = any({arguments.add(numbers, 'smallint[]')})")
        conditions += await search.conditions(
            conn, engine, viewer, [queries[0]], arguments, typed=False
        )
    else:
        conditions += await search.conditions(conn, engine, viewer, queries, arguments)
    return " and ".join(conditions)


def narrowed(viewer: Viewer, queries: Sequence[Query], within: Compartment | None) -> Viewer:
    """For whom rows of any of these queries are found."""
    for query in queries:
        viewer = narrowing.of_query(viewer, query)
    if within is not None:
        viewer = narrowing.of_compartment(viewer, (query.resource_type for query in queries))
    return viewer


def _within(within: Compartment, arguments: Arguments) -> str:
    """In the compartment: what refers to its owner, by whichever id, by one of the parameters; and the owner."""
    ids = [within.id, *within.beside]
    known = arguments.add(ids, "text[]")
    shards = arguments.add([shard_of_id(one) for one in ids], "smallint[]")
    number = arguments.add(types.NUMBER[within.type], "smallint")
    owner = (
        f"array(select t.rid from resource t where t.fhir_id = any({known}) and t.type = {number}"
        f" and t.shard = any(array(select unnest({shards}) union all select a.shard from assigned_id a"
        f" where a.type = {number} and a.fhir_id = any({known}))))"
    )
    return (
        f"r.rid in (select i.rid from idx_reference i where i.target = any({owner})"
        f" and i.param = any({arguments.add(list(within.parameters), 'smallint[]')})"
        f" union all select unnest({owner}))"
    )


def _during(during: During, arguments: Arguments) -> str:
    dated = (
        "exists (select from idx_date i where i.shard = r.shard and i.rid = r.rid"
        f" and i.param = any({arguments.add(list(during.parameters), 'smallint[]')})"
    )
    low, high = (arguments.add(at, "timestamptz") for at in (during.low, during.high))
    return f"(not {dated}) or {dated} and i.high > {low} and i.low < {high}))"
