"""The hl7-fhir-rest channel: a transaction Bundle posted to the partner's FHIR base, a resource read there.

http://hl7.org/fhir/R4/http.html#transaction, #read, #cread
http://terminology.hl7.org/CodeSystem/endpoint-connection-type
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from coordhub.errors import FhirError
from coordhub.outbound import client
from coordhub.outbound.client import Outbound
from coordhub.r4 import document
from coordhub.routing.channels.channel import (
    Delivered,
    Found,
    Message,
    Outcome,
    Permanence,
    Reading,
    Refused,
    Unchanged,
    Unreachable,
)

_PERMANENCE: dict[int, Permanence] = {
    401: "auth",
    403: "auth",
    404: "gone",
    408: "transient",
    409: "conflict",
    410: "gone",
    412: "conflict",
    425: "transient",
    429: "transient",
    501: "permanent",
    505: "permanent",
}

_ENTRY_STATUS = re.compile(r"([1-5]\d\d)(?:\s.*)?", re.DOTALL)
_LOCATION = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{2,63}/[A-Za-z0-9.\-]{1,64})(?:/_history/[^/]+)?")


class HL7FhirRest:
    """Posts `message.body`, a rendered transaction Bundle, to `message.address`; reads below a base."""

    def __init__(self, outbound: Outbound, clock: Callable[[], datetime]) -> None:
        self._outbound = outbound
        self._clock = clock

    async def send(self, message: Message) -> Outcome:
        headers = {
            **message.headers,
            "Content-Type": "application/fhir+json; fhirVersion=4.0",
            "Accept": "application/fhir+json",
            "Prefer": "return=minimal",
            "Idempotency-Key": str(message.key),
            "X-Request-Id": message.request_id,
        }
        answer = await self._outbound.send("POST", message.address, headers, message.body)
        if isinstance(answer, client.Unreachable):
            return Unreachable(answer.kind, not answer.before_sent, answer.detail)
        if 200 <= answer.status < 300:
            return understand(answer.status, answer.body)
        wait = retry_after(answer.headers.get("retry-after"), self._clock())
        return Refused(answer.status, permanence(answer.status), wait, f"status {answer.status}")

    async def read(
        self, base: str, path: str, headers: Mapping[str, str], seen: str | None, request_id: str
    ) -> Reading:
        sent = {
            **headers,
            "Accept": "application/fhir+json; fhirVersion=4.0",
            "X-Request-Id": request_id,
            **({"If-None-Match": seen} if seen else {}),
        }
        answer = await self._outbound.send("GET", f"{base.rstrip('/')}/{path}", sent)
        if isinstance(answer, client.Unreachable):
            return Unreachable(answer.kind, not answer.before_sent, answer.detail)
        if answer.status == 304 and seen:
            return Unchanged()
        if answer.status == 200:
            return _understand_resource(path, answer.body, answer.headers.get("etag"))
        wait = retry_after(answer.headers.get("retry-after"), self._clock())
        return Refused(answer.status, permanence(answer.status), wait, f"status {answer.status}")


def permanence(status: int) -> Permanence:
    """The class of an HTTP status that is no success.

    A redirect is not followed: the directory has to say where the partner is.
    """
    if status in _PERMANENCE:
        return _PERMANENCE[status]
    if status < 400:
        return "config"
    return "permanent" if status < 500 else "transient"


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Retry-After, either form; an instant that has passed means at once. None if unreadable."""
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return timedelta(seconds=int(text))
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return max(aware - now, timedelta())


def understand(status: int, body: bytes) -> Delivered | Refused:
    """What a 2xx with this body says.

    Only nothing at all or a transaction-response says "I have it". A proxy's page or a body cut
    short says nothing about the Bundle, so it is sent again; the partner knows it by its key.
    """
    if not body.strip():
        return Delivered(status)
    try:
        resource = document.parse(body)
    except FhirError:
        return _not_understood(status)
    if resource.get("resourceType") == "OperationOutcome" and _has_error(resource):
        return Refused(status, "permanent", None, f"status {status} with an error outcome")
    if (
        resource.get("resourceType") != "Bundle"
        or resource.get("type") != "transaction-response"
        or not isinstance(entries := resource.get("entry", []), list)
    ):
        return _not_understood(status)
    locations = []
    for index, entry in enumerate(entries):
        response = entry.get("response") if isinstance(entry, dict) else None
        stated = response.get("status") if isinstance(response, dict) else None
        match = _ENTRY_STATUS.fullmatch(stated) if isinstance(stated, str) else None
        if match is None or not isinstance(response, dict):
            return _not_understood(status)
        entry_status = int(match[1])
        if entry_status >= 400:
            lasting: Permanence = "permanent" if entry_status < 500 else "transient"
            return Refused(entry_status, lasting, None, f"entry[{index}] answered {entry_status}")
        locations.append(_partner_id(response.get("location")))
    return Delivered(status, tuple(locations))


def _understand_resource(path: str, body: bytes, seen: str | None) -> Found | Refused:
    """What is not FHIR may be a proxy's page and is asked for again; another resource is another's."""
    try:
        resource = document.parse(body)
    except FhirError:
        return _not_understood(200)
    kind, fhir_id = path.split("/")[:2]
    if resource.get("resourceType") != kind or resource.get("id") != fhir_id:
        return Refused(200, "permanent", None, "status 200 with another resource")
    return Found(resource, seen)


def _not_understood(status: int) -> Refused:
    return Refused(status, "transient", None, f"status {status}, answer not understood")


def _has_error(outcome: dict[str, Any]) -> bool:
    issues = outcome.get("issue")
    return isinstance(issues, list) and any(
        isinstance(issue, dict) and issue.get("severity") in {"error", "fatal"} for issue in issues
    )


def _partner_id(location: object) -> str:
    match = _LOCATION.fullmatch(location) if isinstance(location, str) else None
    return match[1] if match else ""
