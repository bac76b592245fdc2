"""Orders that are sent again: known by the number that their sender gave them.

Each `identifier` with system and value of a ServiceRequest or Task is such a number, but that of a group
of orders (type PGN) and what is not in use any more (use old). Within its sender and type it stands for
one resource: created again with the same content it is the one that is there, with other content it is
refused. A request that is sent again as a whole gets its first answer again.

http://hl7.org/fhir/R4/servicerequest-definitions.html#ServiceRequest.identifier
http://terminology.hl7.org/CodeSystem/v2-0203
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.errors import Issue, unprocessable
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.record.hub import Hub
from coordhub.record.operations import Create, Delete, Operation, Patch, Written
from coordhub.referral.results import IDENTIFIER_TYPES
from coordhub.store import order_numbers, resources
from coordhub.store.engine import Connection
from coordhub.store.order_numbers import Before, Numbered
from coordhub.store.resources import Version

TYPES = frozenset({"ServiceRequest", "Task"})
GROUP = "PGN"
"""Placer group number: the same for all orders of a group."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request says of itself. numbers: of the operation at that position, and where it states it."""

    request: bytes
    numbers: Sequence[tuple[int, str, Numbered]]


@dataclass(frozen=True, slots=True)
class Known:
    """again: the first answer to the whole request. there: by position, what is not created again."""

    again: Before | None = None
    there: dict[int, Version] = field(default_factory=dict)


def read(caller: Caller, operations: Sequence[Operation]) -> Sent | None:
    """None where no number is given. 422 where one is given to two resources of a type."""
    if caller.is_hub:
        return None
    numbered = [
        (position, operation)
        for position, operation in enumerate(operations)
        if isinstance(operation, Create)
        and operation.type in TYPES
        and "identifier" in operation.document
    ]
    if not numbered:
        return None
    request = hashlib.sha256(repr(list(operations)).encode()).digest()
    beside = {one.full_url for one in operations if not isinstance(one, Delete | Patch)} - {None}
    numbers = [
        (position, at, number)
        for position, operation in numbered
        for at, number in _numbers(operation, request, beside)
    ]
    if not numbers:
        return None
    first: dict[tuple[str, str, str], tuple[int, str]] = {}
    for position, at, number in numbers:
        before, where = first.setdefault(number[:3], (position, at))
        if before != position:
            raise unprocessable(
                Issue(
                    "duplicate",
                    f"This identifier is also that of another {number.type} of the request ({where}). Give each "
                    "its own; for a number of a group use requisition, groupIdentifier or the type PGN.",
                    at,
                )
            )
    return Sent(request, numbers)


def _numbers(
    operation: Create, request: bytes, beside: Collection[str | None]
) -> Iterator[tuple[str, Numbered]]:
    """beside: fullUrls of the request; what refers to one of these is the same with the same request only."""
    document = {k: v for k, v in operation.document.items() if k not in ("id", "meta")}
    content = hashlib.sha256(fhir_json.encode(document))
    if any(element.get("reference") in beside for _, element in reference.walk(document)):
        content.update(request)
    stated = operation.document.get("identifier")
    for index, one in enumerate(stated if isinstance(stated, list) else ()):
        system, value = one.get("system"), one.get("value")
        if not system or not value or one.get("use") == "old" or _is_of_group(one):
            continue
        at = f"{operation.at or operation.type}.identifier[{index}]"
        yield at, Numbered(operation.type, system, value, content.digest())


def _is_of_group(identifier: dict[str, object]) -> bool:
    kind = identifier.get("type")
    codings = kind.get("coding") if isinstance(kind, dict) else None
    return any(
        one.get("system") == IDENTIFIER_TYPES and one.get("code") == GROUP for one in codings or ()
    )


async def look(
    hub: Hub, conn: Connection, caller: Caller, operations: Sequence[Operation], sent: Sent
) -> Known:
    """Take the numbers; what was sent under them before. 422 where that was something else.

    Who creates under a condition (If-None-Exist) has said himself what is to be the same.
    """
    asked = [
        one
        for one in sent.numbers
        if isinstance(create := operations[one[0]], Create) and create.if_none_exist is None
    ]
    if not asked:
        return Known()
    before = await order_numbers.claim(
        conn, caller.organization, [number for _, _, number in asked], sent.request, hub.clock()
    )
    if not before:
        return Known()
    if len(before) == len(asked) and all(one.request == sent.request for one in before):
        return Known(again=before[0])
    eyes = viewer.as_organization(caller.organization)
    versions = await resources.read_rids(conn, eyes, [one.rid for one in before])
    there: dict[int, Version] = {}
    issues: list[Issue] = []
    for one in before:
        position, at, number = asked[one.place]
        found = versions.get(one.rid)
        if found is not None and one.content == number.content:
            there[position] = found
            continue
        name = found.reference if found is not None else f"another {number.type}"
        issues.append(
            Issue(
                "duplicate",
                f"You sent {name} with this identifier and other content. To change it, update it (PUT {name} with "
                "If-Match); to ask for something else, give it another identifier.",
                at,
            )
        )
    if issues:
        raise unprocessable(*issues)
    return Known(there=there)


async def note(
    hub: Hub, conn: Connection, caller: Caller, sent: Sent, written: Sequence[Written]
) -> None:
    """Keep which number was given to what was created."""
    given = [
        (number, written[position].rid)
        for position, _, number in sent.numbers
        if written[position].status == 201
    ]
    if given:
        outcome = [(one.status, one.rid, one.version) for one in written]
        await order_numbers.settle(
            conn, caller.organization, given, sent.request, outcome, hub.clock()
        )
