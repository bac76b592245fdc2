"""Database roles: the owner migrates, the application can add to the record but not rewrite it.

Migrations make the role APPLICATION, which logs in for nobody: a login of the deployment is made a
member of it, and whoever connects with more (development mode, tests) steps down to it. It reads and
writes what the hub works with, creates nothing, and of what is append-only it may neither update
nor delete nor truncate a row, save for the labels of versions. Expunging runs as the owner, by a command;
what a retention schedule of the owner has made due, one function of the database removes for whoever calls it.

https://www.postgresql.org/docs/current/user-manag.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

if TYPE_CHECKING:
    from coordhub.store.engine import Connection

APPLICATION: Final = "coordhub_app"

APPEND_ONLY: Final = (
    "attempt", "audit", "audit_seal", "card", "card_feedback", "emergency_review", "mending",
    "resource_version",
)  # fmt: skip

READ_ONLY: Final = ("alembic_version", "expunge", "expunged", "legal_hold", "retention")
"""What decides about removal: written by operators, as the owner, and by the database's own functions."""


def making(role: str, section: str) -> str:
    """SQL that makes a role which nobody logs in by, unless it is there; section: of docs/operations.md."""
    return f"""
do $$
begin
    if not exists (select from pg_roles where rolname = '{role}') then
        create role {role} nologin;
    end if;
exception
    when duplicate_object or unique_violation then null; -- by another database of this server
    when insufficient_privilege then
        raise notice 'The role {role} is not there and may not be made: docs/operations.md, {section}';
end
$$
"""


_GRANT: Final = f"""
do $$
declare
    name text;
begin
    if not exists (select from pg_roles where rolname = '{APPLICATION}') then
        return;
    end if;
    execute format('grant usage on schema %I to {APPLICATION}', current_schema);
    for name in
        select c.relname from pg_class c
        where c.relnamespace = current_schema::regnamespace and c.relkind in ('r', 'p')
    loop
        execute format('revoke all on %I from {APPLICATION}', name);
        execute format('grant select on %I to {APPLICATION}', name);
        if name <> all (array['{"', '".join(READ_ONLY)}']) then
            execute format('grant insert on %I to {APPLICATION}', name);
        end if;
        if name <> all (array['{"', '".join((*READ_ONLY, *APPEND_ONLY))}']) then
            execute format('grant update, delete on %I to {APPLICATION}', name);
        end if;
    end loop;
    -- labels are the hub's own mark on a version, and rise on all of them
    grant update (labels) on resource_version to {APPLICATION};
    execute format('grant usage on all sequences in schema %I to {APPLICATION}', current_schema);
end
$$
"""


async def grant(conn: Connection) -> None:
    """Make the role if that is permitted, and say anew what it may do with each table there is."""
    await conn.execute(making(APPLICATION, "Roles"))
    await conn.execute(_GRANT)


async def application(url: str) -> str:
    """The address under which the application connects: as APPLICATION, where `url` may become it."""
    conn = await asyncpg.connect(url)
    try:
        may = await conn.fetchval(
            "select pg_has_role(oid, 'member') from pg_roles where rolname = $1", APPLICATION
        )
    finally:
        await conn.close()
    return as_application(url) if may else url


def as_application(url: str) -> str:
    """The address of a login that may become APPLICATION, and does."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, f"role={APPLICATION}") if part)
    return urlunsplit(parts._replace(query=query))
