"""The hl7-fhir-rest channel: a transaction Bundle posted to the partner's FHIR base, a resource read there.

http://hl7.org/fhir/R4/http.html#transaction, #read, #cread
http://terminology.hl7.org/CodeSystem/endpoint-connection-type
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

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

_SEVERE: Final = ("error", "fatal")
"""Sequences, as is what follows: a partner may say a list there, which no set can be asked for."""
PAGE: Final = 500
"""How many resources are asked for of what a server has changed."""

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
        entry = _entry_at_fault(answer.body)
        where = "" if entry is None else f" for entry[{entry}]"
        reason = f"status {answer.status}{where}"
        return Refused(answer.status, permanence(answer.status), wait, reason, entry)

    async def read(
        self, base: str, path: str, headers: Mapping[str, str], seen: str | None, request_id: str
    ) -> Reading:
        known = {"If-None-Match": seen} if seen else {}
        answer = await self._get(f"{base.rstrip('/')}/{path}", {**headers, **known}, request_id)
        if not isinstance(answer, client.Answer):
            return answer
        if answer.status == 304 and seen:
            return Unchanged()
        if answer.status == 200:
            return _understand_resource(path, answer.body, answer.headers.get("etag"))
        return self._refused(answer)

    async def greet(self, base: str, headers: Mapping[str, str], request_id: str) -> Outcome:
        answer = await self._get(f"{base.rstrip('/')}/metadata", headers, request_id)
        if not isinstance(answer, client.Answer):
            return answer
        if answer.status != 200:
            return self._refused(answer)
        try:
            resource = document.parse(answer.body)
        except FhirError:
            return _not_understood(200)
        if resource.get("resourceType") != "CapabilityStatement":
            return Refused(200, "config", None, "status 200 without a CapabilityStatement")
        return Delivered(200)

    async def seek(
        self, base: str, query: str, headers: Mapping[str, str], request_id: str
    ) -> Reading:
        answer = await self._get(f"{base.rstrip('/')}/{query}", headers, request_id)
        if not isinstance(answer, client.Answer):
            return answer
        if answer.status == 200:
            return _understand_matches(query.partition("?")[0], answer.body)
        return self._refused(answer)

    async def changed(
        self, base: str, kind: str, since: datetime, headers: Mapping[str, str], request_id: str
    ) -> list[dict[str, Any]] | Refused | Unreachable:
        """The resources of this type there that were written since, of the first page of the answer."""
        moment = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        query = f"{kind}?_lastUpdated=ge{moment}&_count={PAGE}"
        answer = await self._get(f"{base.rstrip('/')}/{query}", headers, request_id)
        if not isinstance(answer, client.Answer):
            return answer
        if answer.status != 200:
            return self._refused(answer)
        try:
            bundle = document.parse(answer.body)
        except FhirError:
            return _not_understood(200)
        entries = bundle.get("entry", [])
        if bundle.get("type") != "searchset" or not isinstance(entries, list):
            return _not_understood(200)
        resources = [one.get("resource") for one in entries if isinstance(one, dict)]
        return [
            one for one in resources if isinstance(one, dict) and one.get("resourceType") == kind
        ]

    async def _get(
        self, url: str, headers: Mapping[str, str], request_id: str
    ) -> client.Answer | Unreachable:
        sent = {
            **headers,
            "Accept": "application/fhir+json; fhirVersion=4.0",
            "X-Request-Id": request_id,
        }
        answer = await self._outbound.send("GET", url, sent)
        if isinstance(answer, client.Unreachable):
            return Unreachable(answer.kind, not answer.before_sent, answer.detail)
        return answer

    def _refused(self, answer: client.Answer) -> Refused:
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
        lasting: Permanence = "transient" if _passes(resource) else "permanent"
        return Refused(status, lasting, None, f"status {status} with an error outcome")
    if (
        resource.get("resourceType") != "Bundle"
        or resource.get("type") != "transaction-response"
        or not isinstance(entries := resource.get("entry", []), list)
    ):
        return _not_understood(status)
    locations: list[str] = []
    failed: list[tuple[int, int]] = []
    for index, entry in enumerate(entries):
        response = entry.get("response") if isinstance(entry, dict) else None
        stated = response.get("status") if isinstance(response, dict) else None
        match = _ENTRY_STATUS.fullmatch(stated) if isinstance(stated, str) else None
        if match is None or not isinstance(response, dict):
            return _not_understood(status)
        taken = int(match[1]) < 400
        if not taken:
            failed.append((index, int(match[1])))
        locations.append(_partner_id(response.get("location")) if taken else "")
    if not failed:
        return Delivered(status, tuple(locations))
    # What is final for one entry is for the whole: the others would be taken again and it would not.
    index, entry_status = min(failed, key=lambda one: _entry_permanence(one[1]) == "transient")
    reason = f"entry[{index}] answered {entry_status}"
    if len(failed) < len(entries):
        reason += f", {len(entries) - len(failed)} of {len(entries)} taken"
    lasting = _entry_permanence(entry_status)
    return Refused(entry_status, lasting, None, reason, index, tuple(locations))


def _entry_permanence(status: int) -> Permanence:
    """Of an entry: the hub is let in and the address is right, so what it refuses is its content."""
    lasting = permanence(status)
    return "permanent" if lasting in ("auth", "config") else lasting


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


def _understand_matches(kind: str, body: bytes) -> Found | Refused:
    """Of a searchset the one match; several are nothing that a delivery can be about."""
    try:
        bundle = document.parse(body)
    except FhirError:
        return _not_understood(200)
    entries = bundle.get("entry", [])
    if bundle.get("type") != "searchset" or not isinstance(entries, list):
        return _not_understood(200)
    resources = [one.get("resource") for one in entries if isinstance(one, dict)]
    matches = [
        one
        for one in resources
        if isinstance(one, dict)
        and one.get("resourceType") == kind
        and isinstance(one.get("id"), str)
    ]
    if not matches:
        return Refused(404, "gone", None, "no match")
    if len(matches) > 1:
        return Refused(412, "conflict", None, f"{len(matches)} matches")
    meta = matches[0].get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return Found(matches[0], f'W/"{version}"' if isinstance(version, str) else None)


def _not_understood(status: int) -> Refused:
    return Refused(status, "transient", None, f"status {status}, answer not understood")


def _has_error(outcome: dict[str, Any]) -> bool:
    issues = outcome.get("issue")
    return isinstance(issues, list) and any(
        isinstance(issue, dict) and issue.get("severity") in _SEVERE for issue in issues
    )


_PASSING: Final = (
    "transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled",
)  # fmt: skip
"""What may well be otherwise later: http://hl7.org/fhir/R4/codesystem-issue-type.html"""


def _passes(outcome: dict[str, Any]) -> bool:
    """Whether all that it says is wrong may be right later."""
    issues = [issue for issue in outcome["issue"] if isinstance(issue, dict)]
    return all(
        issue.get("code") in _PASSING for issue in issues if issue.get("severity") in _SEVERE
    )


_AT_FAULT = re.compile(r"Bundle\.entry\[(\d{1,4})\].*")


def _entry_at_fault(body: bytes) -> int | None:
    """Position of the entry that an OperationOutcome is about; of several, or none: None."""
    try:
        outcome = document.parse(body) if body.strip() else {}
    except FhirError:
        return None
    issues = outcome.get("issue")
    named = {
        int(match[1])
        for issue in (issues if isinstance(issues, list) else ())
        if isinstance(issue, dict) and issue.get("severity") in _SEVERE
        for text in (issue["expression"] if isinstance(issue.get("expression"), list) else ())
        if isinstance(text, str) and (match := _AT_FAULT.fullmatch(text))
    }
    return named.pop() if len(named) == 1 else None


def _partner_id(location: object) -> str:
    match = _LOCATION.fullmatch(location) if isinstance(location, str) else None
    return match[1] if match else ""
