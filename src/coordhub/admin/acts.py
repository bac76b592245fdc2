"""Acts of operators: clients changed, profiles agreed on.

https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from coordhub.access.operators import OperatorTokens
from coordhub.record import proxies
from coordhub.record.hub import Hub
from coordhub.referral import profiles
from coordhub.store import apps, audit, clients, onboarding, operators, partners, resources, tokens
from coordhub.store.engine import Connection, Engine
from coordhub.store.transact import AuditRow, transact
from coordhub.store.visibility import EVERYONE, HUB


@dataclass(frozen=True, slots=True)
class Operator:
    """account: of the operating system, from which the command was run; of who came by HTTP `operator:<name>`."""

    account: str


UNNAMED = Operator("unknown")


class NothingDone(Exception):
    """There was nothing to do it to; the text says what to look at."""


class NotKnown(NothingDone):
    """What was named is not here."""


async def note(
    conn: Connection,
    by: Operator,
    act: str,
    now: datetime,
    about: Mapping[str, str],
    deliveries: Sequence[UUID | None] = (None,),
) -> None:
    """Write the act down, in the transaction of what it does. about: ids and settings, no secrets.

    deliveries: of each that it was done to, a row.
    """
    said = urlencode({"by": by.account, **about})
    rows = [AuditRow(None, HUB, act, 0, query=said, delivery=one) for one in deliveries]
    await audit.append_all(conn, rows, now)


async def change_client(
    engine: Engine,
    by: Operator,
    client: str,
    now: datetime,
    *,
    active: bool | None = None,
    reference_policy: str | None = None,
    role: str | None = None,
    break_glass: bool | None = None,
) -> None:
    """Take the client out of use or back, or say what becomes of its dangling references, or what it may."""
    async with engine.transaction() as conn:
        partner = await onboarding.read(conn, client) if active else None
        if partner is not None and partner.state in onboarding.OUT:
            raise NothingDone(
                f"{client} is {partner.state}. Who is suspended comes back by: coordhub onboard resume {client}"
            )
        if not await clients.change(conn, client, active, reference_policy, role, break_glass):
            raise NothingDone(f"the client {client} is not known, or is of a person.")
        if active is False:
            await tokens.revoke_all(conn, [client])
            await apps.end_all(conn, now, client=client)
        changed = {
            **({} if active is None else {"active": str(active).lower()}),
            **({} if reference_policy is None else {"reference_policy": reference_policy}),
            **({} if role is None else {"role": role}),
            **({} if break_glass is None else {"break_glass": str(break_glass).lower()}),
        }
        await note(conn, by, "client-changed", now, {"client": client, **changed})


async def register_operator(
    engine: Engine, by: Operator, name: str, scope: str, now: datetime
) -> None:
    async with engine.transaction() as conn:
        await operators.register(conn, name, scope, now)
        await note(conn, by, "operator-registered", now, {"operator": name, "scope": scope})


async def deactivate_operator(engine: Engine, by: Operator, name: str, now: datetime) -> None:
    async with engine.transaction() as conn:
        if not await operators.deactivate(conn, name):
            raise NothingDone(f"there is no operator {name}. See: coordhub operators list")
        await note(conn, by, "operator-deactivated", now, {"operator": name})


async def operator_token(
    engine: Engine,
    by: Operator,
    name: str,
    scope: str | None,
    key: bytes,
    lifetime: timedelta,
    now: datetime,
) -> str:
    """A token of an operator; scope None: of all that it may."""
    async with engine.transaction() as conn:
        known = await operators.read(conn, name)
        if known is None or not known.active:
            raise NothingDone(f"there is no operator {name}. First: coordhub operators add {name}")
        asked = known.scopes if scope is None else scope
        said = {"operator": name, "scope": asked, "expires": (now + lifetime).isoformat()}
        await note(conn, by, "operator-token-issued", now, said)
    return OperatorTokens(key, engine).issue(name, asked, now=now, lifetime=lifetime)


async def bind_person(hub: Hub, by: Operator, client: str, person: str, scopes: str) -> None:
    """Make a client, or renew it, that acts for a Patient or RelatedPerson (`Type/id`)."""
    now = hub.clock()
    async with hub.engine.transaction() as conn:
        known = await clients.read(conn, client)
        if known is not None and known.reference != person:
            raise NothingDone(
                f"the client {client} acts for {known.reference}. Choose another name."
            )
        try:
            rid, batch = await proxies.to_bind(hub, conn, person)
        except proxies.CannotBindError as error:
            raise NothingDone(str(error)) from error
        await transact(conn, batch, now=now)
        await clients.register(
            conn, client, rid, scopes, update_as_create=False, now=now, role="person"
        )
        said = {"client": client, "person": person, "scope": scopes}
        await note(conn, by, "client-registered", now, said)


async def agree_on_profile(
    engine: Engine, by: Operator, organization: str, profile: str, now: datetime
) -> None:
    """Say which profile of Task an Organization (`Organization/id`) speaks."""
    known = profiles.profiles()
    if profile not in known:
        raise NothingDone(f"there is no profile {profile}. Known are {', '.join(known)}.")
    async with engine.transaction() as conn:
        await partners.agree(conn, await _organization(conn, organization), profile, now)
        await note(
            conn, by, "profile-agreed", now, {"organization": organization, "profile": profile}
        )


MOST_AT_ONCE = 16
LEAST_RATE = 0.001
"""A second: once in a quarter of an hour or so."""
"""Deliveries under way to one organization, where nothing else is said."""


async def agree_on_pace(
    engine: Engine,
    by: Operator,
    organization: str,
    per_second: float | None,
    at_once: int | None,
    now: datetime,
) -> None:
    """Say how many deliveries a second, and at the same time, an Organization is sent; None: no limit."""
    if per_second is not None and not LEAST_RATE <= per_second <= 10_000:
        raise NothingDone(f"a rate is at least {LEAST_RATE} and at most 10000 deliveries a second.")
    if at_once is not None and at_once < 1:
        raise NothingDone("at least one delivery is under way at a time.")
    async with engine.transaction() as conn:
        rid = await _organization(conn, organization)
        if per_second is None:
            await partners.set_no_pace(conn, rid)
        else:
            await partners.agree_on_pace(conn, rid, per_second, at_once or MOST_AT_ONCE, now)
        said = {
            "organization": organization,
            "per-second": str(per_second or "-"),
            "at-once": str(at_once or "-"),
        }
        await note(conn, by, "pace-agreed", now, said)


async def _organization(conn: Connection, organization: str) -> int:
    kind, _, fhir_id = organization.partition("/")
    found = await resources.read(conn, EVERYONE, kind, fhir_id)
    if kind != "Organization" or found is None or found.body is None:
        raise NothingDone(f"there is no {organization} here. Name it as Organization/id.")
    return found.rid
