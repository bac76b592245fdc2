"""Everything about one patient as one viewer may see it, row by row, with old versions if asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator

from coordhub.store.engine import Connection
from coordhub.store.resources import OF_BOTH, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

_VERSIONS = (
    "select r.version, r.op, r.updated, r.author, r.body, r.labels union all"
    " select o.version, o.op, o.updated, o.author, o.body, o.labels from resource_version o"
    " where o.shard = r.shard and o.rid = r.rid and $3"
)


async def chart(
    conn: Connection, viewer: Viewer, patient: int, *, source: int | None, history: bool
) -> AsyncIterator[Version]:
    """In a transaction that is open; the Patient first, deletions left out.

    source: only what this organization wrote.
    """
    condition, arguments = visible(viewer, "r", 4, OF_BOTH)
    rows = conn.cursor(
        "select r.rid, r.type, r.fhir_id, v.version, v.op, v.updated, v.author, r.source, r.patient, v.body,"
        f" {shown(viewer, 'r', 4, OF_BOTH)} from resource r cross join lateral ({_VERSIONS}) v"
        " where r.patient = $1 and ($2::bigint is null or r.source = $2) and v.body is not null"
        f" and {condition} order by r.rid <> $1, r.rid, v.version",
        patient,
        source,
        history,
        *arguments,
        prefetch=100,
    )
    async for row in rows:
        yield version_of(row)
