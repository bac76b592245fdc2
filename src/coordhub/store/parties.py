"""What kind of party an organization is, as the directory and operators say."""

from __future__ import annotations

from coordhub.store.engine import Connection


async def kind_of(conn: Connection, organization: int) -> str:
    """treatment, social, vsp or person; who is not known is social."""
    found = await conn.fetchval("select kind from party where organization = $1", organization)
    return found or "social"
