"""The migrations lead to the tables that the code means, as Postgres itself describes both."""

from __future__ import annotations

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from coordhub.store import migrate
from coordhub.store.tables import metadata

_DESCRIBED = (
    """
    select c.relname, c.relkind::text, c.reloptions::text, obj_description(c.oid, 'pg_class')
    from pg_class c where c.relnamespace = 'public'::regnamespace
    """,
    """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.attidentity::text, a.attcompression::text, a.attstorage::text, a.attstattarget,
           l.collname, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    left join pg_collation l on l.oid = a.attcollation
    where c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
    """,
    """
    select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'public'::regnamespace
    """,
    "select tablename, indexdef from pg_indexes where schemaname = 'public'",
    """
    select sequencename, data_type::text, start_value, increment_by, cache_size
    from pg_sequences where schemaname = 'public'
    """,
)


async def _described(url: str) -> set[tuple[object, ...]]:
    """All that the catalog says of the tables, order of columns aside."""
    connection = await asyncpg.connect(url)
    try:
        rows = [tuple(row) for query in _DESCRIBED for row in await connection.fetch(query)]
    finally:
        await connection.close()
    return {row for row in rows if "alembic_version" not in str(row[0])}


async def test_given_an_empty_database_when_upgraded_then_it_equals_the_tables(
    database_url: str, empty_database_url: str
) -> None:
    engine = create_async_engine(migrate.asyncpg_url(empty_database_url), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    migrated, meant = await _described(database_url), await _described(empty_database_url)
    assert len(meant) > 100
    assert sorted(map(str, migrated - meant)) == []
    assert sorted(map(str, meant - migrated)) == []


async def test_given_a_migrated_database_when_upgraded_again_then_nothing_changes(
    database_url: str,
) -> None:
    before = await _described(database_url)
    await migrate.upgrade(database_url)
    assert await _described(database_url) == before
