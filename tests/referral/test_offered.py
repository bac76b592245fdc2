"""What the directory's and the sender's documents come to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from coordhub.referral.matching import Capacity, Years
from coordhub.referral.offered import CAPACITY, CAPACITY_STATUS, DELIVERY, ELIGIBLE, offered
from coordhub.referral.places import Place
from coordhub.referral.same_kind import SDOHCC
from coordhub.referral.wanted import ACCESS, DISABILITY, wanted

NOW = datetime(2026, 11, 3, 18, 0, tzinfo=UTC)


def concept(system: str, *codes: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def read(service: dict[str, Any], **elements: Any) -> Any:
    return offered(
        {"resourceType": "HealthcareService", **service},
        "HealthcareService/1",
        7,
        updated=NOW,
        **elements,
    )


def eligible(kind: str, **value: Any) -> dict[str, Any]:
    context = {
        "code": {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": kind}
    }
    return {"extension": [{"url": ELIGIBLE, "valueUsageContext": {**context, **value}}]}  # fmt: skip


def years(low: int | None, high: int | None, unit: str = "a") -> dict[str, Any]:
    ends = {"low": low, "high": high}
    system = "http://unitsofmeasure.org"
    return {
        "valueRange": {
            name: {"value": value, "system": system, "code": unit}
            for name, value in ends.items()
            if value is not None
        }
    }


def test_given_a_service_that_says_nothing_when_read_then_nothing_is_known() -> None:
    found = read({})
    assert (found.kinds, found.areas, found.languages) == (frozenset(), None, None)
    assert (found.years, found.capacity, found.refers_by) == (None, None, frozenset())
    assert found.active


def test_given_a_kind_in_other_words_when_read_then_it_is_the_same_kind() -> None:
    service_type = "http://terminology.hl7.org/CodeSystem/service-type"
    found = read({"type": [concept(service_type, "548")]})
    asked = wanted({"category": [concept(SDOHCC, "food-insecurity")]}, None, NOW)
    assert found.kinds & asked.kinds
    us_core = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
    for_all = read({"category": [concept(us_core, "sdoh")]})
    assert not for_all.kinds


def test_given_who_is_eligible_when_read_then_ages_sexes_and_what_has_to_be_confirmed() -> None:
    found = read(
        {
            "eligibility": [
                eligible("age", **years(18, 24)),
                {"code": concept("http://hl7.org/fhir/administrative-gender", "female")},
                eligible("gender", valueCodeableConcept=concept("http://hl7.org/fhir/administrative-gender", "other")),
                {"code": concept("urn:example", "veteran")},
                {"comment": "with a letter of the landlord"},
            ]
        }
    )  # fmt: skip
    assert found.years == Years(18, 24)
    assert found.genders == {"female", "other"}
    assert found.conditions == {("urn:example", "veteran"), ("", "comment")}


@pytest.mark.parametrize(
    "value", [years(6, 18, "mo"), {"valueRange": {"low": {"value": "x"}}}, {"valueQuantity": {}}]
)
def test_given_an_age_that_is_none_in_years_when_read_then_it_has_to_be_confirmed(value) -> None:
    found = read({"eligibility": [eligible("age", **value)]})
    assert found.years is None
    assert found.conditions


def status(code: str) -> dict[str, Any]:
    part = {"url": "capacityStatus", "valueCodeableConcept": concept(SDOHCC, code)}
    return {"url": CAPACITY_STATUS, "extension": [part]}


def beds(left: int, updated: str) -> dict[str, Any]:
    parts = [
        {"url": "available", "valueInteger": left},
        {"url": "updated", "valueDateTime": updated},
    ]
    return {"url": CAPACITY, "extension": parts}  # fmt: skip


def test_given_a_capacity_when_read_then_with_its_age() -> None:
    hour = timedelta(hours=1)
    earlier = "2026-11-03T17:00:00Z"
    assert read({"extension": [status("waitlist")]}).capacity == Capacity("waitlist", NOW)
    assert read({"extension": [beds(0, earlier)]}).capacity == Capacity("no-capacity", NOW - hour)
    both = [status("capacity"), beds(3, earlier)]
    assert read({"extension": both}).capacity == Capacity("capacity", NOW - hour)
    ahead = [status("capacity"), beds(3, "2027-01-01T00:00:00Z")]
    assert read({"extension": ahead}).capacity == Capacity("capacity", NOW)


def test_given_locations_when_read_then_where_it_is_what_it_has_and_whether_from_afar() -> None:
    there = {
        "position": {"latitude": 36.1, "longitude": -95.9},
        "extension": [
            {"url": "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/accessibility",
             "valueCodeableConcept": concept(ACCESS, "adacomp")}
        ],
    }  # fmt: skip
    found = read({}, locations=[there], areas=[{"address": {"state": "OK"}}])
    assert found.access == {"adacomp"}
    assert found.areas == (Place(state="ok"),)
    assert len(found.at) == 1
    assert not found.virtual
    virtual = concept("http://terminology.hl7.org/CodeSystem/location-physical-type", "vi")
    assert read({}, locations=[{"physicalType": virtual}]).virtual
    method = {"url": "type", "valueCodeableConcept": concept("urn:x", "virtual")}
    assert read({"extension": [{"url": DELIVERY, "extension": [method]}]}).virtual


def test_given_a_victim_service_provider_when_read_then_it_is_nowhere() -> None:
    there = {"position": {"latitude": 36.1, "longitude": -95.9}, "address": {"postalCode": "74101"}}
    found = read({}, locations=[there], areas=[there], apart=True)
    assert (found.at, found.areas) == ((), None)


def test_given_a_request_and_its_patient_when_read_then_what_bears_on_who_can_help() -> None:
    found = wanted(
        {
            "priority": "urgent",
            "category": [concept(SDOHCC, "homelessness")],
            "orderDetail": [concept(ACCESS, "pubtrans")],
            "reasonCode": [concept("urn:example", "veteran")],
        },
        {
            "birthDate": "1961-04-02",
            "gender": "female",
            "communication": [
                {"language": concept("urn:ietf:bcp:47", "en")},
                {"language": concept("urn:ietf:bcp:47", "es-MX"), "preferred": True},
            ],
            "address": [
                {"use": "old", "postalCode": "1"},
                {"use": "temp", "postalCode": "2"},
                {"use": "home", "postalCode": "74101"},
            ],
            "extension": [
                {"url": DISABILITY, "valueCodeableConcept": concept("http://snomed.info/sct", "105503008")}
            ],
        },
        NOW,
    )  # fmt: skip
    assert found.urgent
    assert found.domains == {"homelessness"}
    assert (found.languages, found.place.postal_code) == (("es-mx",), "74101")
    assert (found.born, found.gender) == (date(1961, 4, 2), "female")
    assert found.access == {"pubtrans", "adacomp"}
    assert ("urn:example", "veteran") in found.facts


@pytest.mark.parametrize("born", ["1961", "1961-04", "nonsense", 1961, None, "1961-02-30"])
def test_given_no_whole_birth_date_when_read_then_the_age_is_not_known(born) -> None:
    assert wanted({}, {"birthDate": born}, NOW).born is None
