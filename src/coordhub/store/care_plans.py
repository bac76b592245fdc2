"""Which plans of care name what, and with whom they are shared, as statements."""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection


async def naming(conn: Connection, rids: Sequence[int]) -> list[int]:
    """The CarePlans that name one of these CareTeams or Goals."""
    known = parameters("CarePlan")
    rows = await conn.fetch(
        "select distinct rid from idx_reference where target = any($1::bigint[])"
        " and param = any($2::smallint[]) order by rid",
        list(rids),
        [known["care-team"].id, known["goal"].id],
    )
    return [row[0] for row in rows]


async def shared(conn: Connection, plan: int) -> set[tuple[int, int]]:
    """(organization, rid) of what a plan shares now."""
    rows = await conn.fetch(
        "select organization, rid from access_grant where because = $1 and rule = 'team' and until is null",
        plan,
    )
    return {(row[0], row[1]) for row in rows}
