"""A partner's copy, looked at: after it refused a delivery over it, and before one is repeated to who knows no key.

In conflict (409, 412): the copy is read, and what was refused is sent again as a change of what was read
(ifMatch). Gone (404, 410) on an update of its copy: it is made anew, once, where that is agreed. A copy
that says already what is sent has arrived.

http://hl7.org/fhir/R4/http.html#concurrency, #ccreate
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordhub.r4 import document as fhir_json
from coordhub.routing.channels.channel import (
    Delivered,
    Found,
    Message,
    Outcome,
    Reading,
    Refused,
    Source,
    Unreachable,
)
from coordhub.routing.payload import Payload
from coordhub.store.mendings import Mending

Document = Mapping[str, Any]

THERE = "its copy says so already"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is written, and where the partner's copy of it is. path: `Type/id`, or `Type?criteria`; "": unknown."""

    rid: int
    path: str
    resource: Document | None


async def arrived(source: Source, message: Message, sent: Payload) -> Outcome | None:
    """Whether an earlier attempt has come through; what hinders to see it; None: it has to be sent."""
    entry = _entry(sent, 0)
    if entry.resource is None or not entry.path:
        return None
    match await _read(source, message, entry):
        case Found(copy) if says(copy, entry.resource):
            return _there(sent, copy)
        case Refused(permanence="transient") | Unreachable() as hindrance:
            return hindrance
    return None  # also where it lets nobody read


async def mended(
    source: Source,
    message: Message,
    sent: Payload,
    refused: Refused,
    before: Collection[Mending],
    conflicts: int,
) -> Mending | Outcome:
    """What to do otherwise at the next attempt, or what came of this one after all.

    before: what was done otherwise already. conflicts: how often at most the copy is read.
    """
    entry = _entry(sent, refused.entry or 0)
    if entry.resource is None:
        return _final(refused, "")
    if refused.permanence == "gone":
        if "?" in entry.path or not entry.path:
            return _final(refused, "")
        if not sent.custom.creates_anew:
            return _final(refused, "; to make it anew is not agreed")
        if any(one.kind == "gone" for one in before):
            return _final(refused, "; made anew once already")
    elif sum(one.kind == "conflict" for one in before) >= conflicts:
        return _final(refused, f"; its copy was read {conflicts} times")
    reading = await _read(source, message, entry) if entry.path else None
    match reading:
        case Found(copy, _) if says(copy, entry.resource) and not refused.entry:
            return _there(sent, copy)
        case Found(_, seen) if refused.permanence == "conflict":
            return Mending("conflict", entry.rid, seen)
        case Found():
            return _final(refused, "; its copy is there")
        case Unreachable() | Refused(permanence="transient"):
            return reading
        case Refused(permanence="gone") if refused.permanence == "gone":
            return Mending("gone", entry.rid)
    if refused.permanence == "gone":
        return _final(refused, "; its copy cannot be read")
    return Mending("conflict", entry.rid)


def says(copy: Document, sent: Document) -> bool:
    """Whether a copy has all that was sent, whatever its server added; references may be its own."""
    return all(
        name in copy and _holds(copy[name], value)
        for name, value in sent.items()
        if name not in ("id", "meta", "text", "identifier")
    )


def _holds(theirs: Any, ours: Any) -> bool:
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping) and all(
            name == "reference" or (name in theirs and _holds(theirs[name], value))
            for name, value in ours.items()
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(theirs) == len(ours)
            and all(_holds(one, other) for one, other in zip(theirs, ours, strict=True))
        )
    return bool(theirs == ours)


def _final(refused: Refused, why: str) -> Refused:
    return Refused(
        refused.status, "permanent", None, f"{refused.reason}{why}", partner_ids=refused.partner_ids
    )


def _there(sent: Payload, copy: Document) -> Delivered:
    ids: Sequence[str] = (f"{copy['resourceType']}/{copy['id']}", *("" for _ in sent.rids[1:]))
    return Delivered(200, tuple(ids), THERE)


def _entry(sent: Payload, position: int) -> _Entry:
    entries = fhir_json.parse(sent.body)["entry"]
    if not 0 <= position < len(entries):
        position = 0
    request = entries[position]["request"]
    path = request["url"]
    if request["method"] == "POST":
        criteria = request.get("ifNoneExist")
        path = f"{path}?{criteria}" if criteria else ""
    return _Entry(sent.rids[position], path, entries[position].get("resource"))


async def _read(source: Source, message: Message, entry: _Entry) -> Reading:
    if "?" in entry.path:
        return await source.seek(message.address, entry.path, message.headers, message.request_id)
    return await source.read(message.address, entry.path, message.headers, None, message.request_id)
