"""The appointments of an order, as statements."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.resources import Version, read_rids
from coordhub.store.visibility import Viewer


async def statuses(
    conn: Connection, orders: Sequence[int], source: int, besides: int
) -> tuple[str, ...]:
    """Statuses of the Appointments that an organization made for these ServiceRequests, but for one."""
    known = parameters("Appointment")
    rows = await conn.fetch(
        "select i.code from idx_reference a join idx_token i on i.rid = a.rid and i.param = $3"
        " where a.target = any($1::bigint[]) and a.param = $2 and a.source = $4 and a.rid <> $5"
        " order by a.rid",
        list(orders),
        known["based-on"].id,
        known["status"].id,
        source,
        besides,
    )
    return tuple(row[0] for row in rows)


async def standing(
    conn: Connection, viewer: Viewer, orders: Sequence[int], source: int, statuses: Collection[str]
) -> list[Version]:
    """The Appointments in one of these states that an organization made for these ServiceRequests."""
    known = parameters("Appointment")
    rows = await conn.fetch(
        "select distinct a.rid from idx_reference a join idx_token i on i.rid = a.rid and i.param = $3"
        " where a.target = any($1::bigint[]) and a.param = $2 and a.source = $4 and i.code = any($5::text[])",
        list(orders),
        known["based-on"].id,
        known["status"].id,
        source,
        list(statuses),
    )
    found = await read_rids(conn, viewer, [row[0] for row in rows])
    return [one for one in found.values() if one.body is not None]
