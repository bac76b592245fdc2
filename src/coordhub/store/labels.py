"""The tags and security labels in use among resources, as one statement.

http://hl7.org/fhir/R4/resource-operation-meta.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from coordhub.r4 import sensitivity, types
from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer, visible


class Label(NamedTuple):
    """element: security or tag. system: empty where none was stated."""

    element: str
    system: str
    code: str


async def in_use(
    conn: Connection, viewer: Viewer, kinds: Sequence[str], *, most: int
) -> list[Label]:
    """The labels on resources of these types that this viewer may see, at most `most`."""
    condition, arguments = visible(viewer, "r", 4)
    tags, security = (
        [parameters(kind)[code].id for kind in kinds if code in parameters(kind)]
        for code in ("_tag", "_security")
    )
    rows = await conn.fetch(
        "select distinct case when i.param = any($1::smallint[]) then 'tag' else 'security' end,"
        " coalesce(s.uri, ''), i.code from idx_token i"
        " join resource r on r.shard = i.shard and r.rid = i.rid"
        " left join code_system s on s.id = i.system"
        " where i.param = any($1::smallint[] || $2::smallint[]) and r.body is not null"
        f" and {condition} order by 1, 2, 3 limit $3::int",
        tags,
        security,
        most,
        *arguments,
    )
    found = [Label(*row) for row in rows]
    return [*found, *(one for one in await _of_the_hub(conn, viewer, kinds) if one not in found)][
        :most
    ]


async def _of_the_hub(conn: Connection, viewer: Viewer, kinds: Sequence[str]) -> list[Label]:
    """Those that the hub shows for the classes it found, though no author wrote them."""
    condition, arguments = visible(viewer, "r", 2)
    bits = await conn.fetchval(
        "select bit_or(r.labels) from resource r where r.type = any($1::smallint[])"
        f" and r.labels <> 0 and r.body is not null and {condition}",
        [types.NUMBER[kind] for kind in kinds],
        *arguments,
    )
    return [Label("security", one["system"], one["code"]) for one in sensitivity.codings(bits or 0)]
