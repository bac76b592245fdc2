"""What a ServiceRequest asks for, and what of its Patient bears on who can give it.

http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/R4/patient.html
http://hl7.org/fhir/R4/extension-patient-interpreterrequired.html
http://hl7.org/fhir/R4/extension-patient-disability.html

What kind of service: ServiceRequest.category, code and performerType. What the place must have:
orderDetail with a code of ACCESS, and what the patient's disabilities come to. What is known of the
person beyond birth date, gender, language and address: reasonCode and orderDetail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from coordhub.r4.interval import parse_instant
from coordhub.referral.matching import Code, Wanted
from coordhub.referral.places import Place, place_of
from coordhub.referral.same_kind import domains, kinds

Document = Mapping[str, Any]

ACCESS: Final = "http://hl7.org/fhir/us/davinci-pdex-plan-net/CodeSystem/AccessibilityCS"
"""Codes of what makes a place accessible: adacomp (for wheelchairs), pubtrans, answhb ..."""

INTERPRETER: Final = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired"
DISABILITY: Final = "http://hl7.org/fhir/StructureDefinition/patient-disability"
_TAKES: Final[Mapping[Code, str]] = {("http://snomed.info/sct", "105503008"): "adacomp"}
"""Disability (dependence on wheelchair) -> what the place must have."""

THEIRS: Final = frozenset({"intimate-partner-violence"})
"""Domains for which victim service providers are asked."""

URGENT: Final = frozenset({"urgent", "asap", "stat"})


def wanted(
    request: Document,
    patient: Document | None,
    now: datetime,
    *,
    urgent: bool = False,
    by: datetime | None = None,
) -> Wanted:
    """urgent: for another reason than ServiceRequest.priority. by: the latest that is of use, unless
    ServiceRequest.occurrence says it.
    """
    person = patient or {}
    asked = frozenset(
        code for name in ("category", "code", "performerType") for code in codes(request.get(name))
    )
    details = frozenset(codes(request.get("orderDetail")))
    means = kinds(asked)
    known = domains(means)
    return Wanted(
        kinds=means,
        domains=known,
        theirs=bool(known & THEIRS),
        place=_place(person),
        languages=tuple(_languages(person)),
        interpreter=any(
            one.get("valueBoolean") is True for one in _extensions(person, INTERPRETER)
        ),
        born=_date(person.get("birthDate")),
        gender=str(person.get("gender") or ""),
        facts=details.union(codes(request.get("reasonCode"))),
        access=frozenset(
            [
                *(code for system, code in details if system == ACCESS),
                *(_TAKES[one] for one in _disabilities(person) if one in _TAKES),
            ]
        ),
        now=now,
        by=_occurs_until(request) or by,
        urgent=urgent or request.get("priority") in URGENT,
    )


def _occurs_until(request: Document) -> datetime | None:
    moment, period = request.get("occurrenceDateTime"), request.get("occurrencePeriod")
    if isinstance(period, Mapping):
        moment = period.get("end")
    stated = parse_instant(moment) if isinstance(moment, str) else None
    return None if stated is None else stated.high


def codes(concepts: Any) -> Iterator[Code]:
    """(system, code) of a CodeableConcept or of several."""
    for concept in _dicts(concepts if isinstance(concepts, list) else [concepts]):
        for coding in _dicts(concept.get("coding")):
            if isinstance(coding.get("code"), str):
                yield str(coding.get("system") or ""), coding["code"]


def _place(person: Document) -> Place:
    """Where the person lives now: its home, else where it stays for a time, else what is said first."""
    addresses = [
        one
        for one in _dicts(person.get("address"))
        if one.get("use") != "old" and one.get("type") != "postal"
    ]
    best = sorted(addresses, key=lambda one: _USES.get(one.get("use"), len(_USES)))
    return place_of(best[0]) if best else Place()


_USES: Final[Mapping[object, int]] = {"home": 0, "temp": 1}


def _languages(person: Document) -> Iterator[str]:
    """The preferred ones; where none is marked, all."""
    stated = _dicts(person.get("communication"))
    for one in [each for each in stated if each.get("preferred") is True] or stated:
        for _, code in codes(one.get("language")):
            yield code.casefold()


def _disabilities(person: Document) -> Iterator[Code]:
    for one in _extensions(person, DISABILITY):
        yield from codes(one.get("valueCodeableConcept"))


def _extensions(element: Document, url: str) -> Iterator[Document]:
    return (one for one in _dicts(element.get("extension")) if one.get("url") == url)


def _date(text: object) -> date | None:
    """A whole date; of a part of one no age can be told to the year."""
    try:
        return date.fromisoformat(text) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    found: Iterable[Any] = value if isinstance(value, list) else ()
    return [one for one in found if isinstance(one, dict)]
