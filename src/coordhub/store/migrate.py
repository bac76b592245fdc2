"""Migrations, run by the program itself: Alembic over asyncpg.

https://alembic.sqlalchemy.org
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from coordhub.store import expunge, reporting, retention, roles, visibility

LOCK = 0x636F6F7264687562
"""Advisory lock (`coordhub` in ASCII): of several processes that start at once, one migrates."""


def scripts() -> Path:
    """The folder of the migrations: beside the source, or where the image keeps it."""
    for folder in (Path(__file__).parents[3] / "alembic", Path.cwd() / "alembic"):
        if (folder / "env.py").exists():
            return folder
    raise RuntimeError("The folder alembic/ is missing: run coordhub from its checkout or image.")


def asyncpg_url(url: str) -> str:
    """A `postgresql://` address as SQLAlchemy wants it for asyncpg."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


async def upgrade(url: str) -> None:
    """Bring the database at `url` (postgresql://...) to the newest version; waits for others that do."""
    engine = create_async_engine(asyncpg_url(url), poolclass=NullPool)
    try:
        async with engine.connect() as conn:
            await conn.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
            await conn.commit()
            await conn.run_sync(_upgrade)
            await conn.commit()
            await _replace_functions(conn)
            await conn.commit()
            raw = await conn.get_raw_connection()
            assert raw.driver_connection is not None
            await roles.grant(raw.driver_connection)
            await reporting.prepare(raw.driver_connection)
            await conn.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})
            await conn.commit()
    finally:
        await engine.dispose()


async def _replace_functions(conn: AsyncConnection) -> None:
    """Functions are no tables: the newest text replaces what there is, by whichever version."""
    raw = await conn.get_raw_connection()
    assert raw.driver_connection is not None
    for functions in (visibility.FUNCTIONS, expunge.FUNCTIONS, retention.FUNCTIONS):
        await raw.driver_connection.execute(functions)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
