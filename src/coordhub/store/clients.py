"""Clients: software that may call the hub, each bound to one organization or one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from coordhub.r4 import types
from coordhub.store import partners
from coordhub.store.engine import Connection
from coordhub.store.partners import TERMS, Terms, terms_of


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a client may ask, as agreed with it; None: as the settings say.

    per_second, burst: requests. at_once: under way at the same time. per_day: of a day in UTC.
    """

    per_second: float | None = None
    burst: int | None = None
    at_once: int | None = None
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """organization: rid of whom it acts for; reference: the same as `Organization/<id>`, or `Patient/<id>` or
    `RelatedPerson/<id>` of a person's app; scopes: the most it may ask for.

    role: system, privacy-officer or person. break_glass: may open a record in an emergency.
    reference_policy: `refuse`, `warn` or `quarantine`, for what it sends with references that lead nowhere.
    jwks, jwks_uri: its public keys, or where they are looked up; neither, if it cannot ask for tokens.
    redirect_uris: of an app, that people sign in to, else None. title: what these are told it is called.
    sandbox: whom it acts for is of the sandbox. terms: what was agreed with that one.
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
    redirect_uris: Sequence[str] | None = None
    title: str | None = None
    allowance: Allowance = field(default_factory=Allowance)
    sandbox: bool = False
    terms: Terms = field(default_factory=Terms)

    @property
    def is_public(self) -> bool:
        """An app that has no secret: whoever names it may be it."""
        return self.redirect_uris is not None and self.jwks is None and self.jwks_uri is None


@dataclass(frozen=True, slots=True)
class Presented:
    """Whose a token is, and what it allows at most. patient: rid, in whose context an app has it.

    by_person: id of the person who let an app act; the client's organization is the person's then.
    permission: by which it did. thumbprint: of the certificate that the token is bound to.
    """

    client: Client
    scopes: str
    patient: int | None = None
    by_person: str | None = None
    permission: UUID | None = None
    thumbprint: bytes | None = None


@dataclass(frozen=True, slots=True)
class Acting:
    """Who is told something for as long as it may act. asked: scopes of its token, as stated.

    permission: by which a person let an app act.
    """

    client: str
    asked: str
    permission: UUID | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What that allows now. registered: scopes of the client. patient: rid, in whose context an app acts."""

    asked: str
    registered: str
    of_app: bool = False
    patient: int | None = None


PERSONS = ("Patient", "RelatedPerson")
"""Types of the persons that a client may act for."""


_COLUMNS = (
    "c.id, c.organization, r.type, r.fhir_id, c.scopes, c.update_as_create, c.active, c.reference_policy, c.role,"
    " c.break_glass, c.jwks, c.jwks_uri, c.redirect_uris, c.title, c.per_second, c.burst, c.at_once, c.per_day,"
    f" s.organization is not null, {TERMS}"
)
_ACTING = (
    " join resource r on r.rid = c.organization and r.shard = (c.organization & 255)::smallint"
    " and r.body is not null"
    f"{partners.joined('c.organization')}"
)


async def read(conn: Connection, client: str) -> Client | None:
    """None also where whom it acts for was deleted."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from client c{_ACTING} where c.id = $1",
        client,
    )
    return None if row is None else _client(row)


async def presenting(conn: Connection, digest: bytes, now: datetime) -> Presented | None:
    """Whose the token with this digest is, if that client is active, and what the token allows.

    Of an app, if what was allowed it has not ended, it acts for the person's organization, or the person.
    """
    row = await conn.fetchrow(
        "select c.id, t.organization, r.type, r.fhir_id, c.scopes, c.update_as_create, c.active, c.reference_policy,"
        " c.role, c.break_glass, c.jwks, c.jwks_uri, c.redirect_uris, c.title, c.per_second, c.burst,"
        f" c.at_once, c.per_day, s.organization is not null, {TERMS},"
        " t.scopes, a.patient, a.person, a.id, t.thumbprint"
        " from access_token t join client c on c.id = t.client and c.active"
        " left join app_permission a on a.id = t.permission and a.ended_at is null"
        " join resource r on r.rid = t.organization and r.shard = (t.organization & 255)::smallint"
        " and r.body is not null"
        f"{partners.joined('t.organization')}"
        " where t.digest = $1 and t.expires_at > $2 and case when t.permission is null"
        " then c.organization = t.organization and c.redirect_uris is null"
        " else c.redirect_uris is not null and a.id is not null end",
        digest,
        now,
    )
    if row is None:
        return None
    *own, scopes, patient, person, permission, thumbprint = row
    client = _client(own)
    if person is not None:
        is_person = client.reference.partition("/")[0] in PERSONS
        role = "person" if is_person else "system"
        client = replace(client, role=role, break_glass=False, update_as_create=False)
    return Presented(client, scopes, patient, person, permission, thumbprint)


def _client(row: Any) -> Client:
    name, organization, kind, fhir_id, *rest = row
    rest, (*limits, sandbox), agreed = rest[:-11], rest[-11:-6], rest[-6:]
    reference = f"{types.name_of(kind)}/{fhir_id}"
    terms = terms_of(agreed)
    return Client(name, organization, reference, *[*rest, Allowance(*limits), sandbox, terms])


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


async def set_app(conn: Connection, client: str, redirect_uris: Sequence[str], title: str) -> None:
    """Make it an app, that people sign in to."""
    await conn.execute(
        "update client set redirect_uris = $2::text[], title = $3 where id = $1",
        client,
        list(redirect_uris),
        title,
    )


async def allow(conn: Connection, client: str, allowed: Allowance) -> bool:
    """How much it may ask from now on; False if there is no such client."""
    found: str | None = await conn.fetchval(
        "update client set per_second = $2, burst = $3, at_once = $4, per_day = $5 where id = $1 returning id",
        client,
        allowed.per_second,
        allowed.burst,
        allowed.at_once,
        allowed.per_day,
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


MAY_ACT = (
    "k.active and case when {permission} is null then k.organization = {organization} else coalesce(("
    "select a.organization = {organization} and a.client = k.id and a.ended_at is null"
    " from app_permission a where a.id = {permission}), false) end"
)
"""Whether client `k` may still act for the organization, by that permission if it is a person's app."""


async def bounds(
    conn: Connection, acting: Sequence[tuple[Acting, int]]
) -> dict[tuple[Acting, int], Bounds]:
    """What each, for an organization (rid), may be told now; those that may not act any more are left out."""
    may_act = MAY_ACT.format(permission="w.permission", organization="w.organization")
    rows = await conn.fetch(
        "select w.place, k.scopes, (select a.patient from app_permission a where a.id = w.permission)"
        " from unnest($1::text[], $2::uuid[], $3::bigint[]) with ordinality"
        f" w(client, permission, organization, place) join client k on k.id = w.client where {may_act}",
        [one.client for one, _ in acting],
        [one.permission for one, _ in acting],
        [organization for _, organization in acting],
    )
    found = {}
    for place, registered, patient in rows:
        who, organization = acting[place - 1]
        found[who, organization] = Bounds(
            who.asked, registered, who.permission is not None, patient
        )
    return found
