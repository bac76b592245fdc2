"""What a service of the directory offers: a HealthcareService and its Locations, read for matching.

http://hl7.org/fhir/R4/healthcareservice.html, http://hl7.org/fhir/R4/location.html
http://hl7.org/fhir/us/sdoh-clinicalcare (capacity status)
http://docs.openreferral.org (HSDS: service.minimum_age, maximum_age, service_capacity)

Where R4 has an element it is that one. Where it has none:
- who is eligible: HealthcareService.eligibility, each with a code, or with the extension ELIGIBLE, a
  UsageContext: `age` with a Range of years, `gender` with an administrative gender. Whatever else is
  a condition that has to be confirmed, unless the referral states the same code of the person.
- what is left of the capacity: Gravity's extension, and CAPACITY beside it: `available`, `maximum`,
  `unit`, `updated`, as HSDS has service_capacity. Without `updated` it is as old as the resource.
- interpreters: the characteristic `Interpret` of HL7's Human Services Directory.
- given from afar: a Location of physicalType `vi`, or Plan-Net's delivery-method `virtual`.
- accessibility: Plan-Net's extension on a Location, or its code among the characteristics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from coordhub.r4 import document as fhir_json
from coordhub.r4.interval import parse_instant
from coordhub.referral.calendar import WHOLE_DAY, Calendar
from coordhub.referral.hours import calendar_of, says, zone_of
from coordhub.referral.matching import Capacity, Code, Offered, Years
from coordhub.referral.places import location_of
from coordhub.referral.same_kind import SDOHCC, kinds
from coordhub.referral.wanted import ACCESS, codes

Document = Mapping[str, Any]

CAPACITY_STATUS: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/"
    "SDOHCC-ExtensionHealthcareServiceCapacityStatus"
)
CAPACITY: Final = "urn:coordhub:service-capacity"
ELIGIBLE: Final = "urn:coordhub:eligible"
USAGE_CONTEXT: Final = "http://terminology.hl7.org/CodeSystem/usage-context-type"
GENDER: Final = "http://hl7.org/fhir/administrative-gender"
INTERPRETED: Final = (
    "http://hl7.org/fhir/us/hsds/CodeSystem/HumanServiceCharacteristicCS",
    "Interpret",
)
PHYSICAL_TYPE: Final = "http://terminology.hl7.org/CodeSystem/location-physical-type"
DELIVERY: Final = "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/delivery-method"
ACCESSIBILITY: Final = (
    "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/accessibility"
)
REFERRAL_METHOD: Final = "http://terminology.hl7.org/CodeSystem/service-referral-method"

KIND_ELEMENTS: Final = ("category", "type", "specialty", "program")
"""Elements of which each code says what kind of service it is."""


_EVERY_DAY: Final = (WHOLE_DAY,) * 7


@lru_cache(maxsize=16_384)
def read(
    service: str,
    recipient: str,
    organization: int,
    updated: datetime,
    locations: tuple[str, ...] = (),
    areas: tuple[str, ...] = (),
    *,
    zone: ZoneInfo | None = None,
    apart: bool = False,
) -> Offered:
    """What the directory says, by its texts, which say the same as long as they are the same.

    updated: of the HealthcareService. areas: its coverageArea. zone: where it does not say its own.
    """
    return offered(
        fhir_json.parse(service.encode()), recipient, organization, updated=updated,
        locations=[fhir_json.parse(one.encode()) for one in locations],
        areas=[fhir_json.parse(one.encode()) for one in areas], zone=zone, apart=apart,
    )  # fmt: skip


def offered(
    service: Document,
    recipient: str,
    organization: int,
    *,
    updated: datetime,
    locations: Sequence[Document] = (),
    areas: Sequence[Document] = (),
    zone: ZoneInfo | None = None,
    apart: bool = False,
) -> Offered:
    """The same by the documents."""
    characteristics = frozenset(codes(service.get("characteristic")))
    years, genders, conditions = _eligibility(service)
    languages = service.get("communication")
    places = () if apart else tuple(location_of(one) for one in locations)
    return Offered(
        recipient,
        organization,
        active=service.get("active") is not False,
        apart=apart,
        kinds=kinds(code for name in KIND_ELEMENTS for code in codes(service.get(name))),
        areas=tuple(location_of(one) for one in areas) if areas and not apart else None,
        virtual=_virtual(service, locations),
        at=tuple(one.point for one in places if one.point is not None),
        hours=_hours([service, *([] if apart else locations)], zone),
        by_appointment=service.get("appointmentRequired") is True,
        years=years,
        genders=genders,
        conditions=conditions,
        languages=frozenset(code.casefold() for _, code in codes(languages)) if languages else None,
        interpreters=INTERPRETED in characteristics,
        access=frozenset(_access(characteristics, locations)),
        refers_by=frozenset(
            code
            for system, code in codes(service.get("referralMethod"))
            if system == REFERRAL_METHOD
        ),
        capacity=_capacity(service, updated),
    )


def _hours(entries: Sequence[Document], zone: ZoneInfo | None) -> Calendar | None:
    """None where none of these says when it is open, or of which zone that is told.

    Who never closes needs no zone.
    """
    if not any(says(one) for one in entries):
        return None
    stated = next((known for one in entries if (known := zone_of(one))), zone)
    found = calendar_of(entries, Calendar(stated or ZoneInfo("UTC"), _EVERY_DAY))
    never_closed = found.weekly == _EVERY_DAY and not found.closed
    return found if stated is not None or never_closed else None


def _virtual(service: Document, locations: Sequence[Document]) -> bool:
    for extension in _extensions(service, DELIVERY):
        for part in _dicts(extension.get("extension")):
            if part.get("url") == "type" and any(
                code == "virtual" for _, code in codes(part.get("valueCodeableConcept"))
            ):
                return True
    return bool(locations) and all(
        (PHYSICAL_TYPE, "vi") in codes(one.get("physicalType")) for one in locations
    )


def _access(characteristics: frozenset[Code], locations: Sequence[Document]) -> Iterator[str]:
    stated = [*characteristics]
    for one in locations:
        for extension in _extensions(one, ACCESSIBILITY):
            stated += codes(extension.get("valueCodeableConcept"))
    return (code for system, code in stated if system == ACCESS)


def _eligibility(service: Document) -> tuple[Years | None, frozenset[str], frozenset[Code]]:
    """Ages, genders, and codes of what else is a condition."""
    years: Years | None = None
    genders: set[str] = set()
    conditions: set[Code] = set()
    for one in _dicts(service.get("eligibility")):
        contexts = [
            extension["valueUsageContext"]
            for extension in _extensions(one, ELIGIBLE)
            if isinstance(extension.get("valueUsageContext"), Mapping)
        ]
        stated = [*codes(one.get("code"))]
        understood = False
        for context in contexts:
            code = context.get("code")
            kind = code.get("code") if isinstance(code, Mapping) else None
            if kind == "age" and (found := _years(context.get("valueRange"))) is not None:
                years = found
                understood = True
            elif kind == "gender":
                stated += codes(context.get("valueCodeableConcept"))
            else:
                stated += [*codes(context.get("valueCodeableConcept"))] or [(ELIGIBLE, str(kind))]
        genders |= {code for system, code in stated if system == GENDER}
        others = {one for one in stated if one[0] != GENDER}
        if not understood:
            conditions |= others
            if not stated:  # in words only
                conditions.add(("", "comment"))
    return years, frozenset(genders), frozenset(conditions)


def _years(stated: object) -> Years | None:
    """None where an end of the range is not a number of years."""
    if not isinstance(stated, Mapping):
        return None
    ends: list[int | None] = []
    for name in ("low", "high"):
        quantity = stated.get(name)
        try:
            if quantity is None:
                ends.append(None)
            elif quantity.get("code", "a") == "a":
                ends.append(int(quantity["value"]))
            else:
                return None
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return None
    return Years(*ends)


def _capacity(service: Document, updated: datetime) -> Capacity | None:
    """By Gravity's status; else by the number that is left."""
    status, since = "", updated
    for extension in _extensions(service, CAPACITY):
        parts = {str(part.get("url")): part for part in _dicts(extension.get("extension"))}
        stated = parse_instant(str(parts.get("updated", {}).get("valueDateTime", "")))
        if stated is not None:
            since = min(stated.low, updated)
        left = parts.get("available", {}).get("valueInteger")
        if isinstance(left, int):
            status = "capacity" if left > 0 else "no-capacity"
    for extension in _extensions(service, CAPACITY_STATUS):
        for part in _dicts(extension.get("extension")):
            if part.get("url") == "capacityStatus":
                for system, code in codes(part.get("valueCodeableConcept")):
                    if system == SDOHCC:
                        status = code
    return Capacity(status, since) if status else None


def _extensions(element: Document, url: str) -> Iterator[Document]:
    return (one for one in _dicts(element.get("extension")) if one.get("url") == url)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
