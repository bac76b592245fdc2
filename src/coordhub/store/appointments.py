"""The appointments of an order, as a statement."""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection


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
