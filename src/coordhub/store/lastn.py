"""The newest Observations of each code, as one statement.

http://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from __future__ import annotations

from coordhub.r4.parameters import parameters
from coordhub.r4.search import Query
from coordhub.store import narrowing
from coordhub.store.arguments import Arguments
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.search_types import matching
from coordhub.store.visibility import Viewer, shown


async def newest(
    conn: Connection, engine: Engine, viewer: Viewer, query: Query, *, each: int, limit: int
) -> list[Version]:
    """At most `each` matches of one code, newest first, and `limit` in all.

    Two Observations are of one code if all their codings are the same, or, without any, their text.
    """
    arguments = Arguments()
    first = arguments.following
    viewer = narrowing.of_query(viewer, query, further=("code", "date"))
    where = await matching(conn, engine, viewer, [query], arguments)
    known = parameters("Observation")
    code = (
        "coalesce((select string_agg(i.system || '|' || i.code, ' ' order by i.system, i.code)"
        f" from idx_token i where i.rid = r.rid and i.param = {known['code'].id}),"
        " case when r.body like '{%' then r.body::jsonb #>> '{code,text}' end)"
    )
    at = (
        "coalesce((select max(i.high) from idx_date i where i.rid = r.rid"
        f" and i.param = {known['date'].id}), '-infinity')"
    )
    number = arguments.add(each, "bigint")
    most = arguments.add(limit, "int")
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', first)} from (select r.*, row_number() over (partition by r.same"
        " order by r.at desc, r.rid desc) as place"
        f" from (select r.*, {code} as same, {at} as at from resource r where {where}) r) r"
        f" where r.place <= {number} order by r.same, r.at desc, r.rid desc limit {most}",
        *arguments.values,
    )
    return [version_of(row) for row in rows]
