"""Database roles: what the application's own may not do, whatever its code says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from open_hub import House, observation, patient

from coordhub.store import migrate, roles


@pytest.fixture
async def application(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection as the application makes it."""
    conn = await asyncpg.connect(await roles.application(database_url))
    yield conn
    await conn.close()


async def test_given_a_house_when_it_works_then_it_does_so_as_the_application(house: House) -> None:
    assert await house.rows("select current_user::text") == [(roles.APPLICATION,)]
    who = await house.create(house.clinic, patient())
    made = await house.create(house.clinic, observation(who.reference))
    await house.update(house.clinic, made.id, observation(who.reference, "8.1"))
    assert await house.rows("select version from resource_version where rid = $1", made.rid)


@pytest.mark.parametrize("table", roles.APPEND_ONLY)
async def test_given_an_append_only_table_when_the_application_rewrites_it_then_it_may_not(
    application: asyncpg.Connection[asyncpg.Record], table: str
) -> None:
    column = await application.fetchval(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum = 1", table
    )
    for text in (
        f"update {table} set {column} = {column}", f"delete from {table}", f"truncate {table}",
        f"alter table {table} disable trigger all", f"drop table {table}",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await application.execute(text)
    await application.fetch(f"select from {table}")


async def test_given_a_version_when_the_application_labels_it_then_it_may_and_nothing_more(
    application: asyncpg.Connection[asyncpg.Record],
) -> None:
    await application.execute("update resource_version set labels = labels | 1")
    for column in ("body", "author", "updated", "op"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await application.execute(f"update resource_version set {column} = {column}")


@pytest.mark.parametrize(
    "text",
    [
        "create table stray (a int)", "alter table resource add column stray int",
        "create function stray() returns int language sql as 'select 1'", "truncate resource",
        "update alembic_version set version_num = '0'", "create role stray",
        "alter table audit owner to current_user",
    ],
)  # fmt: skip
async def test_given_the_application_when_it_defines_anything_then_it_may_not(
    application: asyncpg.Connection[asyncpg.Record], text: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await application.execute(text)


async def test_given_a_table_made_later_when_migrated_again_then_the_application_may_use_it(
    database_url: str, application: asyncpg.Connection[asyncpg.Record]
) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("create table later (a int)")
    await owner.execute(f"grant update on audit to {roles.APPLICATION}")
    await owner.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await application.execute("insert into later values (1)")
    await migrate.upgrade(database_url)
    await application.execute("insert into later values (1)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await application.execute("update audit set outcome = 1")


async def test_given_a_login_that_may_not_become_the_application_when_asked_then_it_stays_itself(
    database_url: str,
) -> None:
    as_application = await roles.application(database_url)
    assert as_application.endswith(f"role={roles.APPLICATION}")
    owner = await asyncpg.connect(database_url)
    name = f"login_{(await owner.fetchval('select current_database()'))}"
    await owner.execute(f"create role {name} superuser")
    try:
        own = f"{database_url}{'&' if '?' in database_url else '?'}role={name}"
        assert (await roles.application(own)).endswith(f"role={roles.APPLICATION}")
        await owner.execute(f"alter role {name} nosuperuser")
        assert await roles.application(own) == own
    finally:
        await owner.execute(f"drop role {name}")
        await owner.close()


async def test_given_a_migrator_that_may_make_no_role_when_migrated_then_the_tables_are_there(
    empty_database_url: str,
) -> None:
    """On a server that other tests have given the role, nothing is granted that could not be."""
    owner = await asyncpg.connect(empty_database_url)
    name = f"migrator_{(await owner.fetchval('select current_database()'))}"
    await owner.execute(f"create role {name} login")
    await owner.execute(f"grant create on schema public to {name}")
    try:
        conn = await asyncpg.connect(empty_database_url, server_settings={"role": name})
        await conn.execute("create table audit (a int)")
        await conn.execute("create table resource_version (labels bigint)")
        await roles.grant(conn)
        assert await conn.fetchval("select count(*) from audit") == 0
        await conn.close()
    finally:
        await owner.execute(f"drop owned by {name}")
        await owner.execute(f"drop role {name}")
        await owner.close()
