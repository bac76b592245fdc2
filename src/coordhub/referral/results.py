"""What a result says of the order that it answers, and of itself: a decision over documents.

http://hl7.org/fhir/R4/request.html, http://hl7.org/fhir/R4/valueset-observation-status.html,
http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation

A result names its order by reference (`basedOn`; a DocumentReference, which has none, by
`context.related`), or by a number of the order: the placer's, the filler's, an accession number. A
number means something within its assigner only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.r4 import reference
from coordhub.r4.interval import parse_instant

TYPES: Final = frozenset(
    {
        "ClinicalImpression",
        "Composition",
        "DiagnosticReport",
        "DocumentReference",
        "ImagingStudy",
        "Immunization",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "Observation",
        "Procedure",
        "QuestionnaireResponse",
    }
)
"""What goes to more than who asked for it: findings, notes, and what the patient is now on."""

RETRACTED: Final = frozenset({"entered-in-error", "cancelled"})
"""Statuses that say that what was told does not count."""

CORRECTED: Final = frozenset({"corrected", "amended"}) | RETRACTED
"""Statuses that whoever has an earlier version has to know of."""

PARTS: Final = ("result", "hasMember", "derivedFrom")
"""Elements of a report or panel that name what it consists of."""

IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
ORDER_NUMBERS: Final = frozenset({"PLAC", "FILL", "ACSN", "PGN"})
"""Types of Identifier by which a result names its order: http://terminology.hl7.org/CodeSystem/v2-0203"""

CRITICAL: Final = frozenset({"HH", "LL", "AA"})
"""Interpretations that a human has to know of at once."""

INTERPRETATIONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Number:
    """A number of an order. system: the namespace, "" if none is stated; assigner: `Reference.reference`, or ""."""

    system: str
    value: str
    assigner: str = ""


def orders(document: Document) -> list[Mapping[str, Any]]:
    """The Reference elements by which it names what was ordered."""
    if document.get("resourceType") == "DocumentReference":
        named = _object(document.get("context")).get("related")
    else:
        named = document.get("basedOn")
    return list(_objects(named))


def numbers(document: Document) -> list[Number]:
    """The numbers of orders that it states: in its references, and among its own identifiers by type."""
    found = [
        _number(named["identifier"])
        for named in orders(document)
        if isinstance(named.get("identifier"), Mapping)
    ]
    own = document.get("identifier")
    found += [
        _number(identifier)
        for identifier in _objects(own if isinstance(own, list) else [own])
        if _types(identifier) & ORDER_NUMBERS
    ]
    return [one for one in dict.fromkeys(found) if one.value]


def claims_an_order(document: Document) -> bool:
    """Whether it says that it answers an order, known here or not.

    A DocumentReference is related to many things: only a ServiceRequest among them is an order.
    """
    if document.get("resourceType") == "DocumentReference":
        return bool(numbers(document)) or any(
            "ServiceRequest" in (str(one.get("type", "")), *_steps(one)) for one in orders(document)
        )
    return bool(orders(document)) or bool(numbers(document))


def attached(document: Document, base: str) -> list[str]:
    """`Binary/id` of the attachments that are here."""
    found = []
    waiting: deque[Any] = deque([document])
    while waiting:
        node = waiting.popleft()
        if type(node) is list:
            waiting += [each for each in node if type(each) is dict or type(each) is list]
            continue
        if isinstance(node.get("url"), str):
            target = reference.parse(node["url"], base=base)
            if target.kind == "local" and target.type == "Binary" and target.local is not None:
                found.append(target.local)
        waiting += [each for each in node.values() if type(each) is dict or type(each) is list]
    return list(dict.fromkeys(found))


def status(document: Document) -> str:
    return str(document.get("status", ""))


def is_correction(document: Document | None) -> bool:
    """Whether it tells that what was told before is wrong; None: it was deleted."""
    return document is None or status(document) in CORRECTED


def is_critical(document: Document) -> bool:
    """Whether it, or a component of it, is so far out that a human has to know; not if it is withdrawn."""
    if status(document) in RETRACTED:
        return False
    stated = [document, *_objects(document.get("component"))]
    return any(
        coding.get("code") in CRITICAL and coding.get("system") == INTERPRETATIONS
        for one in stated
        for concept in _objects(one.get("interpretation"))
        for coding in _objects(concept.get("coding"))
    )


WINDOW: Final = timedelta(days=366)
"""How long after an order a result may still be taken for an answer to it, by who looks for one."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What speaks for an order being the one that a result answers; the patient is the same.

    linked: by another record, which is known to be of the same person.
    """

    same_code: bool
    in_time: bool
    linked: bool = False

    @property
    def is_likely(self) -> bool:
        return self.same_code and self.in_time

    def said(self) -> str:
        """In words, without content."""
        code = "same code" if self.same_code else "another code"
        time = "ordered before it" if self.in_time else "not in time"
        whose = "same person by a linked record" if self.linked else "same patient"
        return f"{whose}, {code}, {time}"


def likeness(
    result: Document, order: Document, asked_at: datetime, now: datetime, *, linked: bool = False
) -> Likeness:
    """How far an order, sent at `asked_at`, fits a result: never enough to decide, enough to propose."""
    wanted = [order.get("code"), *_listed(order.get("orderDetail"))]
    found = [
        result.get(name)
        for name in ("code", "type", "medicationCodeableConcept", "vaccineCode", "procedureCode")
    ]
    asked = set[tuple[str, str]]().union(*(codings(each) for each in wanted))
    said = set[tuple[str, str]]().union(
        *(codings(each) for one in found for each in (_listed(one) or [one]))
    )
    when = _moment(result) or now
    in_time = asked_at - timedelta(days=1) <= when <= asked_at + WINDOW
    return Likeness(bool(asked & said), in_time, linked)


_MOMENTS: Final = ("effectiveDateTime", "performedDateTime", "issued", "date", "authoredOn")


def _moment(document: Document) -> datetime | None:
    for name in _MOMENTS:
        span = parse_instant(document[name]) if isinstance(document.get(name), str) else None
        if span is not None:
            return span.low
    return None


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def codings(concept: object) -> set[tuple[str, str]]:
    """system and code of what a CodeableConcept says."""
    return {
        (str(coding["system"]), str(coding["code"]))
        for coding in _objects(_object(concept).get("coding"))
        if coding.get("system") and coding.get("code")
    }


def _steps(named: Mapping[str, Any]) -> list[str]:
    return str(named.get("reference", "")).split("/")


def _types(identifier: Mapping[str, Any]) -> set[str]:
    return {
        str(coding.get("code"))
        for coding in _objects(_object(identifier.get("type")).get("coding"))
        if coding.get("system") == IDENTIFIER_TYPES
    }


def _number(identifier: Mapping[str, Any]) -> Number:
    assigner = _object(identifier.get("assigner")).get("reference", "")
    return Number(
        str(identifier.get("system", "")), str(identifier.get("value", "")), str(assigner)
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, Mapping):
            yield one
