"""From a recipient to the Endpoint through which it is reached.

http://hl7.org/fhir/R4/endpoint.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from coordhub.directory import bases, services
from coordhub.directory.bases import SERVED
from coordhub.outbound.relay import is_address
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.store.deliveries import INBOX
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

__all__ = ["MAILED", "SERVED", "endpoint_of", "kind_of", "usable", "usable_versions"]

MAILED: Final = "email-notice"
"""The connection type of a mailbox that is told that something waits."""

OWN_TYPES: Final = "urn:coordhub:endpoint-connection-type"
"""System of connection types that R4 has no code for."""


def kind_of(endpoint: Mapping[str, Any]) -> str | None:
    """The channel by which an Endpoint is spoken to; None where the hub has none for it."""
    connection = endpoint.get("connectionType") or {}
    if connection.get("code") == SERVED:
        return SERVED
    address = str(endpoint.get("address", ""))
    mailed = (connection.get("system"), connection.get("code")) == (OWN_TYPES, MAILED)
    return MAILED if mailed and is_address(address.removeprefix("mailto:")) else None


def usable(endpoint: Mapping[str, Any], now: datetime) -> bool:
    """Can it be sent to now: active, within its period, by a channel that there is?"""
    kind = kind_of(endpoint)
    if kind == MAILED:
        return bases.active(endpoint, now)
    return kind == SERVED and bases.usable(endpoint, now)


async def endpoint_of(conn: Connection, recipient: str, base: str, now: datetime) -> int:
    """rid of the nearest usable Endpoint of a recipient (`Type/id`), or INBOX where it has none."""
    return next(iter(await endpoints_of(conn, recipient, base, now, most=1)), INBOX)


async def endpoints_of(
    conn: Connection, recipient: str, base: str, now: datetime, most: int = 10
) -> list[int]:
    """rids of the usable Endpoints of a recipient (`Type/id`), nearest first."""
    usable_ones: list[int] = []
    found = await services.recipient(conn, recipient, base)
    for text in found.endpoints if found else ():
        named = reference.parse(text, base=base)
        if named.kind != "local" or named.type != "Endpoint" or named.id is None:
            continue
        endpoint = await services.entry(conn, text, base)
        if endpoint is not None and usable(endpoint[1], now):
            usable_ones.append(endpoint[0].rid)
            if len(usable_ones) == most:
                break
    return usable_ones


def usable_versions(versions: Iterable[Version], now: datetime) -> list[dict[str, Any]]:
    """The documents of those Endpoints that can be sent to now."""
    documents = [fhir_json.parse(each.body.encode()) for each in versions if each.body is not None]
    return [each for each in documents if usable(each, now)]
