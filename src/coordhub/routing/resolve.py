"""From a recipient to the Endpoint through which it is reached.

http://hl7.org/fhir/R4/endpoint.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from coordhub.directory import bases, services
from coordhub.directory.bases import MAILED, OWN_TYPES, SERVED
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.store.deliveries import INBOX
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

__all__ = ["MAILED", "OWN_TYPES", "SERVED", "endpoint_of", "kind_of", "usable", "usable_versions"]


def kind_of(endpoint: Mapping[str, Any]) -> str | None:
    """The channel by which an Endpoint is spoken to; None where the hub has none for it."""
    if (endpoint.get("connectionType") or {}).get("code") == SERVED:
        return SERVED
    return MAILED if bases.mailbox_of(endpoint) is not None else None


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
