"""What a person is on, by all who say so, and where that does not go together; pure.

http://hl7.org/fhir/R4/medicationrequest.html, http://hl7.org/fhir/R4/medicationstatement.html,
http://hl7.org/fhir/R4/allergyintolerance.html

Nothing is merged: each order and each statement stands by itself, with who says it and when, and findings name
them. The same ingredient twice in force is a duplicate, unless one says that it is about the other. One that is in
force and another, later or of the same time, that says it was stopped do not go together; nor two doses of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Final

from coordhub.insight import priors
from coordhub.insight.same_ingredient import Ingredients
from coordhub.r4 import interval, reference
from coordhub.store.resources import Version

Document = Mapping[str, Any]

TYPES: Final = ("MedicationRequest", "MedicationStatement", "AllergyIntolerance")

_IN_FORCE: Final[Mapping[str, frozenset[str]]] = {
    "MedicationRequest": frozenset({"active", "on-hold"}),
    "MedicationStatement": frozenset({"active", "intended", "on-hold"}),
}
_STOPPED: Final = frozenset({"stopped", "not-taken"})
"""What speaks against another that is in force; not what has ended as agreed, or never began."""
_ORDERED: Final = frozenset(
    {"order", "original-order", "reflex-order", "filler-order", "instance-order"}
)

DUPLICATE: Final = "duplicate"
STATUS: Final = "different-status"
DOSE: Final = "different-dose"
ALLERGY: Final = "allergy"


@dataclass(frozen=True, slots=True)
class Medication:
    """An order or a statement. is_current: it is in force. said: since when that is so, as it says.

    ingredients: by which it is compared with others. dose: what is taken how often, to be compared.
    """

    version: Version
    document: Document
    concept: Document
    ingredients: frozenset[str]
    status: str
    is_current: bool
    said: datetime
    dose: tuple[object, ...] | None
    dosage: str


@dataclass(frozen=True, slots=True)
class Allergy:
    version: Version
    document: Document
    ingredients: frozenset[str]
    said: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """code: one of those above. about: what does not go together, the newest first."""

    code: str
    ingredient: str
    about: tuple[Medication | Allergy, ...]


def medications(
    versions: Iterable[Version],
    named: Mapping[str, Document],
    known: Ingredients,
    *,
    base: str,
) -> list[Medication]:
    """Orders and statements that count, in force or stopped, newest first. named: Medications by `Medication/id`."""
    found = []
    for version in versions:
        if version.type not in _IN_FORCE or version.body is None:
            continue
        document = priors.document_of(version)
        status = str(document.get("status"))
        is_current = status in _IN_FORCE[version.type]
        counts = version.type == "MedicationStatement" or (
            document.get("intent") in _ORDERED and document.get("doNotPerform") is not True
        )
        if not counts or (not is_current and status not in _STOPPED):
            continue
        concept = _concept(document, named, base)
        found.append(
            Medication(
                version, document, concept, _ingredients(concept, known), status, is_current,
                _said(version, document), _dose(document), _dosage(document),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.said, one.version.rid), reverse=True)


def allergies(versions: Iterable[Version], known: Ingredients) -> list[Allergy]:
    """Those that stand, newest first."""
    found = []
    for version in versions:
        if version.type != "AllergyIntolerance" or version.body is None:
            continue
        document = priors.document_of(version)
        clinical = {code for _, code in priors.codes_of(document.get("clinicalStatus"))}
        verified = {code for _, code in priors.codes_of(document.get("verificationStatus"))}
        if clinical & {"inactive", "resolved"} or verified & {"refuted", "entered-in-error"}:
            continue
        found.append(
            Allergy(
                version, document, _ingredients(document.get("code") or {}, known),
                _said(version, document),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.said, one.version.rid), reverse=True)


def findings(
    taken: Sequence[Medication], allergic: Sequence[Allergy], known: Ingredients, *, base: str
) -> list[Finding]:
    """What does not go together, by ingredient."""
    names = sorted({name for one in taken if one.is_current for name in one.ingredients})
    return [
        Finding(code, known.titles.get(name, name.rpartition("|")[2]), about)
        for name in names
        for code, about in _of_ingredient(name, taken, allergic, base)
    ]


def _of_ingredient(
    name: str, taken: Sequence[Medication], allergic: Sequence[Allergy], base: str
) -> Iterator[tuple[str, tuple[Medication | Allergy, ...]]]:
    current = [one for one in taken if one.is_current and name in one.ingredients]
    twice = _in_pairs(current, lambda one, other: not _is_about(one, other, base))
    if twice:
        yield DUPLICATE, twice
    stopped = [one for one in taken if not one.is_current and name in one.ingredients]
    later = [one for one in stopped if any(one.said >= other.said for other in current)]
    if later:
        yield STATUS, (*current, *later)
    unlike = _in_pairs(
        current,
        lambda one, other: None not in (one.dose, other.dose) and one.dose != other.dose,
    )
    if unlike:
        yield DOSE, unlike
    against = [one for one in allergic if name in one.ingredients]
    if against:
        yield ALLERGY, (*current, *against)


def _in_pairs(of: Sequence[Medication], unlike: Any) -> tuple[Medication, ...]:
    """Those that have another among them for which this holds."""
    pairs = [pair for pair in combinations(of, 2) if unlike(*pair)]
    return tuple(one for one in of if any(one in pair for pair in pairs))


def _is_about(one: Medication, other: Medication, base: str) -> bool:
    """Whether one says that it speaks of the other: of one therapy there are two records."""
    return one.version.reference in _named(other.document, base) or (
        other.version.reference in _named(one.document, base)
    )


def _named(document: Document, base: str) -> set[str]:
    elements = [
        *(document.get("basedOn") or ()),
        *(document.get("derivedFrom") or ()),
        document.get("priorPrescription"),
    ]
    found = (
        reference.parse_element(one, base=base) for one in elements if isinstance(one, Mapping)
    )
    return {one.local for one in found if one is not None and one.local is not None}


def _concept(document: Document, named: Mapping[str, Document], base: str) -> Document:
    concept = document.get("medicationCodeableConcept")
    if isinstance(concept, Mapping):
        return concept
    element = document.get("medicationReference")
    if not isinstance(element, Mapping):
        return {}
    text = str(element.get("reference") or "")
    inside = {f"#{one.get('id')}": one for one in document.get("contained") or ()}
    found = reference.parse_element(element, base=base)
    local = found.local if found is not None else None
    medication = inside.get(text) or named.get(local or "") or {}
    coded = medication.get("code")
    if isinstance(coded, Mapping):
        return coded
    return {"text": element["display"]} if "display" in element else {}


def references(versions: Iterable[Version], base: str) -> set[tuple[str, str]]:
    """Type and id of the Medications that these refer to."""
    found = set()
    for version in versions:
        if version.type in _IN_FORCE and version.body is not None:
            element = priors.document_of(version).get("medicationReference")
            one = (
                reference.parse_element(element, base=base)
                if isinstance(element, Mapping)
                else None
            )
            if one is not None and one.local is not None and one.type == "Medication" and one.id:
                found.add((one.type, one.id))
    return found


def _ingredients(concept: Document, known: Ingredients) -> frozenset[str]:
    codes = [code for code in priors.codes_of(concept) if code[0]]
    if codes:
        return known.of(codes)
    text = " ".join(str(concept.get("text") or "").lower().split())
    return frozenset({text}) if text else frozenset()


def _said(version: Version, document: Document) -> datetime:
    if version.type == "MedicationRequest" and document.get("status") in _STOPPED:
        return version.updated  # R4 does not say when it was stopped
    period = document.get("effectivePeriod") or {}
    stated = (
        document.get("dateAsserted"), document.get("authoredOn"), document.get("recordedDate"),
        document.get("effectiveDateTime"), period.get("end"), period.get("start"),
    )  # fmt: skip
    for text in stated:
        found = interval.parse_instant(text) if isinstance(text, str) else None
        if found is not None:
            return found.low
    return version.updated


def _dosages(document: Document) -> list[Document]:
    name = (
        "dosage" if document.get("resourceType") == "MedicationStatement" else "dosageInstruction"
    )
    return [one for one in document.get(name) or () if isinstance(one, Mapping)]


def _dose(document: Document) -> tuple[object, ...] | None:
    """Of one dosage that says it in numbers: how much, how often; None where it cannot be compared."""
    stated = _dosages(document)
    if len(stated) != 1:
        return None
    rates = stated[0].get("doseAndRate") or [{}]
    quantity = rates[0].get("doseQuantity") or {}
    repeat = (stated[0].get("timing") or {}).get("repeat") or {}
    unit = quantity.get("code") or quantity.get("unit")
    if quantity.get("value") is None or not unit:
        return None
    often = tuple(repeat.get(name) for name in ("frequency", "period", "periodUnit"))
    return quantity["value"], unit, often


def _dosage(document: Document) -> str:
    for one in _dosages(document):
        if one.get("text"):
            return str(one["text"])
        rates = one.get("doseAndRate") or [{}]
        quantity = rates[0].get("doseQuantity") or {}
        if quantity.get("value") is not None:
            return (
                f"{quantity['value']} {quantity.get('unit') or quantity.get('code') or ''}".strip()
            )
    return ""
