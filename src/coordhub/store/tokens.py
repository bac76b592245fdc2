"""Tokens that were given to clients, and the assertions that they were given for.

A token is kept as its digest only, and read at every use: revoked is gone, for every process at once.
What has run out is removed by those who come after, a few rows each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from coordhub.store.engine import Connection

_SWEPT = 20


@dataclass(frozen=True, slots=True)
class Given:
    """A token that is valid, of a client that is active. organization: rid of whom it acts for.

    permission: of an app's, what it comes of. thumbprint: of the certificate that it is bound to.
    """

    client: str
    organization: int
    scopes: str
    issued_at: datetime
    expires_at: datetime
    permission: UUID | None = None
    thumbprint: bytes | None = None


async def spend(
    conn: Connection, client: str, jti: bytes, expires_at: datetime, now: datetime
) -> bool:
    """Use an assertion; False if it was used before, by whichever process."""
    spent: str | None = await conn.fetchval(
        "with old as (delete from client_assertion where (client, jti) in (select client, jti"
        f"   from client_assertion where expires_at <= $4 limit {_SWEPT} for update skip locked))"
        " insert into client_assertion (client, jti, expires_at) values ($1, $2, $3)"
        " on conflict do nothing returning client",
        client,
        jti,
        expires_at,
        now,
    )
    return spent is not None


async def give(conn: Connection, digest: bytes, given: Given) -> None:
    await conn.execute(
        "with old as (delete from access_token where digest in (select digest from access_token"
        f"   where expires_at <= $5 limit {_SWEPT} for update skip locked))"
        " insert into access_token (digest, client, organization, scopes, issued_at, expires_at, permission,"
        " thumbprint) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        digest,
        given.client,
        given.organization,
        given.scopes,
        given.issued_at,
        given.expires_at,
        given.permission,
        given.thumbprint,
    )


async def find(conn: Connection, digest: bytes, now: datetime) -> Given | None:
    row = await conn.fetchrow(
        "select t.client, t.organization, t.scopes, t.issued_at, t.expires_at, t.permission, t.thumbprint"
        " from access_token t join client c on c.id = t.client and c.active"
        " left join app_permission a on a.id = t.permission and a.ended_at is null"
        " where t.digest = $1 and t.expires_at > $2 and case when t.permission is null"
        " then c.organization = t.organization else a.id is not null end",
        digest,
        now,
    )
    return None if row is None else Given(*row)


async def revoke(conn: Connection, digest: bytes, client: str) -> bool:
    """Take back one of the client's own; False if there is none."""
    found: str | None = await conn.fetchval(
        "delete from access_token where digest = $1 and client = $2 returning client",
        digest,
        client,
    )
    return found is not None


async def revoke_all(conn: Connection, clients: Sequence[str]) -> None:
    """Take back whatever these clients have."""
    await conn.execute("delete from access_token where client = any($1::text[])", list(clients))
