"""People of organizations: their accounts, their tries to sign in, their sessions.

Every try is counted before it is judged, and for every address, whether anybody has it or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from coordhub.store.engine import Connection

FAILURES: Final = 10
"""Tries of one e-mail address within WINDOW that did not let anybody in."""

WINDOW: Final = timedelta(hours=1)

IDLE: Final = timedelta(minutes=30)
"""A session that is not used ends after this."""


@dataclass(frozen=True, slots=True)
class Person:
    """organization: rid. roles: see `portal.desks`; of a patient, `patient` alone.

    password_until: of a first password. factor, step: see `access.totp`.
    """

    id: str
    organization: int
    email: str
    name: str
    roles: tuple[str, ...]
    active: bool
    password_until: datetime | None = None
    factor: bytes | None = None
    step: int = 0


@dataclass(frozen=True, slots=True)
class Secret:
    salt: bytes
    hash: bytes


COLUMNS = (
    "p.id, p.organization, p.email, p.name, p.roles, p.active, p.password_until, p.factor, p.step"
)


def person_of(row: asyncpg.Record) -> Person:
    """Of a row that begins with COLUMNS."""
    return Person(row[0], row[1], row[2], row[3], tuple(row[4]), *row[5:9])


async def by_email(conn: Connection, email: str) -> tuple[Person, Secret] | None:
    """Whose address it is; also of who may come in no more."""
    row = await conn.fetchrow(
        f"select {COLUMNS}, p.salt, p.hash from person p where p.email = $1", email
    )
    return None if row is None else (person_of(row), Secret(*row[9:]))


async def by_identity(conn: Connection, issuer: str, subject: str) -> Person | None:
    """Whose identity at another provider it is; also of who may come in no more."""
    row = await conn.fetchrow(
        f"select {COLUMNS} from person_identity i join person p on p.id = i.person"
        " where i.issuer = $1 and i.subject = $2",
        issuer,
        subject,
    )
    return None if row is None else person_of(row)


async def practitioner(conn: Connection, person: str) -> int | None:
    """rid of its own record in the directory."""
    found: int | None = await conn.fetchval("select practitioner from person where id = $1", person)
    return found


async def is_practitioner(conn: Connection, email: str, rid: int) -> str | None:
    """This is its record in the directory; its id."""
    found: str | None = await conn.fetchval(
        "update person set practitioner = $2 where email = $1 and roles <> array['patient'] returning id",
        email,
        rid,
    )
    return found


async def of(conn: Connection, organization: int | None) -> list[Person]:
    """Of an organization (rid), or of all."""
    rows = await conn.fetch(
        f"select {COLUMNS} from person p where $1::bigint is null or p.organization = $1"
        " order by p.organization, p.email",
        organization,
    )
    return [person_of(row) for row in rows]


async def hold_admins(conn: Connection, organization: int) -> int:
    """How many of its people are admins and may come in; nobody else changes them until this is over."""
    rows = await conn.fetch(
        "select id from person where organization = $1 and active and 'admin' = any(roles)"
        " order by id for update",
        organization,
    )
    return len(rows)


async def one_of(conn: Connection, organization: int, person: str) -> Person | None:
    """Who works for it, by its id; also of who may come in no more."""
    row = await conn.fetchrow(
        f"select {COLUMNS} from person p where p.id = $1 and p.organization = $2 and p.roles <> array['patient']",
        person,
        organization,
    )
    return None if row is None else person_of(row)


async def take_on(conn: Connection, email: str, roles: Sequence[str]) -> str | None:
    """These are its roles from now on; its id. None: nobody of an organization has the address."""
    found: str | None = await conn.fetchval(
        "update person set roles = $2 where email = $1 and roles <> array['patient'] returning id",
        email,
        list(roles),
    )
    return found


async def add(conn: Connection, one: Person, secret: Secret, now: datetime) -> bool:
    """False where the address is somebody's."""
    added = await conn.fetchval(
        "insert into person (id, organization, email, name, roles, salt, hash, password_until, factor, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (email) do nothing returning id",
        one.id,
        one.organization,
        one.email,
        one.name,
        list(one.roles),
        secret.salt,
        secret.hash,
        one.password_until,
        one.factor,
        now,
    )
    return added is not None


async def reset(conn: Connection, email: str, secret: Secret, until: datetime) -> str | None:
    """A first password again, no second factor, no passkey, no session, in again if it was out; its id."""
    found: str | None = await conn.fetchval(
        "update person set salt = $2, hash = $3, password_until = $4, factor = null, step = 0,"
        " active = true where email = $1 returning id",
        email,
        secret.salt,
        secret.hash,
        until,
    )
    if found is not None:
        await conn.execute("delete from person_passkey where person = $1", found)
        await out(conn, [found])
    return found


async def deactivate(conn: Connection, email: str) -> str | None:
    """It comes in no more, and is out; its id."""
    found: str | None = await conn.fetchval(
        "update person set active = false where email = $1 returning id", email
    )
    if found is not None:
        await out(conn, [found])
    return found


async def deactivate_all(conn: Connection, organization: int) -> list[str]:
    """All of an organization."""
    rows = await conn.fetch(
        "update person set active = false where organization = $1 and active returning id",
        organization,
    )
    gone = [row[0] for row in rows]
    await out(conn, gone)
    return gone


async def out(conn: Connection, persons: list[str]) -> None:
    """Their sessions end, and what they allowed apps."""
    await conn.execute("delete from person_session where person = any($1::text[])", persons)
    await conn.execute(
        "update app_permission set ended_at = now() where person = any($1::text[]) and ended_at is null",
        persons,
    )


async def try_to_sign_in(conn: Connection, name: bytes, now: datetime) -> bool:
    """Count one try; False where there were too many."""
    counted = await conn.fetchval(
        "insert into sign_in as s (name, failures, counted_from) values ($1, 1, $2)"
        " on conflict (name) do update set"
        " failures = case when s.counted_from <= $3 then 1 else s.failures + 1 end,"
        " counted_from = case when s.counted_from <= $3 then $2 else s.counted_from end"
        f" where s.failures < {FAILURES} or s.counted_from <= $3 returning 1",
        name,
        now,
        now - WINDOW,
    )
    return counted is not None


async def use_code(conn: Connection, person: str, step: int) -> bool:
    """Whether this code was not used yet; it is now."""
    used = await conn.fetchval(
        "update person set step = $2 where id = $1 and step < $2 returning id", person, step
    )
    return used is not None


async def begin(
    conn: Connection,
    person: str,
    name: bytes,
    hashed: bytes,
    factor: bytes | None,
    now: datetime,
    until: datetime,
) -> None:
    """A session; factor: that is to be set up first. What was tried before is forgotten."""
    async with conn.transaction():
        await conn.execute(
            "delete from sign_in where name = $1 or counted_from <= $2", name, now - WINDOW
        )
        await conn.execute(
            "delete from person_session where until <= $1 or seen_at <= $2", now, now - IDLE
        )
        await conn.execute(
            "insert into person_session (hash, person, factor, seen_at, until) values ($1, $2, $3, $4, $5)",
            hashed,
            person,
            factor,
            now,
            until,
        )


async def session(
    conn: Connection, hashed: bytes, now: datetime
) -> tuple[Person, bytes | None, datetime] | None:
    """Who is there, the factor that it is setting up, and when it ends; None: nobody (any more)."""
    row = await conn.fetchrow(
        f"select {COLUMNS}, s.factor, s.seen_at, s.until from person_session s join person p on p.id = s.person"
        " where s.hash = $1 and s.until > $2 and s.seen_at > $3 and p.active",
        hashed,
        now,
        now - IDLE,
    )
    if row is None:
        return None
    if now - row[10] >= timedelta(minutes=1):
        await conn.execute("update person_session set seen_at = $2 where hash = $1", hashed, now)
    return person_of(row), row[9], row[11]


async def there(conn: Connection, hashes: list[bytes], now: datetime) -> dict[bytes, Person]:
    """Who is there whole, by the hash of its session, of these that go on; none is used by that."""
    rows = await conn.fetch(
        f"select {COLUMNS}, s.hash from person_session s join person p on p.id = s.person"
        " where s.hash = any($1::bytea[]) and s.until > $2 and s.seen_at > $3 and s.factor is null and p.active",
        hashes,
        now,
        now - IDLE,
    )
    return {row["hash"]: person_of(row) for row in rows}


async def set_up(
    conn: Connection,
    person: str,
    old: bytes,
    new: bytes,
    secret: Secret,
    factor: bytes,
    step: int,
    until: datetime,
    now: datetime,
) -> bool:
    """Its own password and second factor, and a session (hash `new`) in the place of all others.

    False where the session (hash `old`) in which it was set up is gone.
    """
    async with conn.transaction():
        there = await conn.fetchval(
            "delete from person_session where hash = $1 and person = $2 and factor is not null returning hash",
            old,
            person,
        )
        if there is None:
            return False
        await conn.execute(
            "update person set salt = $2, hash = $3, password_until = null, factor = $4, step = $5 where id = $1",
            person,
            secret.salt,
            secret.hash,
            factor,
            step,
        )
        await conn.execute("delete from person_session where person = $1", person)
        await conn.execute(
            "insert into person_session (hash, person, seen_at, until) values ($1, $2, $3, $4)",
            new,
            person,
            now,
            until,
        )
    return True


async def end(conn: Connection, hashed: bytes) -> None:
    await conn.execute("delete from person_session where hash = $1", hashed)
