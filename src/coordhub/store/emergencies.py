"""How often an organization tried to open records in an emergency, from the audit."""

from __future__ import annotations

from datetime import datetime

from coordhub.store.engine import Connection

INTERACTION = "$break-glass"


async def tries(conn: Connection, organization: int, since: datetime) -> int:
    """Those that were looked into since then; holds off the organization's next until the transaction ends."""
    await conn.execute(
        "select pg_advisory_xact_lock(hashtext('coordhub.break-glass'), hashtext($1))",
        str(organization),
    )
    counted: int = await conn.fetchval(
        "select count(*) from audit where organization = $1 and interaction = '$break-glass'"
        " and at > $2 and outcome in (200, 404)",
        organization,
        since,
    )
    return counted
