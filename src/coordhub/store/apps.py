"""What people let apps do, and the codes and refresh tokens that come of it; each of these is good once.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc9700#section-4.14

Kept as digests. One that comes a second time was stolen from somebody: all that the permission gave ends then
(`end`). Whoever ends one first, in whichever process, has ended it for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from coordhub.store.engine import Connection

_SWEPT = 20


@dataclass(frozen=True, slots=True)
class Permission:
    """person: id of who allowed it. organization: rid of whom the app acts for; patient: in whose context (rid).
    task: rid of the Task that the app was opened at.

    asked: what the app asked for, scopes: what of it was allowed; both as SMART states them.
    """

    id: UUID
    client: str
    person: str
    organization: int
    patient: int | None
    asked: str
    scopes: str
    at: datetime
    task: int | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """challenge: of PKCE. spent: it had been used before."""

    permission: UUID
    redirect_uri: str
    challenge: str
    nonce: str | None
    expires_at: datetime
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    permission: UUID
    expires_at: datetime
    spent: bool = False


_COLUMNS = "p.id, p.client, p.person, p.organization, p.patient, p.asked, p.scopes, p.at, p.task"


async def allow(conn: Connection, one: Permission, code: bytes, given: Code) -> None:
    """Note what was allowed, and the code that the app gets for it. Old codes go."""
    await conn.execute(
        "insert into app_permission (id, client, person, organization, patient, asked, scopes, at, task)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        one.id,
        one.client,
        one.person,
        one.organization,
        one.patient,
        one.asked,
        one.scopes,
        one.at,
        one.task,
    )
    # One that is used has to be known as that for as long as what it gave.
    await conn.execute(
        "with old as (delete from app_code where digest in (select digest from app_code"
        f"   where expires_at <= $7::timestamptz - interval '1 day' limit {_SWEPT} for update skip locked))"
        " insert into app_code (digest, permission, client, redirect_uri, challenge, nonce, expires_at)"
        " values ($1, $2, $3, $4, $5, $6, $8)",
        code,
        given.permission,
        one.client,
        given.redirect_uri,
        given.challenge,
        given.nonce,
        one.at,
        given.expires_at,
    )


async def spend_code(conn: Connection, digest: bytes, client: str, now: datetime) -> Code | None:
    """Use up a code of this client; None: it has none such."""
    row = await conn.fetchrow(
        "update app_code c set used_at = $3 from (select digest, used_at from app_code"
        "   where digest = $1 and client = $2 for update) before where c.digest = before.digest"
        " returning c.permission, c.redirect_uri, c.challenge, c.nonce, c.expires_at,"
        " before.used_at is not null",
        digest,
        client,
        now,
    )
    return None if row is None else Code(*row)


async def spend_refresh(
    conn: Connection, digest: bytes, client: str, now: datetime
) -> Refresh | None:
    """Use up a refresh token of this client; None: it has none such."""
    row = await conn.fetchrow(
        "update refresh_token t set used_at = $3 from (select digest, used_at from refresh_token"
        "   where digest = $1 and client = $2 for update) before where t.digest = before.digest"
        " returning t.permission, t.expires_at, before.used_at is not null",
        digest,
        client,
        now,
    )
    return None if row is None else Refresh(*row)


async def keep_refresh(
    conn: Connection, digest: bytes, given: Refresh, client: str, now: datetime
) -> None:
    await conn.execute(
        "with old as (delete from refresh_token where digest in (select digest from refresh_token"
        f"   where expires_at <= $5 limit {_SWEPT} for update skip locked))"
        " insert into refresh_token (digest, permission, client, expires_at) values ($1, $2, $3, $4)",
        digest,
        given.permission,
        client,
        given.expires_at,
        now,
    )


async def permitted(conn: Connection, permission: UUID) -> Permission | None:
    """One that has not ended; it stays so until the caller's transaction ends."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from app_permission p where p.id = $1 and p.ended_at is null for update",
        permission,
    )
    return None if row is None else Permission(*row)


async def of_refresh(conn: Connection, digest: bytes, client: str) -> UUID | None:
    """The permission that a refresh token of this client comes of."""
    found: UUID | None = await conn.fetchval(
        "select permission from refresh_token where digest = $1 and client = $2", digest, client
    )
    return found


async def holder(conn: Connection, digest: bytes) -> str | None:
    """The client that a refresh token was given to."""
    found: str | None = await conn.fetchval(
        "select client from refresh_token where digest = $1", digest
    )
    return found


async def end(conn: Connection, permissions: list[UUID], now: datetime) -> None:
    """Nothing that came of these counts any more."""
    await conn.execute(
        "update app_permission set ended_at = $2 where id = any($1::uuid[]) and ended_at is null",
        permissions,
        now,
    )
    await conn.execute("delete from access_token where permission = any($1::uuid[])", permissions)


async def end_all(
    conn: Connection,
    now: datetime,
    *,
    person: str | None = None,
    client: str | None = None,
    organization: int | None = None,
) -> int:
    """End whatever the person allowed the client, for the organization; None: any. How many there were."""
    assert (person, client, organization) != (None, None, None)
    rows = await conn.fetch(
        "select id from app_permission where ended_at is null and ($1::text is null or person = $1)"
        " and ($2::text is null or client = $2) and ($3::bigint is null or organization = $3)",
        person,
        client,
        organization,
    )
    await end(conn, [row[0] for row in rows], now)
    return len(rows)


async def of_person(conn: Connection, person: str) -> list[Permission]:
    """What this person allows, the newest first."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from app_permission p where p.person = $1 and p.ended_at is null"
        " order by p.at desc, p.id",
        person,
    )
    return [Permission(*row) for row in rows]


async def remembered(conn: Connection, person: str, client: str, asked: str) -> Permission | None:
    """What this person allowed the app when it last asked for just that, and has not taken back."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from app_permission p where p.person = $1 and p.client = $2 and p.asked = $3"
        " and p.ended_at is null order by p.at desc, p.id limit 1",
        person,
        client,
        asked,
    )
    return None if row is None else Permission(*row)
