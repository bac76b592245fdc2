"""What a resource on a partner's server names there, read from that server and from no other.

Only below the base that the directory vouches for: whatever a resource names outside of it is not
followed. Each resource is read once, however they refer to each other, down to LEVELS, MOST in all.

http://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.record.originals import name_at
from coordhub.routing.channels.channel import Found, Reading, Refused, Unchanged, Unreachable

LEVELS: Final = 4
"""Task -> ServiceRequest -> report -> its observations -> their specimen."""

MOST: Final = 60
"""Resources of one gathering at most."""

MOST_BYTES: Final = 4 * 1024 * 1024
"""What they may come to together, as JSON."""

AT_ONCE: Final = 4
"""Requests to one server at the same time."""

Document = dict[str, Any]
Read = Callable[[str, str | None], Awaitable[Reading]]
"""Path below the base, and the entity tag that was seen; what came of it."""

Known = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Of `Type/id` of that server those that need not be read: the hub has them."""

_SUBJECT = frozenset({"subject", "patient", "for", "beneficiary"})
_FOLLOWED: Final[Mapping[str, frozenset[str]]] = {
    "Task": frozenset({"focus", "requester", "input", "output"}),
    "ServiceRequest": frozenset(
        {
            "requester", "performer", "supportingInfo", "reasonReference", "specimen", "encounter",
            "insurance",
        }
    ),
    "Patient": frozenset({"generalPractitioner"}),
    "DiagnosticReport": frozenset({"result", "specimen", "performer"}),
    "Observation": frozenset({"hasMember", "derivedFrom", "specimen", "performer"}),
    "Procedure": frozenset({"report", "performer"}),
    "DocumentReference": frozenset({"author"}),
    "MedicationRequest": frozenset({"medicationReference", "requester"}),
    "Coverage": frozenset({"payor"}),
    "PractitionerRole": frozenset({"practitioner", "organization"}),
}  # fmt: skip
"""Elements of each type whose targets are read too, besides whom it is about."""


@dataclass(slots=True)
class Gathered:
    """By `Type/id` of that server. own: what is the hub's. whole: False where there was more than may be."""

    base: str
    found: dict[str, Found] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    missing: dict[str, Refused | Unreachable] = field(default_factory=dict)
    whole: bool = True


async def gather(
    read: Read,
    documents: Sequence[Document],
    roots: Mapping[str, str],
    base: str,
    known: Known,
    seen: str | None = None,
) -> Gathered:
    """`roots` and what they and `documents` name below `base`, as far as it is followed.

    roots: `Type/id` -> the path by which it is read, which may name a version. seen: the entity tag of
    the roots, where they are not to be read again as they were.
    """
    gathered = Gathered(base)
    limit = asyncio.Semaphore(AT_ONCE)
    asked: set[str] = set()
    size = 0

    async def one(name: str, path: str) -> tuple[str, Reading]:
        async with limit:
            return name, await read(path, seen if name in roots else None)

    frontier = {**{name: name for each in documents for name in followed(each, base)}, **roots}
    for _ in range(LEVELS):
        frontier = {name: path for name, path in frontier.items() if name not in asked}
        own = {*await known(frontier)} - roots.keys()
        gathered.own |= own
        asked |= frontier.keys()
        if len(asked) > MOST:
            gathered.whole = False
            break
        readings = await asyncio.gather(
            *(one(name, path) for name, path in frontier.items() if name not in own)
        )
        frontier = {}
        for name, reading in readings:
            match reading:
                case Found(document):
                    gathered.found[name] = reading
                    size += len(fhir_json.encode(document))
                    frontier |= {each: each for each in followed(document, base)}
                case Unchanged():
                    gathered.unchanged.add(name)
                case Refused() | Unreachable():
                    gathered.missing[name] = reading
        if size > MOST_BYTES:
            gathered.whole = False
        if not frontier or not gathered.whole:
            break
    return gathered


def followed(document: Document, base: str) -> Iterable[str]:
    """`Type/id` of what this names below `base` and is read with it."""
    elements = _SUBJECT | _FOLLOWED.get(str(document.get("resourceType")), frozenset())
    part = {name: value for name, value in document.items() if name in elements}
    for _, element in reference.walk({"resourceType": document.get("resourceType", ""), **part}):
        name = name_at(element["reference"], base)
        if name is not None:
            yield name
