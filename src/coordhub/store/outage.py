"""When Postgres does not answer: exceptions that mean "not now", and the question if it does."""

from __future__ import annotations

from typing import Final

import asyncpg

from coordhub.store.engine import Engine

_OUTAGE: Final[tuple[type[Exception], ...]] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
)


def is_outage(error: BaseException) -> bool:
    """Whether Postgres was refused, lost, starting, stopping, full, or slower than the time limit.

    asyncpg's InterfaceError is one where a connection closed under us; as a ValueError it is a
    wrong argument, which is a fault of ours.
    """
    return isinstance(error, _OUTAGE) and not isinstance(error, ValueError)


async def answers(engine: Engine, *, within_seconds: float) -> bool:
    """Whether in that time a connection is had and a statement on a migrated database answered."""
    try:
        async with engine.pool.acquire(timeout=within_seconds) as conn:
            migrated = await conn.fetchval(
                "select to_regclass('resource') is not null and to_regclass('audit') is not null",
                timeout=within_seconds,
            )
    except Exception as error:
        if is_outage(error):
            return False
        raise
    return bool(migrated)
