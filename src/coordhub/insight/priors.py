"""Which results answer what is about to be ordered, newest first, and what is under way; pure.

http://hl7.org/fhir/R4/observation.html, http://hl7.org/fhir/R4/diagnosticreport.html

What says that it does not count is no answer: wrong, cancelled, not final, without a value, of a specimen that
was no good, of another patient, of no known time. When it was taken counts, not when it was told. Values are
compared with each other only if both have the same unit and the same code: two scales may share a unit, and
between two units of one dimension there may be no factor (HbA1c in % and in mmol/mol).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from coordhub.insight.same_question import Code, Question
from coordhub.r4 import document as fhir_json
from coordhub.r4 import interval, reference
from coordhub.store.resources import Version

Document = Mapping[str, Any]

CODED_BY: Final[Mapping[str, str]] = {
    "Observation": "code",
    "DiagnosticReport": "code",
    "ImagingStudy": "procedureCode",
    "DocumentReference": "type",
    "ServiceRequest": "code",
}
"""Which element says what it answers, or asks."""

_COUNTS: Final[Mapping[str, frozenset[str]]] = {
    "Observation": frozenset({"final", "amended", "corrected"}),
    "DiagnosticReport": frozenset({"final", "amended", "corrected", "appended"}),
    "ImagingStudy": frozenset({"available"}),
    "DocumentReference": frozenset({"current"}),
}
_OPEN: Final = frozenset({"requested", "received", "accepted", "ready", "in-progress", "on-hold"})
"""Of a Task by which somebody is at it."""

AHEAD: Final = timedelta(minutes=5)
"""How far a laboratory's clock may be before ours."""


@dataclass(frozen=True, slots=True)
class Result:
    """taken: when, as early as it may have been. age: days since, by the calendar. is_new: within the window.

    value: as people read it; empty: none of its own (a report, a study). number, unit: of a Quantity.
    """

    version: Version
    document: Document
    title: str
    codes: frozenset[Code]
    taken: datetime
    age: int
    is_new: bool
    value: str = ""
    number: Decimal | None = None
    unit: Code | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """An order under way. since: when it was written, or came here. tasks: by which somebody is at it."""

    version: Version
    document: Document
    title: str
    since: datetime
    age: int
    tasks: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """direction: rising, falling or steady, from the last value but one to the last. change: by how much."""

    direction: str
    change: Decimal
    since: datetime


def results(
    question: Question,
    candidates: Iterable[Version],
    *,
    patients: Collection[int],
    now: datetime,
    zone: tzinfo = UTC,
    rejected: Collection[str] = (),
    base: str = "",
) -> list[Result]:
    """Those that answer it, newest first. patients: rids of the person. rejected: Specimens that were no good."""
    found = [
        one
        for version in candidates
        if version.patient in patients and version.body is not None
        if (one := _result(question, version, now, zone)) is not None
        if not _of_bad_specimen(one.document, rejected, base)
    ]
    return sorted(
        found, key=lambda one: (one.taken, bool(one.value), one.version.rid), reverse=True
    )


def trend(found: Sequence[Result]) -> Trend | None:
    """From the last but one to the last that can be compared with the newest; None if there is none."""
    newest = next(iter(found), None)
    if newest is None or newest.number is None:
        return None
    for earlier in found[1:]:
        alike = earlier.unit == newest.unit and earlier.codes & newest.codes
        if earlier.number is None or not alike or earlier.taken == newest.taken:
            continue
        change = newest.number - earlier.number
        direction = "rising" if change > 0 else "falling" if change < 0 else "steady"
        return Trend(direction, change, earlier.taken)
    return None


def orders(
    question: Question, candidates: Iterable[Version], *, patients: Collection[int]
) -> list[Version]:
    """ServiceRequests in force that ask the same."""
    found = []
    for version in candidates:
        if version.type != "ServiceRequest" or version.patient not in patients:
            continue
        document = document_of(version)
        in_force = document.get("status") == "active" and document.get("intent") in _ORDERED
        asks = codes_of(document.get("code")) & question.answers
        if in_force and asks and not document.get("doNotPerform"):
            found.append(version)
    return found


_ORDERED: Final = frozenset(
    {"order", "original-order", "reflex-order", "filler-order", "instance-order"}
)


def pending(
    question: Question,
    ordered: Iterable[Version],
    tasks: Iterable[Version],
    candidates: Iterable[Version],
    *,
    now: datetime,
    zone: tzinfo = UTC,
    base: str,
) -> list[Pending]:
    """Of these orders those on which somebody is at work and of which there is no result, newest first.

    candidates: among which a result of theirs would be.
    """
    if question.window is None:
        return []
    at_work: dict[str, list[Version]] = {}
    for task in tasks:
        document = document_of(task)
        if document.get("status") in _OPEN:
            for text in _locals([document.get("focus"), *(document.get("basedOn") or ())], base):
                at_work.setdefault(text, []).append(task)
    answered = {
        text
        for version in candidates
        if version.type in _COUNTS
        if (document := document_of(version)).get("status") in _COUNTS[version.type]
        for text in _locals(document.get("basedOn") or (), base)
    }
    found = []
    for version in ordered:
        if version.reference not in at_work or version.reference in answered:
            continue
        document = document_of(version)
        since = _at(document.get("authoredOn")) or version.updated
        days = age(since, now, zone)
        if since <= now + AHEAD and days <= question.window.days:
            title = _title(question, document.get("code"))
            found.append(
                Pending(version, document, title, since, days, tuple(at_work[version.reference]))
            )
    return sorted(found, key=lambda one: (one.since, one.version.rid), reverse=True)


def age(then: datetime, now: datetime, zone: tzinfo = UTC) -> int:
    """Days between, as people count them: by the calendar of the zone."""
    return max(0, (now.astimezone(zone).date() - then.astimezone(zone).date()).days)


def codes_of(concepts: Any) -> frozenset[Code]:
    """(system, code) of a CodeableConcept, or of several."""
    return frozenset(
        (str(coding.get("system") or ""), str(coding["code"]))
        for concept in _listed(concepts)
        for coding in _listed(concept.get("coding"))
        if coding.get("code")
    )


def specimens(candidates: Iterable[Version], base: str) -> set[str]:
    """`Specimen/id` of what these are about."""
    return {
        text
        for version in candidates
        if version.type in ("Observation", "DiagnosticReport") and version.body is not None
        for text in _locals(_listed(document_of(version).get("specimen")), base)
        if text.startswith("Specimen/")
    }


def is_bad_specimen(document: Document) -> bool:
    """Whether it says of itself that nothing can be told from it."""
    return document.get("status") in ("unsatisfactory", "entered-in-error")


def _result(question: Question, version: Version, now: datetime, zone: tzinfo) -> Result | None:
    if version.type not in _COUNTS:
        return None
    document = document_of(version)
    concept = document.get(CODED_BY[version.type])
    codes = codes_of(concept)
    if document.get("status") not in _COUNTS[version.type] or not codes & question.answers:
        return None
    if document.get("docStatus", "final") not in ("final", "amended"):
        return None
    taken = _taken(version.type, document)
    if taken is None or taken > now + AHEAD:
        return None
    value = _value(document) if version.type == "Observation" else ("", None, None)
    if value is None:
        return None
    days = age(taken, now, zone)
    is_new = question.window is not None and days <= question.window.days
    title = _title(question, concept)
    return Result(version, document, title, codes, taken, days, is_new, *value)


def _taken(kind: str, document: Document) -> datetime | None:
    """As early as it may have been: what is newer than it is warns in vain."""
    match kind:
        case "ImagingStudy":
            return _at(document.get("started"))
        case "DocumentReference":
            period = (document.get("context") or {}).get("period") or {}
            return _at(period.get("start")) or _at(document.get("date"))
    period = document.get("effectivePeriod") or {}
    return (
        _at(document.get("effectiveDateTime"))
        or _at(document.get("effectiveInstant"))
        or _at(period.get("start"))
    )


def _at(text: object) -> datetime | None:
    stated = interval.parse_instant(text) if isinstance(text, str) else None
    return None if stated is None else stated.low


def _value(document: Document) -> tuple[str, Decimal | None, Code | None] | None:
    """Value, number and unit; None where the Observation says nothing."""
    if "dataAbsentReason" in document:
        return None
    quantity = document.get("valueQuantity")
    if isinstance(quantity, Mapping):
        return _quantity(quantity)
    concept = document.get("valueCodeableConcept")
    if isinstance(concept, Mapping):
        return (_text(concept), None, None) if _text(concept) else None
    for name in ("valueString", "valueInteger", "valueBoolean", "valueDateTime", "valueTime"):
        if name in document:
            return str(document[name]), None, None
    if any(name.startswith("value") for name in document):
        return "", None, None
    parts = [one for one in _listed(document.get("component")) if "dataAbsentReason" not in one]
    return ("", None, None) if parts or document.get("hasMember") else None


def _quantity(quantity: Document) -> tuple[str, Decimal | None, Code | None] | None:
    if "value" not in quantity:
        return None
    unit = str(quantity.get("unit") or quantity.get("code") or "")
    text = f"{quantity.get('comparator', '')}{quantity['value']} {unit}".strip()
    if "comparator" in quantity or not quantity.get("code"):
        return text, None, None
    try:
        number = Decimal(str(quantity["value"]))
    except InvalidOperation:
        return None
    return text, number, (str(quantity.get("system") or ""), str(quantity["code"]))


def _of_bad_specimen(document: Document, rejected: Collection[str], base: str) -> bool:
    named = _listed(document.get("specimen"))
    if any(text in rejected for text in _locals(named, base)):
        return True
    inside = {f"#{one.get('id')}": one for one in _listed(document.get("contained"))}
    held = (inside.get(str(one.get("reference"))) for one in named)
    return any(one is not None and is_bad_specimen(one) for one in held)


def _title(question: Question, concept: Any) -> str:
    concepts = _listed(concept)
    return question.title or (_text(concepts[0]) if concepts else "")


def _text(concept: Document) -> str:
    displays = [one.get("display") for one in _listed(concept.get("coding"))]
    codes = [one.get("code") for one in _listed(concept.get("coding"))]
    return str(concept.get("text") or next((one for one in (*displays, *codes) if one), ""))


def _listed(value: Any) -> list[Document]:
    return [
        one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)
    ]


def _locals(named: Iterable[Any], base: str) -> Iterator[str]:
    for element in named:
        found = (
            reference.parse_element(element, base=base) if isinstance(element, Mapping) else None
        )
        if found is not None and found.local is not None:
            yield found.local


def document_of(version: Version) -> dict[str, Any]:
    """Its document; {} of a deletion."""
    return fhir_json.parse(version.body.encode()) if version.body is not None else {}
