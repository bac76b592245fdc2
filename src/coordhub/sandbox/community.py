"""The sample community, founded in a hub: directory, clients and tokens.

http://hl7.org/fhir/R4/http.html#ccreate

Founding is one transaction of conditional creates by the directory's steward, so a start that was
killed half way, or the hundredth, ends in the same place. What someone changed since is kept; only
an Endpoint that still points into the sandbox follows the simulator to a new port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.access.token import Tokens
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.hub import Hub
from coordhub.record.operations import Create, Operation, Update, Written
from coordhub.sandbox.members import MEMBERS, SYSTEM, documents
from coordhub.store import clients
from coordhub.store.visibility import DIRECTORY

ADMIN = "admin"
ADMIN_SCOPES = " ".join(
    f"system/{name}.cruds"
    for name in (
        "Organization",
        "OrganizationAffiliation",
        "HealthcareService",
        "Practitioner",
        "PractitionerRole",
        "Location",
        "Endpoint",
    )
)
MEMBER_SCOPES = "system/*.cruds"
TOKEN_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Seat:
    """A member in this hub. id: of its Organization; rid: the same; its client is named by key."""

    key: str
    id: str
    rid: int


async def found(
    hub: Hub, partners: str, portal: str, elsewhere: Mapping[str, str] | None = None
) -> dict[str, Seat]:
    """Make what is missing of the community; its members by key.

    partners: the simulator's `http://host:port`. portal: the hub's page for those without a server.
    elsewhere: by key, of those whose server is reached at another `scheme://host:port`.
    """
    steward = await _steward(hub)
    creates = [
        create
        for member in MEMBERS
        for create in founding(
            documents(member, (elsewhere or {}).get(member.key, partners), portal)
        )
    ]
    committed = await commit(hub, steward, creates, interaction="transaction")
    moved = list(moved_endpoints(creates, committed.written))
    if moved:
        await commit(hub, steward, moved, interaction="transaction")
    seats = {
        create.document["identifier"][0]["value"]: Seat(
            create.document["identifier"][0]["value"], written.id, written.rid
        )
        for create, written in zip(creates, committed.written, strict=True)
        if create.type == "Organization"
    }
    for seat in seats.values():
        await _register(hub, seat.key, seat.rid, MEMBER_SCOPES, update_as_create=False)
    return seats


def founding(described: dict[str, dict[str, Any]]) -> Iterable[Create]:
    """The conditional creates of a member's documents (by urn), found again by their identifier."""
    for urn, document in described.items():
        value = document["identifier"][0]["value"]
        yield Create(
            document["resourceType"],
            document,
            full_url=urn,
            if_none_exist=f"identifier={SYSTEM}|{value}",
            at=f"{document['resourceType']}({value})",
        )


def moved_endpoints(creates: Iterable[Create], written: Iterable[Written]) -> Iterable[Operation]:
    """Updates of those Endpoints that were there and still name the sandbox, at another port."""
    for create, result in zip(creates, written, strict=True):
        if create.type != "Endpoint" or result.status != 200 or result.body is None:
            continue
        stored = fhir_json.parse(result.body.encode())
        wanted = create.document["address"]
        if stored.get("address") != wanted and _same_place(stored.get("address", ""), wanted):
            yield Update("Endpoint", result.id, {**stored, "address": wanted}, at=create.at)


def _same_place(stored: str, wanted: str) -> bool:
    """Two addresses that differ in nothing but the port."""
    one, other = urlsplit(stored), urlsplit(wanted)
    return (one.scheme, one.hostname, one.path) == (other.scheme, other.hostname, other.path)


def credentials(
    seats: dict[str, Seat], tokens: Tokens, base: str, now: datetime
) -> dict[str, dict[str, Any] | str]:
    """What dev.json holds: where the hub is and how to act as each organization."""
    return {
        "base": base,
        "organizations": {
            seat.key: {
                "id": seat.id,
                "token": tokens.issue(seat.key, MEMBER_SCOPES, now=now, lifetime=TOKEN_LIFETIME),
            }
            for seat in seats.values()
        },
        "admin": {"token": tokens.issue(ADMIN, ADMIN_SCOPES, now=now, lifetime=TOKEN_LIFETIME)},
    }


async def _steward(hub: Hub) -> Caller:
    """The keeper of the public directory, registered as the client `admin`."""
    client = await _register(hub, ADMIN, DIRECTORY, ADMIN_SCOPES, update_as_create=True)
    return Caller(client.id, DIRECTORY, client.reference, EVERYTHING, update_as_create=True)


async def _register(
    hub: Hub, name: str, organization: int, scopes: str, *, update_as_create: bool
) -> clients.Client:
    """The client, made where it is missing; one that was deactivated stays so.

    It stands for all of its organization, whose privacy officer has no other.
    """
    async with hub.engine.pool.acquire() as conn:
        client = await clients.read(conn, name)
        if client is None or client.organization != organization:
            await clients.register(
                conn,
                name,
                organization,
                scopes,
                update_as_create=update_as_create,
                now=hub.clock(),
                role="privacy-officer",
            )
            client = await clients.read(conn, name)
    if client is None:
        raise RuntimeError(f"client {name}: its Organization is not in this hub")
    return client
