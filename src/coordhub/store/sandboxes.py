"""Organizations of the sandbox: for each that is to come on board, one in its place among test data."""

from __future__ import annotations

from coordhub.store.engine import Connection


async def everyone(conn: Connection) -> frozenset[int]:
    """rids of all organizations of the sandbox."""
    return frozenset(row[0] for row in await conn.fetch("select organization from sandbox"))


async def place_of(conn: Connection, stands_for: int) -> int | None:
    """rid of the one in the place of this organization."""
    found: int | None = await conn.fetchval(
        "select organization from sandbox where stands_for = $1", stands_for
    )
    return found


async def make(conn: Connection, organization: int, stands_for: int) -> None:
    await conn.execute(
        "insert into sandbox (organization, stands_for) values ($1, $2)", organization, stands_for
    )
