"""What criteria match, for many criteria at once: the reading side of conditional interactions.

Criteria that are one identifier or code with its system, as nearly all are, go in one statement for
any number of them; each of the others is a search. All of it sees what is committed, nothing of the
transaction that asks.

http://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Final, TypeVar

from coordhub.r4 import types
from coordhub.r4.search import Criterion, Query, TokenValue
from coordhub.store import narrowing, search, vault
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

Key = TypeVar("Key", bound=Hashable)


MOST_LOCKS: Final = 64
"""Identities that one transaction locks one by one: Postgres' table of locks is shared and small."""


async def lock_identities(conn: Connection, organization: int, keys: Collection[int]) -> None:
    """Hold these identities of one organization until the transaction ends.

    organization: the lock of all its identities, taken shared before the keys in their order; or
    for many keys alone, so that a bundle of any size needs one lock and waits for nobody it shares
    nothing with but its organization.
    """
    if len(keys) > MOST_LOCKS:
        await conn.execute("select pg_advisory_xact_lock($1)", organization)
        return
    await conn.execute(
        "select pg_advisory_xact_lock_shared($1)"
        " union all select pg_advisory_xact_lock(k) from unnest($2::bigint[]) as k",
        organization,
        sorted(keys),
    )


async def find(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    queries: Mapping[Key, Query],
    *,
    limit: int,
    source: int | None = None,
) -> dict[Key, list[Version]]:
    """At most `limit` matches of each query that this viewer may see, by the query's key.

    source: only what this organization wrote.
    """
    plain = {key: token for key, query in queries.items() if (token := _token(query)) is not None}
    if vault.in_use().has(viewer.organization):  # whose rows hold digests (store.criteria)
        plain = {}
    found = await _find_tokens(conn, engine, viewer, queries, plain, limit=limit, source=source)
    others = {key: query for key, query in queries.items() if key not in plain}
    if others:  # on a connection that plans for the values
        async with engine.searches.acquire() as searching:
            for key, query in others.items():
                page = await search.search(
                    searching, engine, viewer, query, limit=limit, source=source
                )
                found[key] = page.versions
    return found


def _token(query: Query) -> tuple[int, TokenValue] | None:
    """The parameter and the value of a query that is one `system|code` and nothing else."""
    if len(query.criteria) != 1 or query != Query(query.resource_type, query.criteria):
        return None
    [criterion] = query.criteria
    if not isinstance(criterion, Criterion) or criterion.modifier or len(criterion.values) != 1:
        return None
    value = criterion.values[0]
    if not isinstance(value, TokenValue) or not value.system or value.code is None:
        return None
    return criterion.parameter.id, value


async def _find_tokens(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    queries: Mapping[Key, Query],
    plain: Mapping[Key, tuple[int, TokenValue]],
    *,
    limit: int,
    source: int | None,
) -> dict[Key, list[Version]]:
    found: dict[Key, list[Version]] = {key: [] for key in queries}
    if not plain:
        return found
    systems = await engine.known_systems(conn, {value.system or "" for _, value in plain.values()})
    keys = [key for key, (_, value) in plain.items() if value.system in systems]
    if not keys:
        return found
    for key in keys:
        viewer = narrowing.of_query(viewer, queries[key])
    condition, arguments = visible(viewer, "r", 8)
    rows = await conn.fetch(
        f"select m.*, w.position"
        " from unnest($1::int[], $2::smallint[], $3::smallint[], $4::int[], $5::text[])"
        " as w(position, type, param, system, code) cross join lateral ("
        f"select {COLUMNS}, {shown(viewer, 'r', 8)}"
        " from idx_token i join resource r on r.rid = i.rid and r.shard = i.shard"
        " where i.param = w.param and i.system = w.system and i.code = w.code and r.type = w.type"
        f" and r.body is not null and ($7::bigint is null or r.source = $7) and {condition}"
        " order by r.rid desc limit $6) m",
        list(range(len(keys))),
        [types.NUMBER[queries[key].resource_type] for key in keys],
        [plain[key][0] for key in keys],
        [systems[plain[key][1].system or ""] for key in keys],
        [plain[key][1].code for key in keys],
        limit,
        source,
        *arguments,
    )
    for row in rows:
        found[keys[row["position"]]].append(version_of(row))
    return found
