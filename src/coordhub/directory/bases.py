"""Where an organization keeps what is its own, and reads: FHIR bases and mailboxes that the directory vouches for.

A base is the address of an Endpoint that the directory's steward wrote and that the organization, as
the steward wrote it, or one that it is part of, has. What anybody says of itself opens no address to
the hub, and nobody has the hub read with the credentials that are meant for another's server.

http://hl7.org/fhir/R4/endpoint.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.directory.services import HIGHEST_PART_OF
from coordhub.outbound.relay import is_address
from coordhub.r4 import document as fhir_json
from coordhub.r4 import interval, reference
from coordhub.store.engine import Connection
from coordhub.store.resources import Version, read, read_rids
from coordhub.store.visibility import DIRECTORY, EVERYONE

SERVED = "hl7-fhir-rest"
"""The connection type of a FHIR base."""

MAILED: Final = "email-notice"
"""The connection type of a mailbox that is told that something waits."""

OWN_TYPES: Final = "urn:coordhub:endpoint-connection-type"
"""System of connection types that R4 has no code for."""

_RESOURCE = re.compile(
    r"([A-Z][A-Za-z]{2,63}/[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
_AUTHORITY = re.compile(r"https?://[^/]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Base:
    """One server. endpoint: rid of its Endpoint. address: without a slash at its end.

    headers: what lets the hub in there.
    """

    endpoint: int
    address: str
    headers: Mapping[str, str]

    def below(self, url: str) -> str | None:
        """`Type/id`, with `/_history/version` where it is named, of a URL of this server; else None."""
        home, address = _spelled(f"{self.address}/"), _spelled(url.partition("#")[0])
        rest = address.removeprefix(home) if address.startswith(home) else ""
        return rest if _RESOURCE.fullmatch(rest) else None


def _spelled(url: str) -> str:
    """Scheme and host in lower case: they have none."""
    return _AUTHORITY.sub(lambda found: found[0].lower(), url, count=1)


def usable(endpoint: Mapping[str, Any], now: datetime) -> bool:
    """Can the hub speak FHIR there now?"""
    types = endpoint.get("payloadMimeType") or []
    return (
        active(endpoint, now)
        and (endpoint.get("connectionType") or {}).get("code") == SERVED
        and isinstance(endpoint.get("address"), str)
        and (not types or any("json" in str(each) for each in types))
    )


def active(endpoint: Mapping[str, Any], now: datetime) -> bool:
    """Is it in use, within its period?"""
    period = endpoint.get("period")
    within = interval.parse_period(period) if isinstance(period, dict) else None
    return endpoint.get("status") == "active" and (
        within is None or within.low <= now < within.high
    )


def headers_of(endpoint: Mapping[str, Any]) -> dict[str, str]:
    """Endpoint.header as HTTP has it: `Name: value`."""
    pairs = (line.partition(":") for line in endpoint.get("header") or [])
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def mailbox_of(endpoint: Mapping[str, Any]) -> str | None:
    """The address that mail goes to by this Endpoint; None where it is for something else."""
    connection = endpoint.get("connectionType") or {}
    address = str(endpoint.get("address", "")).removeprefix("mailto:")
    mailed = (connection.get("system"), connection.get("code")) == (OWN_TYPES, MAILED)
    return address if mailed and is_address(address) else None


async def verified(conn: Connection, organization: int, base: str, now: datetime) -> Sequence[Base]:
    """The bases of the organization, nearest first. base: of the hub."""
    return [
        Base(rid, document["address"].rstrip("/"), headers_of(document))
        for rid, document in await _vouched_for(conn, organization, base)
        if usable(document, now)
    ]


async def mailboxes(
    conn: Connection, organization: int, base: str, now: datetime
) -> frozenset[str]:
    """Addresses at which the directory's steward says that the organization reads its mail."""
    found = await _vouched_for(conn, organization, base)
    each = (mailbox_of(document) for _, document in found if active(document, now))
    return frozenset(address for address in each if address is not None)


async def _vouched_for(
    conn: Connection, organization: int, base: str
) -> list[tuple[int, Mapping[str, Any]]]:
    """rids and documents of its Endpoints, nearest first."""
    found: list[tuple[int, Mapping[str, Any]]] = []
    lineage: list[str] = []
    version = (await read_rids(conn, EVERYONE, [organization])).get(organization)
    while version is not None and len(lineage) < HIGHEST_PART_OF:
        if version.body is None or version.source != DIRECTORY or version.reference in lineage:
            break
        lineage.append(version.reference)
        document = fhir_json.parse(version.body.encode())
        for text in _locals(document.get("endpoint"), base):
            endpoint = await read(conn, EVERYONE, *_parts(text))
            if endpoint is not None and (one := _of_it(endpoint, lineage, base)):
                found.append((endpoint.rid, one))
        above = next(iter(_locals(document.get("partOf"), base)), None)
        version = await read(conn, EVERYONE, *_parts(above)) if above else None
    return found


async def at(conn: Connection, endpoint: int, now: datetime) -> Base | None:
    """The server of an Endpoint that the directory's steward wrote, if the hub can speak there now."""
    version = (await read_rids(conn, EVERYONE, [endpoint])).get(endpoint)
    if version is None or version.body is None or version.source != DIRECTORY:
        return None
    document = fhir_json.parse(version.body.encode())
    if not usable(document, now):
        return None
    return Base(version.rid, document["address"].rstrip("/"), headers_of(document))


def _of_it(version: Version, lineage: Sequence[str], base: str) -> Mapping[str, Any] | None:
    if version.type != "Endpoint" or version.body is None or version.source != DIRECTORY:
        return None
    document = fhir_json.parse(version.body.encode())
    managing = document.get("managingOrganization")
    named = list(_locals(managing, base))
    return None if managing is not None and not {*named} & {*lineage} else document


def _locals(value: object, base: str) -> Iterable[str]:
    for element in value if isinstance(value, list) else [value]:
        found = reference.parse_element(element, base=base) if isinstance(element, dict) else None
        if found is not None and found.local is not None:
            yield found.local


def _parts(text: str) -> tuple[str, str]:
    kind, _, fhir_id = text.partition("/")
    return kind, fhir_id
