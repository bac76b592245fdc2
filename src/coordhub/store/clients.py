"""Clients: software that may call the hub, each bound to one organization."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.r4 import types
from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Client:
    """organization: rid; reference: the same as `Organization/<id>`; scopes: the most it may ask for.

    reference_policy: `refuse` or `warn`, for what it sends with references that lead nowhere.
    """

    id: str
    organization: int
    reference: str
    scopes: str
    update_as_create: bool
    active: bool
    reference_policy: str


async def read(conn: Connection, client: str) -> Client | None:
    row = await conn.fetchrow(
        "select c.id, c.organization, 'Organization/' || r.fhir_id, c.scopes, c.update_as_create, c.active,"
        " c.reference_policy"
        " from client c join resource r on r.rid = c.organization and r.shard = (c.organization & 255)::smallint"
        " and r.type = $2 where c.id = $1 and r.body is not null",
        client,
        types.NUMBER["Organization"],
    )
    return None if row is None else Client(*row)


async def register(
    conn: Connection,
    client: str,
    organization: int,
    scopes: str,
    *,
    update_as_create: bool,
    now: datetime,
    reference_policy: str = "refuse",
) -> None:
    """Make the client or change it to this."""
    await conn.execute(
        "insert into client (id, organization, scopes, update_as_create, created_at, reference_policy)"
        " values ($1, $2, $3, $4, $5, $6)"
        " on conflict (id) do update set organization = excluded.organization, scopes = excluded.scopes,"
        " update_as_create = excluded.update_as_create, reference_policy = excluded.reference_policy,"
        " active = true",
        client,
        organization,
        scopes,
        update_as_create,
        now,
        reference_policy,
    )


async def change(
    conn: Connection, client: str, active: bool | None, reference_policy: str | None
) -> bool:
    """Set what is not None; False if there is no such client."""
    found: str | None = await conn.fetchval(
        "update client set active = coalesce($2, active),"
        " reference_policy = coalesce($3, reference_policy) where id = $1 returning id",
        client,
        active,
        reference_policy,
    )
    return found is not None
