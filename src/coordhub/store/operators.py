"""Operators: who may operate the hub by HTTP, and what of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Known:
    """scopes: the most it may do."""

    name: str
    scopes: str
    active: bool


async def read(conn: Connection, name: str) -> Known | None:
    row = await conn.fetchrow("select name, scopes, active from operator where name = $1", name)
    return None if row is None else Known(*row)


async def everyone(conn: Connection) -> list[Known]:
    rows = await conn.fetch("select name, scopes, active from operator order by name")
    return [Known(*row) for row in rows]


async def register(conn: Connection, name: str, scopes: str, now: datetime) -> None:
    """Make it, or give it these scopes and let it in again."""
    await conn.execute(
        "insert into operator (name, scopes, created_at) values ($1, $2, $3)"
        " on conflict (name) do update set scopes = excluded.scopes, active = true",
        name,
        scopes,
        now,
    )


async def deactivate(conn: Connection, name: str) -> bool:
    found = await conn.fetchval(
        "update operator set active = false where name = $1 returning name", name
    )
    return found is not None
