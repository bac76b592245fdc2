"""Clients: software that may call the hub, each bound to one organization or one person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordhub.r4 import types
from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Client:
    """organization: rid of whom it acts for; reference: the same as `Organization/<id>`, or `Patient/<id>` or
    `RelatedPerson/<id>` of a person's app; scopes: the most it may ask for.

    role: system, privacy-officer or person. break_glass: may open a record in an emergency.
    reference_policy: `refuse`, `warn` or `quarantine`, for what it sends with references that lead nowhere.
    jwks, jwks_uri: its public keys, or where they are looked up; neither, if it cannot ask for tokens.
    """

    id: str
    organization: int
    reference: str
    scopes: str
    update_as_create: bool
    active: bool
    reference_policy: str
    role: str
    break_glass: bool
    jwks: str | None = None
    jwks_uri: str | None = None


PERSONS = ("Patient", "RelatedPerson")
"""Types of the persons that a client may act for."""


_COLUMNS = (
    "c.id, c.organization, r.type, r.fhir_id, c.scopes, c.update_as_create, c.active, c.reference_policy, c.role,"
    " c.break_glass, c.jwks, c.jwks_uri"
)
_ACTING = (
    " join resource r on r.rid = c.organization and r.shard = (c.organization & 255)::smallint"
    " and r.body is not null"
)


async def read(conn: Connection, client: str) -> Client | None:
    """None also where whom it acts for was deleted."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from client c{_ACTING} where c.id = $1",
        client,
    )
    return None if row is None else _client(row)


async def presenting(conn: Connection, digest: bytes, now: datetime) -> tuple[Client, str] | None:
    """Whose the token with this digest is, if that client is active, and what the token allows."""
    row = await conn.fetchrow(
        f"select {_COLUMNS}, t.scopes from access_token t"
        f" join client c on c.id = t.client and c.organization = t.organization and c.active{_ACTING}"
        " where t.digest = $1 and t.expires_at > $2",
        digest,
        now,
    )
    return None if row is None else (_client(row[:-1]), row[-1])


def _client(row: Any) -> Client:
    name, organization, kind, fhir_id, *rest = row
    return Client(name, organization, f"{types.name_of(kind)}/{fhir_id}", *rest)


async def of_all(conn: Connection) -> list[Client]:
    """Every client, for the operators."""
    rows = await conn.fetch(f"select {_COLUMNS} from client c{_ACTING} order by c.id")
    return [_client(row) for row in rows]


async def set_keys(conn: Connection, client: str, jwks: str | None, jwks_uri: str | None) -> bool:
    """By which it proves who it is from now on; False if there is no such client."""
    found: str | None = await conn.fetchval(
        "update client set jwks = $2, jwks_uri = $3 where id = $1 returning id",
        client,
        jwks,
        jwks_uri,
    )
    return found is not None


async def register(
    conn: Connection,
    client: str,
    organization: int,
    scopes: str,
    *,
    update_as_create: bool,
    now: datetime,
    reference_policy: str = "refuse",
    role: str = "system",
    break_glass: bool = False,
) -> None:
    """Make the client or change it to this."""
    await conn.execute(
        "insert into client (id, organization, scopes, update_as_create, created_at, reference_policy, role,"
        " break_glass) values ($1, $2, $3, $4, $5, $6, $7, $8)"
        " on conflict (id) do update set organization = excluded.organization, scopes = excluded.scopes,"
        " update_as_create = excluded.update_as_create, reference_policy = excluded.reference_policy,"
        " role = excluded.role, break_glass = excluded.break_glass, active = true",
        client,
        organization,
        scopes,
        update_as_create,
        now,
        reference_policy,
        role,
        break_glass,
    )


async def change(
    conn: Connection,
    client: str,
    active: bool | None,
    reference_policy: str | None,
    role: str | None,
    break_glass: bool | None,
) -> bool:
    """Set what is not None; False if there is no such client, or it is a person's and stays that."""
    found: str | None = await conn.fetchval(
        "update client set active = coalesce($2, active),"
        " reference_policy = coalesce($3, reference_policy), role = coalesce($4, role),"
        " break_glass = coalesce($5, break_glass)"
        " where id = $1 and (role <> 'person' or $4::text is null and $5::boolean is null) returning id",
        client,
        active,
        reference_policy,
        role,
        break_glass,
    )
    return found is not None


async def acting(conn: Connection, names: list[str]) -> set[str]:
    """Those of these clients that are in use."""
    rows = await conn.fetch("select id from client where id = any($1::text[]) and active", names)
    return {row[0] for row in rows}
