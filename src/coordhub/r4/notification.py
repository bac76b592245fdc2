"""Notifications of topic-based subscriptions in R4, and what `$status` answers.

http://hl7.org/fhir/uv/subscriptions-backport/components.html (R4 subscription notifications)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal[
    "handshake", "heartbeat", "event-notification", "query-status", "query-event"
]

PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"


@dataclass(frozen=True, slots=True)
class Focus:
    """What an event is about. body: the resource as it is shown, "" where only its address is told;
    address: absolute. deleted: it is no more."""

    address: str
    body: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One event. at: instant as text. focus: None where it is not told, or may not be seen (any more)."""

    number: int
    at: str
    focus: Focus | None = None


@dataclass(frozen=True, slots=True)
class About:
    """The subscription. address: absolute. topic: "" where it is not told. events: how many there were."""

    address: str
    topic: str
    status: str
    events: int
    error: str = ""


def status(about: About, kind: Kind, told: Sequence[Told] = ()) -> dict[str, Any]:
    """The Parameters that say how a subscription stands, and what happened."""
    parameters: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": about.address}},
        *([{"name": "topic", "valueCanonical": about.topic}] if about.topic else []),
        {"name": "status", "valueCode": about.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(about.events)},
    ]
    for event in told:
        part: list[dict[str, Any]] = [
            {"name": "event-number", "valueString": str(event.number)},
            {"name": "timestamp", "valueInstant": event.at},
        ]
        if event.focus is not None:
            part.append({"name": "focus", "valueReference": {"reference": event.focus.address}})
        parameters.append({"name": "notification-event", "part": part})
    if about.error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": about.error}})
    return {"resourceType": "Parameters", "meta": {"profile": [PROFILE]}, "parameter": parameters}


def bundle(identifier: str, now: str, about: About, kind: Kind, told: Sequence[Told] = ()) -> bytes:
    """The notification: a Bundle of type history, first its status, then each resource once.

    identifier: a UUID, of this notification.
    """
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": f"urn:uuid:{identifier}",
            "resource": {**status(about, kind, told), "id": identifier},
            "request": {"method": "GET", "url": f"{about.address}/$status"},
            "response": {"status": "200"},
        }
    ]
    entries.extend(_foci(told))
    return msgspec.json.encode(
        {
            "resourceType": "Bundle",
            "id": identifier,
            "type": "history",
            "timestamp": now,
            "entry": entries,
        }
    )


def _foci(told: Sequence[Told]) -> Iterator[dict[str, Any]]:
    """Each resource once; of one that was deleted that it was, without content."""
    shown: set[str] = set()
    for event in told:
        focus = event.focus
        if focus is None or not (focus.body or focus.deleted) or focus.address in shown:
            continue
        url = "/".join(focus.address.split("/")[-2:])
        if focus.deleted:
            yield {
                "fullUrl": focus.address,
                "request": {"method": "DELETE", "url": url},
                "response": {"status": "204"},
            }
            continue
        shown.add(focus.address)
        yield {
            "fullUrl": focus.address,
            "resource": msgspec.Raw(focus.body.encode()),
            "request": {"method": "PUT", "url": url},
            "response": {"status": "200"},
        }
