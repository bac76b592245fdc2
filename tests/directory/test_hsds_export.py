"""There and back: what the directory says as HSDS is what the feed said, and becomes the same entries again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hsds_county import PANTRY, as_json, as_zip, county

from coordhub.directory.hsds import reading
from coordhub.directory.hsds.entries import entries
from coordhub.directory.hsds.exporting import export
from coordhub.r4 import document as fhir_json

ZONE = "America/New_York"
SQUARE = {"type": "Polygon", "coordinates": [[[-73, 42], [-72, 42], [-72, 43], [-73, 42]]]}
RICH: dict[str, list[dict[str, Any]]] = {
    **PANTRY,
    "programs": [{"id": "g9", "organization_id": "o1", "name": "Winter help"}],
    "services": [
        {
            **PANTRY["services"][0], "program_id": "g9", "alternate_name": "The pantry", "email": "p@ward.example",
            "url": "https://ward.example/p", "application_process": "Call.", "fees_description": "None.",
            "alert": "Closed on the 24th.", "eligibility_description": "Residents.", "maximum_age": "99",
            "assured_date": "2026-01-01", "accreditations": "State", "wait_time": "A day",
        },
        {"id": "s2", "organization_id": "o1", "name": "Annex", "status": "temporarily closed"},
    ],
    "phones": [
        {"id": "p1", "service_id": "s1", "number": "555-0100", "extension": "7", "type": "voice"},
        {"id": "p2", "service_id": "s1", "number": "555-0101", "type": "fax"},
        {"id": "p3", "organization_id": "o1", "number": "555-0102", "type": "text"},
        {"id": "p4", "service_at_location_id": "x2", "number": "555-0103", "type": "voice"},
    ],
    "contacts": [{"id": "n1", "organization_id": "o1", "name": "Pat Pantry", "title": "Head",
                  "email": "h@ward.example"}],
    "organization_identifiers": [
        {"id": "i1", "organization_id": "o1", "identifier_scheme": "US-MA", "identifier_type": "Charity",
         "identifier": "77"}
    ],
    "locations": [
        *PANTRY["locations"], {"id": "l2", "organization_id": "o1", "name": "Online", "location_type": "virtual"}
    ],
    "service_at_locations": [*PANTRY["service_at_locations"], {"id": "x2", "service_id": "s1", "location_id": "l2"}],
    "accessibility": [{"id": "y1", "location_id": "l1", "description": "Wheelchair ramp"}],
    "schedules": [
        *PANTRY["schedules"],
        {"id": "h2", "service_id": "s1", "freq": "MONTHLY", "byday": "2SA", "opens_at": "09:00", "closes_at": "12:00",
         "valid_from": "2026-01-01", "until": "2027-01-01", "notes": "Ring twice"},
        {"id": "h3", "location_id": "l1", "byday": "FR", "opens_at": "10:00", "closes_at": "11:00"},
    ],
    "holiday_schedules": [
        {"id": "z1", "service_id": "s1", "closed": "true", "start_date": "2026-12-25", "end_date": "2026-12-26"}
    ],
    "service_areas": [
        {"id": "r1", "service_id": "s1", "name": "The square", "extent": json.dumps(SQUARE), "extent_type": "geojson"},
        {"id": "r2", "service_id": "s1", "name": "Milltown", "extent": "01301", "extent_type": "text"},
    ],
    "taxonomy_terms": [
        {"id": "t0", "code": "BD", "name": "Food", "taxonomy": "211"},
        {"id": "t1", "code": "BD-1800.2000", "name": "Food Pantries", "taxonomy": "211", "parent_id": "t0"},
    ],
}  # fmt: skip


def documents(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    tables = reading.read(files)
    found = {one.key: one.document for one in entries(tables, "ward", zone=ZONE).entries}
    assert [str(one) for one in tables.faults if one.field != "attributes"] == []
    return found


def back(found: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    by = {f"{one['resourceType']}/{one['id']}": one for one in found.values()}
    services = [one for one in found.values() if one["resourceType"] == "HealthcareService"]
    return export(services, by, by)


@pytest.mark.parametrize("files", [as_zip(RICH), as_json(county(12, shelters=0))])
def test_given_entries_of_a_feed_when_exported_and_read_again_then_they_are_the_same(
    files: dict[str, bytes],
) -> None:
    first = documents(files)
    text = fhir_json.encode(back(first))
    second = documents({"services.json": text})
    for key, document in first.items():
        assert comparable(second[key]) == comparable(document)
    assert set(first) == set(second)


def comparable(document: dict[str, Any]) -> Any:
    """Extensions are in no order."""
    said = json.loads(fhir_json.encode(document))
    said["extension"] = sorted(json.dumps(one) for one in said.get("extension", ()))
    return said


def test_given_a_feed_when_exported_then_it_says_in_its_own_words_what_it_said() -> None:
    [pantry, annex] = back(documents(as_zip(RICH)))["services"]
    stated = RICH["services"][0]
    for name in (
        "id",
        "name",
        "status",
        "description",
        "alternate_name",
        "email",
        "url",
        "application_process",
        "alert",
    ):
        assert pantry[name] == stated[name]
    assert annex["status"] == "temporarily closed"
    assert (pantry["minimum_age"], pantry["maximum_age"]) == (18, 99)
    assert pantry["organization"]["name"] == "Ward House"
    assert [(one["number"], one.get("extension")) for one in pantry["phones"]] == [
        ("555-0100", 7),
        ("555-0101", None),
    ]
    rules = [(one.get("freq"), one.get("byday"), one.get("until")) for one in pantry["schedules"]]
    assert rules[:2] == [("WEEKLY", "MO,WE", None), ("MONTHLY", "2SA", "2027-01-01")]
    assert {one["location"]["name"] for one in pantry["service_at_locations"]} == {"Hall", "Online"}
    assert json.loads(pantry["service_areas"][0]["extent"]) == SQUARE
    assert pantry["service_capacities"][0]["available"] == 3


def test_given_an_entry_that_no_feed_told_when_exported_then_its_own_ids_are_used() -> None:
    organization = {"resourceType": "Organization", "id": "a", "name": "Ward House"}
    service = {
        "resourceType": "HealthcareService", "id": "b", "name": "Beds", "providedBy": {"reference": "Organization/a"},
        "availableTime": [{"allDay": True}],
    }  # fmt: skip
    other = {**service, "id": "c", "providedBy": {"reference": "Organization/absent"}}
    [found] = export([service, other], {"Organization/a": organization}, {})["services"]
    assert (found["id"], found["organization"]["id"], found["status"]) == ("b", "a", "active")
    assert (found["schedules"][0]["opens_at"], found["schedules"][0]["closes_at"]) == (
        "00:00",
        "24:00",
    )
