"""Pages that Postgres looks at: unlike milliseconds they are the same however busy the machine is.

https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-DATABASE-VIEW
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

SETTLED: Final = 11
"""Seconds after which a backend that does nothing more has told what it did."""


@dataclass(slots=True)
class Cost:
    """pages: of 8 kB, found in memory or read."""

    pages: int = 0


@asynccontextmanager
async def counting(url: str) -> AsyncIterator[Cost]:
    """What all backends of this database look at meanwhile; known when the block is left."""
    cost = Cost()
    conn = await asyncpg.connect(url)
    try:
        before = await _pages(conn)
        yield cost
        await asyncio.sleep(SETTLED)
        cost.pages = await _pages(conn) - before
    finally:
        await conn.close()


async def _pages(conn: Any) -> int:
    found: int = await conn.fetchval(
        "select blks_hit + blks_read from pg_stat_database where datname = current_database()"
    )
    return found
