"""Whatever form a feed has, the same rows become the same entries; what cannot be taken is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hsds_county import PANTRY, as_zip

from coordhub.directory.hsds import reading
from coordhub.directory.hsds.entries import Read, entries
from coordhub.directory.hsds.rows import Tables
from coordhub.r4 import document as fhir_json


def nested() -> dict[str, Any]:
    """The same as one service of an API."""
    rows = {name: rows[0] for name, rows in PANTRY.items()}
    place = {**rows["locations"], "addresses": [rows["addresses"]]}
    return {
        **rows["services"], "organization": rows["organizations"], "phones": [rows["phones"]],
        "languages": [rows["languages"]], "schedules": [rows["schedules"]],
        "required_documents": [rows["required_documents"]], "cost_options": [rows["cost_options"]],
        "service_capacities": [{**rows["service_capacities"], "unit": {"id": "u1", "name": "Bed"}}],
        "attributes": [{"id": "b1", "taxonomy_term": rows["taxonomy_terms"]}],
        "service_at_locations": [{"id": "x1", "location": place}],
    }  # fmt: skip


def second() -> dict[str, list[dict[str, Any]]]:
    """The same as tables of version 2."""
    found = {name: rows for name, rows in PANTRY.items() if name != "addresses"}
    address = {
        name: value for name, value in PANTRY["addresses"][0].items() if name != "address_type"
    }
    found["physical_addresses"] = [address]
    found["regular_schedules"] = [
        {
            "id": f"h{day}",
            "service_id": "s1",
            "weekday": day,
            "opens_at": "9:00 am",
            "closes_at": "5 PM",
        }
        for day in ("1", "Wednesday")
    ]
    del found["schedules"], found["attributes"], found["taxonomy_terms"]
    found["services_taxonomy"] = [{"id": "b1", "service_id": "s1", "taxonomy_id": "t1"}]
    found["taxonomy"] = [
        {"id": "t1", "name": "Food Pantries", "parent_id": "", "vocabulary": "AIRS"}
    ]
    return found


def taken(files: dict[str, bytes]) -> tuple[Read, Tables]:
    tables = reading.read(files)
    return entries(tables, "ward", zone="America/New_York"), tables


def documents(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    read, tables = taken(files)
    assert [str(one) for one in tables.faults] == []
    return {one.key: one.document for one in read.entries}


@pytest.mark.parametrize(
    "files",
    [
        {"services.json": json.dumps([nested()]).encode()},
        {"page.json": json.dumps({"total_pages": 1, "contents": [nested()]}).encode()},
        {"service_full.json": json.dumps(nested()).encode()},
        {"tables.json": json.dumps(PANTRY).encode()},
        {
            "tables.json": json.dumps(
                {f"{name}.csv": rows for name, rows in PANTRY.items()}
            ).encode()
        },
    ],
)
def test_given_one_of_the_forms_when_read_then_the_entries_are_those_of_the_tables(
    files: dict[str, bytes],
) -> None:
    expected, found = documents(as_zip(PANTRY)), documents(files)
    assert list(found) == ["organizations/o1", "locations/l1", "services/s1"]
    for key, document in expected.items():
        assert fhir_json.encode(found[key]) == fhir_json.encode(document)


def test_given_version_2_when_read_then_its_names_of_tables_and_columns_mean_the_same() -> None:
    expected, found = documents(as_zip(PANTRY)), documents(as_zip(second()))
    assert found["locations/l1"] == expected["locations/l1"]
    pantry = found["services/s1"]
    hours = [
        (one["daysOfWeek"], one["availableStartTime"], one["availableEndTime"])
        for one in pantry["availableTime"]
    ]
    assert hours == [(["mon"], "09:00:00", "17:00:00"), (["wed"], "09:00:00", "17:00:00")]
    assert pantry["type"] == [
        {"coding": [{"system": "http://211hsis.org", "code": "t1", "display": "Food Pantries"}]}
    ]


def test_given_a_service_when_read_then_it_says_what_the_hub_matches_by() -> None:
    pantry = documents(as_zip(PANTRY))["services/s1"]
    extensions = {one["url"]: one for one in pantry["extension"]}
    assert pantry["active"] is True
    assert pantry["communication"][0]["coding"] == [{"system": "urn:ietf:bcp:47", "code": "es"}]
    [age] = pantry["eligibility"]
    assert age["extension"][0]["valueUsageContext"]["valueRange"]["low"]["value"] == 18
    assert extensions["urn:coordhub:required-document"]["valueString"] == "A letter"
    assert [part["url"] for part in extensions["urn:coordhub:service-capacity"]["extension"]] == [
        "available", "maximum", "unit", "updated"
    ]  # fmt: skip
    assert (
        extensions["http://hl7.org/fhir/StructureDefinition/timezone"]["valueCode"]
        == "America/New_York"
    )


@pytest.mark.parametrize("status", ["inactive", "defunct", "temporarily closed"])
def test_given_a_service_that_is_closed_when_read_then_it_is_not_active_and_says_which(
    status: str,
) -> None:
    closed = {**PANTRY, "services": [{**PANTRY["services"][0], "status": status}]}
    document = documents(as_zip(closed))["services/s1"]
    assert document["active"] is False
    assert {"url": "urn:coordhub:hsds-status", "valueCode": status} in document["extension"]


def test_given_hours_of_its_own_at_a_location_when_read_then_that_is_an_entry_by_itself() -> None:
    own = {
        "id": "h2",
        "service_at_location_id": "x1",
        "byday": "SA",
        "opens_at": "10:00",
        "closes_at": "12:00",
    }
    found = documents(as_zip({**PANTRY, "schedules": [*PANTRY["schedules"], own]}))
    assert "services/s1" not in found
    assert found["services/s1/at/x1"]["availableTime"][0]["daysOfWeek"] == ["sat"]


@pytest.mark.parametrize(
    ("table", "change", "field", "refused"),
    [
        ("services", {"name": ""}, "name", True),
        ("services", {"status": "open"}, "status", True),
        ("services", {"organization_id": "o9"}, "organization_id", True),
        ("services", {"minimum_age": "old"}, "minimum_age", False),
        ("services", {"minimum_age": "18", "maximum_age": "7"}, "maximum_age", False),
        ("organizations", {"website": "ward"}, "website", False),
        ("locations", {"latitude": "100"}, "latitude", False),
        ("locations", {"longitude": "NaN"}, "longitude", False),
        ("service_at_locations", {"location_id": "l9"}, "location_id", True),
        ("service_at_locations", {"service_id": "s9"}, "service_id", True),
        ("languages", {"code": "Spanish!"}, "code", False),
        ("schedules", {"freq": "HOURLY"}, "freq", True),
        ("schedules", {"byday": "MO,Tuesday"}, "byday", True),
        ("schedules", {"opens_at": "nine"}, "opens_at", False),
        ("schedules", {"interval": "2"}, "dtstart", True),
        ("schedules", {"until": "some day"}, "until", False),
        ("service_capacities", {"updated": ""}, "updated", False),
        ("service_capacities", {"available": "-1"}, "available", False),
        ("cost_options", {"amount": "ten"}, "amount", False),
        ("attributes", {"taxonomy_term_id": "t9"}, "taxonomy_term_id", False),
        ("phones", {"number": ""}, "number", False),
    ],
)
def test_given_a_row_that_cannot_be_taken_when_read_then_it_is_named_and_the_rest_goes_in(
    table: str, change: dict[str, str], field: str, refused: bool
) -> None:
    wrong = {**PANTRY, table: [{**PANTRY[table][0], **change}]}
    read, tables = taken(as_zip(wrong))
    fault = next(one for one in tables.faults if one.field == field)
    assert (fault.file, fault.row, fault.refused) == (f"{table}.csv", 2, refused)
    assert ":" in fault.what  # what is wrong, and what to do
    assert "organizations/o1" in {one.key for one in read.entries}
    assert ("services/s1" in {one.key for one in read.entries}) == (
        table != "services" or not refused
    )
    if table == "services":
        assert "services/s1" in read.stated  # so that it is not taken for gone


def test_given_files_that_are_no_hsds_when_read_then_refused_as_a_whole() -> None:
    for files in (
        {"a.json": b"[]"},
        {"a.json": b"{"},
        {"notes.csv": b"a,b\n1,2\n"},
        {"a.zip": b"PK\x03\x04nonsense"},
    ):
        with pytest.raises(reading.UnreadableError):
            reading.read(files)


def test_given_rows_with_too_many_fields_or_without_id_when_read_then_they_are_named() -> None:
    files = {
        "organizations.csv": b"id,name\no1,Ward House\no2,Comma, Inc.\n,Nameless\n",
        "services.csv": b"id,organization_id,name,status\n",
    }
    read, tables = taken(files)
    assert [(one.file, one.row, one.field) for one in tables.faults] == [
        ("organizations.csv", 3, ""), ("organizations.csv", 4, "id")
    ]  # fmt: skip
    assert [one.key for one in read.entries] == ["organizations/o1"]


def test_given_parents_in_a_circle_when_read_then_one_of_them_has_no_parent() -> None:
    rows = [
        {"id": "o1", "name": "One", "parent_organization_id": "o2"},
        {"id": "o2", "name": "Two", "parent_organization_id": "o1"},
    ]
    read, _ = taken({"tables.json": json.dumps({"organizations": rows}).encode()})
    assert [(one.key, "partOf" in one.document) for one in read.entries] == [
        ("organizations/o2", False), ("organizations/o1", True)
    ]  # fmt: skip
