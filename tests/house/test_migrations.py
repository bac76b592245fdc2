"""Migrations lead to the tables that the code means and back, and wait for no lock long."""

from __future__ import annotations

import re

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, Table, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from coordhub.store import migrate
from coordhub.store.tables import metadata

VERSIONS = sorted((migrate.scripts() / "versions").glob("*.py"))

Constraints = dict[tuple[str, str], str]


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, metadata))


def _checks(connection: Connection, tables: list[Table]) -> Constraints:
    """CHECK constraints as Postgres writes them; Alembic does not compare these."""
    found = connection.execute(
        text(
            "select c.relname, k.conname, pg_get_constraintdef(k.oid) from pg_constraint k"
            " join pg_class c on c.oid = k.conrelid"
            " where k.contype = 'c' and c.relname = any(:names)"
        ),
        {"names": [table.name for table in tables]},
    )
    return {(table, name): definition for table, name, definition in found}


def _partial_indexes(connection: Connection) -> dict[str, str]:
    """Indexes with their columns, order and condition; Alembic does not compare the conditions."""
    found = connection.execute(
        text(
            "select indexname, indexdef from pg_indexes where schemaname = current_schema"
            " and tablename <> 'alembic_version'"
        )
    )
    return {name: re.sub(r" ON \w+\.", " ON ", definition) for name, definition in found}


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
async def test_given_an_empty_database_when_upgraded_then_it_equals_the_tables(
    database_url: str,
) -> None:
    engine = create_async_engine(migrate.asyncpg_url(database_url), poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
        await connection.execute(text("ALTER TABLE delivery ADD COLUMN stray int"))
        await connection.execute(text("ALTER TABLE delivery ALTER attempts SET DEFAULT 7"))
        found = str(await connection.run_sync(_differences))
        assert "stray" in found, "the comparison sees no column"
        assert "modify_default" in found, "the comparison sees no default"
        await connection.rollback()
    await engine.dispose()


async def test_given_the_tables_made_anew_when_compared_then_checks_and_indexes_are_the_same(
    database_url: str, empty_database_url: str
) -> None:
    migrated = create_async_engine(migrate.asyncpg_url(database_url), poolclass=NullPool)
    made = create_async_engine(migrate.asyncpg_url(empty_database_url), poolclass=NullPool)
    tables = list(metadata.tables.values())
    async with migrated.connect() as one, made.connect() as other:
        await other.run_sync(metadata.create_all)
        meant = await other.run_sync(_checks, tables)
        assert len(meant) == sum(
            isinstance(each, CheckConstraint) for table in tables for each in table.constraints
        )
        assert await one.run_sync(_checks, tables) == meant
        assert await one.run_sync(_partial_indexes) == await other.run_sync(_partial_indexes)
        await one.execute(text("ALTER TABLE delivery DROP CONSTRAINT delivery_state_known"))
        assert await one.run_sync(_checks, tables) != meant, "the comparison sees no check"
        await one.rollback()
    await migrated.dispose()
    await made.dispose()


async def test_given_a_migrated_database_when_upgraded_again_then_nothing_changes(
    database_url: str,
) -> None:
    await migrate.upgrade(database_url)


def _downgrade(connection: Connection) -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(migrate.scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.downgrade(config, "base")
    return inspect(connection).get_table_names() + inspect(connection).get_sequence_names()


async def test_given_a_migrated_database_when_downgraded_to_the_base_then_nothing_is_left(
    database_url: str,
) -> None:
    engine = create_async_engine(migrate.asyncpg_url(database_url), poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(_downgrade) == ["alembic_version"]
        await connection.commit()
    await engine.dispose()
    await migrate.upgrade(database_url)


async def test_given_a_table_in_use_when_migrated_then_it_gives_up_soon(
    empty_database_url: str,
) -> None:
    engine = create_async_engine(migrate.asyncpg_url(empty_database_url), poolclass=NullPool)
    limits: list[str] = []

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrate.scripts()).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        limits.append(str(connection.execute(text("show lock_timeout")).scalar()))

    async with engine.connect() as connection, connection.begin():
        await connection.run_sync(upgrade)
    await engine.dispose()
    assert limits == ["5s"]


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.name)
def test_given_a_migration_when_read_then_it_does_not_lift_the_time_limit_on_locks(path) -> None:
    """env.py sets it for all, in each migration's transaction; none may set its own or leave it."""
    source = path.read_text()
    assert "lock_timeout" not in source
    assert "autocommit_block" not in source
