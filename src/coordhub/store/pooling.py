"""Behind a pooler that lends a connection for one transaction at a time, such as PgBouncer.

https://www.pgbouncer.org/config.html

What a session is given when it begins never reaches the server there: neither a time limit of statements, nor what
absent consent means, nor the role that may not rewrite the record. So it stands with the logins by which the pooler
connects (`alter role ... set`), one for what is looked up and written and one for searches, which plan otherwise.
Every connection is asked whether it is in force before anything else, and is not used where it is not. Prepared
statements outlive a transaction, which PgBouncer can do from 1.21 on; that is tried once. What holds a session,
LISTEN and locks that outlive a transaction, goes to Postgres directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from coordhub.store.roles import APPLICATION
from coordhub.telemetry import log

ROLE = {"role": APPLICATION}
"""Whatever else a login may: through a pooler it steps down as it does without."""


class NotInForceError(ConnectionError):
    """The pooler loses what the hub relies on; the text says what, and what to do."""


class CannotSetError(Exception):
    """Postgres does not permit it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """Addresses beside that of the pooler. searches: the pooler, by the login for searches. direct: Postgres."""

    searches: str
    direct: str


_IN_FORCE = """
select n.name, coalesce(s.setting, current_setting(n.name, true))
from unnest($1::text[]) as n(name) left join pg_settings s on s.name = n.name
"""


async def compare(conn: asyncpg.Connection[asyncpg.Record], wanted: Mapping[str, str]) -> None:
    """Raise NotInForceError if one of these settings is not as it must be; in the units of pg_settings."""
    there = {row[0]: row[1] for row in await conn.fetch(_IN_FORCE, list(wanted))}
    wrong = sorted(name for name in wanted if there[name] != wanted[name])
    if wrong:
        log("pooler.refused", level="error", settings=", ".join(wrong))
        said = ", ".join(
            f"{name} is {there[name] or 'not set'}, not {wanted[name]}" for name in wrong
        )
        raise NotInForceError(
            f"through the pooler {said}. Run `coordhub pooler`, then have the pooler connect anew (RECONNECT)."
        )


async def keeps_statements(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    """Raise NotInForceError if what is prepared on one server connection is not known on the next.

    The one it was prepared on is held by another client meanwhile.
    """
    async with pool.acquire() as one, pool.acquire() as other:
        prepared = await one.prepare("select 1")
        await prepared.fetchval()  # done with it, so that the pooler may lend it
        async with other.transaction():
            try:
                await prepared.fetchval()
            except asyncpg.InvalidSQLStatementNameError:
                log("pooler.refused", level="error", settings="max_prepared_statements")
                raise NotInForceError(
                    "the pooler loses prepared statements. It needs PgBouncer 1.21 or later, with"
                    " max_prepared_statements = 500 (docs/scale.md)."
                ) from None


_SAYING = "select format('alter role %I in database %I set %s = %L', $1::text, current_database(), $2::text, $3::text)"


async def begin_with(
    url: str, by_login: Mapping[str, Mapping[str, str]], *, write_only: bool = False
) -> list[str]:
    """Have these logins begin with settings of their own, and ROLE; the SQL. url: of Postgres, by a superuser.

    write_only: change nothing. Raises CannotSetError.
    """
    conn = await asyncpg.connect(url)
    try:
        texts = [
            await conn.fetchval(_SAYING, login, *each)
            for login, settings in by_login.items()
            for each in {**settings, **ROLE}.items()
        ]
        if not write_only:
            async with conn.transaction():
                for text in texts:
                    await conn.execute(text)
        return texts
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedObjectError) as error:
        raise CannotSetError(
            f"{error}. Create both logins, and run this, or what --print says, as a superuser."
        ) from None
    finally:
        await conn.close()


__all__ = [
    "CannotSetError",
    "NotInForceError",
    "Pooled",
    "begin_with",
    "compare",
    "keeps_statements",
]
