"""Passkeys of people, and what was asked of whom: each challenge is answered once, or never.

https://www.w3.org/TR/webauthn-3/#sctn-cryptographic-challenges
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.store import accounts
from coordhub.store.accounts import Person
from coordhub.store.engine import Connection

MOST: Final = 10
"""Of one person."""

_SWEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Passkey:
    """uses: what its authenticator counts; most count nothing. used_at: None where it was not used yet."""

    id: bytes
    key: bytes
    uses: int
    name: str
    made_at: datetime
    used_at: datetime | None


async def ask(
    conn: Connection, hashed: bytes, challenge: bytes, now: datetime, until: datetime
) -> None:
    """hashed: digest of what the browser holds. What it was asked before is forgotten, and what nobody answered."""
    await conn.execute(
        "with old as (delete from passkey_challenge where hash in (select hash from passkey_challenge"
        f"   where until <= $3 limit {_SWEPT} for update skip locked))"
        " insert into passkey_challenge (hash, challenge, until) values ($1, $2, $4)"
        " on conflict (hash) do update set challenge = $2, until = $4",
        hashed,
        challenge,
        now,
        until,
    )


async def asked(conn: Connection, hashed: bytes, now: datetime) -> bytes | None:
    """What this browser was asked; it may not answer it again."""
    found: bytes | None = await conn.fetchval(
        "delete from passkey_challenge where hash = $1 and until > $2 returning challenge",
        hashed,
        now,
    )
    return found


async def of(conn: Connection, person: str) -> list[Passkey]:
    rows = await conn.fetch(
        "select id, public_key, uses, name, made_at, used_at from person_passkey"
        " where person = $1 order by made_at, id",
        person,
    )
    return [Passkey(*row) for row in rows]


async def known(conn: Connection, passkey: bytes) -> tuple[Person, bytes, int] | None:
    """Whose it is, its public key, and how often it was used; also of who may come in no more."""
    row = await conn.fetchrow(
        f"select {accounts.COLUMNS}, k.public_key, k.uses from person_passkey k"
        " join person p on p.id = k.person where k.id = $1",
        passkey,
    )
    return None if row is None else (accounts.person_of(row), row[9], row[10])


async def use(conn: Connection, passkey: bytes, uses: int, now: datetime) -> bool:
    """False where another use has come before with as many."""
    used = await conn.fetchval(
        "update person_passkey set uses = $2, used_at = $3"
        " where id = $1 and (uses < $2 or (uses = 0 and $2 = 0)) returning 1",
        passkey,
        uses,
        now,
    )
    return used is not None


async def add(conn: Connection, person: str, one: Passkey) -> bool:
    """False where somebody has it, or the person has as many as it may. Within a transaction."""
    await conn.execute("select from person where id = $1 for update", person)
    added = await conn.fetchval(
        "insert into person_passkey (id, person, public_key, uses, name, made_at)"
        " select $1, $2, $3, $4, $5, $6 where (select count(*) from person_passkey where person = $2)"
        f" < {MOST} on conflict do nothing returning 1",
        one.id,
        person,
        one.key,
        one.uses,
        one.name,
        one.made_at,
    )
    return added is not None


async def set_up(
    conn: Connection, person: str, old: bytes, new: bytes, one: Passkey, until: datetime
) -> bool:
    """A passkey instead of password and telephone, and a session (hash `new`) in the place of all others.

    False where the session (hash `old`) in which it was set up is gone, or the passkey is somebody's. Within a
    transaction.
    """
    there = await conn.fetchval(
        "delete from person_session where hash = $1 and person = $2 and factor is not null returning hash",
        old,
        person,
    )
    if there is None or not await add(conn, person, one):
        return False
    await conn.execute(
        "update person set hash = '', password_until = null, factor = null, step = 0 where id = $1",
        person,
    )
    await conn.execute("delete from person_session where person = $1", person)
    await conn.execute(
        "insert into person_session (hash, person, seen_at, until) values ($1, $2, $3, $4)",
        new,
        person,
        one.made_at,
        until,
    )
    return True


async def remove(conn: Connection, person: str, passkey: bytes) -> bool:
    """False where it has none such, or no other way in. Within a transaction."""
    await conn.execute("select from person where id = $1 for update", person)
    gone = await conn.fetchval(
        "delete from person_passkey k using person p where k.id = $2 and k.person = $1 and p.id = $1"
        " and (p.factor is not null or p.password_until is not null"
        "  or exists (select from person_passkey o where o.person = $1 and o.id <> $2)"
        "  or exists (select from person_identity i where i.person = $1)) returning 1",
        person,
        passkey,
    )
    return gone is not None


async def remove_all(conn: Connection, person: str) -> int:
    """How many it had."""
    rows = await conn.fetch("delete from person_passkey where person = $1 returning 1", person)
    return len(rows)
