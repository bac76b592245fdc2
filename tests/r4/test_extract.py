"""What resources are found by, and whose record they belong to."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coordhub.r4.compartment import patient_references
from coordhub.r4.extract import Extracted, extract, normalise, parameters
from coordhub.r4.parameters import sources
from coordhub.r4.types import NAMES

SPEC = Path(__file__).parents[2] / "src/coordhub/r4/spec/search-parameters.json.gz"
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def named(document: dict[str, Any], **options: Any) -> dict[str, list[tuple[Any, ...]]]:
    """The values of a document by the code of their parameter."""
    found = extract(document, **options)
    codes = {each.id: code for code, each in parameters(document["resourceType"]).items()}
    by_code: dict[str, list[tuple[Any, ...]]] = {}
    for rows in (
        found.tokens, found.strings, found.dates, found.references, found.uris, found.numbers,
        found.quantities,
    ):  # fmt: skip
        for row in rows:
            by_code.setdefault(codes[row[0]], []).append(tuple(row[1:]))
    return by_code


def test_given_all_types_then_every_parameter_has_one_number_that_fits_a_smallint() -> None:
    numbers = [each.id for name in NAMES for each in parameters(name).values()]
    assert len(numbers) == len(set(numbers)) == 3169
    assert 0 < min(numbers) <= max(numbers) < 32768
    assert set(json.loads(gzip.decompress(SPEC.read_bytes()))["parameters"]) == set(NAMES)


def test_given_numbers_that_indexes_hold_then_they_never_change() -> None:
    known = {
        ("Account", "_content"): 1,
        ("Observation", "code"): 2071,
        ("Patient", "identifier"): 2247,
        ("ServiceRequest", "subject"): 2778,
        ("Task", "patient"): 3042,
    }
    assert {key: parameters(key[0])[key[1]].id for key in known} == known


def test_given_no_such_type_then_there_is_nothing_to_find() -> None:
    assert parameters("Nonsense") == {}
    assert extract({"resourceType": "Nonsense", "status": "x"}) == Extracted()


def test_given_an_observation_then_tokens_dates_references_and_quantities_are_found() -> None:
    loinc = {"system": "http://loinc.org", "code": "4548-4"}
    found = named(
        {
            "resourceType": "Observation",
            "id": "o",
            "meta": {
                "lastUpdated": "2026-03-01T10:00:00Z",
                "profile": ["http://x.example/p"],
                "tag": [{"code": "t"}],
                "source": "http://x.example/s",
            },
            "status": "final",
            "code": {"coding": [loinc, {"code": "local"}, loinc], "text": "HbA1c"},
            "subject": {"reference": "Patient/p"},
            "effectiveDateTime": "2026-03-01",
            "valueQuantity": {"value": Decimal("7.50"), "unit": "%", "code": "%"},
            "component": [{"code": {"coding": [{"system": "s", "code": "c"}]}}],
        }
    )
    assert "_id" not in found
    assert "_lastUpdated" not in found
    assert found["_profile"] == [("http://x.example/p",)]
    assert found["_source"] == [("http://x.example/s",)]
    assert found["_tag"] == [(None, "t")]
    assert found["status"] == [(None, "final")]
    assert found["code"] == [("http://loinc.org", "4548-4"), (None, "local")]
    assert "combo-code" not in found
    assert [each.code for each in sources("Observation")["combo-code"]] == [
        "code",
        "component-code",
    ]
    assert found["component-code"] == [("s", "c")]
    day = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    assert found["date"] == [day]
    assert [each[0].local for each in found["patient"]] == ["Patient/p"]
    assert [each[0].local for each in found["subject"]] == ["Patient/p"]
    assert found["value-quantity"] == [(None, "%", "%", Decimal("7.50"), Decimal("7.50"))]


def test_given_a_subject_that_is_no_patient_then_only_subject_finds_it() -> None:
    found = named({"resourceType": "Observation", "subject": {"reference": "Group/g"}})
    assert "subject" in found
    assert "patient" not in found


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "https://other.example.org/fhir/Patient/p"},
        {"reference": "#p"},
        {"type": "Patient", "identifier": {"value": "1"}},
    ],
)
def test_given_a_patient_elsewhere_contained_or_by_identifier_then_patient_finds_it(
    subject: dict[str, Any],
) -> None:
    document = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": subject,
    }
    assert "patient" in named(document)


def test_given_a_patient_then_names_addresses_and_contacts_are_found_by_their_parts() -> None:
    found = named(
        {
            "resourceType": "Patient",
            "identifier": [{"system": "http://x.example/mrn", "value": "7"}, {"value": "8"}],
            "name": [{"family": "Everyperson", "given": ["Ada", None, "Bo"], "_given": [None]}],
            "telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "a@b"}],
            "gender": "other",
            "birthDate": "1990",
            "address": [{"line": ["1 Road"], "city": "Town", "postalCode": "123"}],
            "deceasedBoolean": False,
        }
    )
    assert found["identifier"] == [("http://x.example/mrn", "7"), (None, "8")]
    assert found["name"] == [("Everyperson",), ("Ada",), ("Bo",)]
    assert found["given"] == [("Ada",), ("Bo",)]
    assert found["telecom"] == [(None, "555"), (None, "a@b")]
    assert found["phone"] == [(None, "555")]
    assert found["email"] == [(None, "a@b")]
    assert found["address"] == [("1 Road",), ("Town",), ("123",)]
    assert found["address-city"] == [("Town",)]
    assert found["deceased"] == [(None, "false")]


def test_given_a_patient_with_or_without_word_of_death_then_deceased_answers() -> None:
    def deceased(**members: Any) -> list[tuple[Any, ...]]:
        return named({"resourceType": "Patient", **members})["deceased"]

    assert deceased() == [(None, "false")]
    assert deceased(deceasedBoolean=True) == [(None, "true")]
    assert deceased(deceasedDateTime="2020") == [(None, "true")]


def test_given_a_related_artifact_then_only_the_one_of_its_kind_is_found() -> None:
    artifacts = [
        {"type": "successor", "resource": "http://x.example/a|2"},
        {"type": "depends-on", "resource": "http://x.example/b"},
    ]
    found = named({"resourceType": "Library", "relatedArtifact": artifacts})
    assert [each[0].text for each in found["successor"]] == ["http://x.example/a"]
    assert [each[0].text for each in found["depends-on"]] == ["http://x.example/b"]


def test_given_an_absolute_reference_below_our_base_then_it_is_local() -> None:
    document = {"resourceType": "Task", "owner": {"reference": "https://hub.example/Device/d"}}
    assert named(document)["owner"][0][0].local is None
    assert named(document, base="https://hub.example")["owner"][0][0].local == "Device/d"


def test_given_very_long_content_then_its_values_still_fit_an_index() -> None:
    found = named(
        {
            "resourceType": "Patient",
            "identifier": [{"system": "s" * 3000, "value": "v" * 3000}],
            "name": [{"family": "f" * 3000}],
            "generalPractitioner": [{"reference": "https://x.example/" + "r" * 3000}],
        }
    )
    ((system, code),) = found["identifier"]
    assert len(system) <= 500
    assert len(code) <= 500
    assert found["family"] == [("f" * 200,)]
    assert "general-practitioner" not in found


def test_given_odd_content_then_it_is_passed_over() -> None:
    document: dict[str, Any] = {
        "resourceType": "Observation",
        "status": None,
        "code": {"text": "only text"},
        "subject": {"display": "somebody"},
        "effectivePeriod": {"extension": [{"url": "x"}]},
        "category": [{"coding": [{"system": "s"}]}],
        "_issued": {"extension": []},
        "focus": [None],
        "note": "not even the right shape",
    }
    assert named(document) == {}


def test_given_accents_case_and_spaces_then_strings_compare_alike() -> None:
    assert normalise("  Él \t ÑANDÚ  Straße ") == "el nandu strasse"
    assert normalise("e\u0301") == normalise("\u00e9") == "e"


@pytest.mark.parametrize(
    ("document", "patients"),
    [
        (
            {
                "resourceType": "Task",
                "owner": {"reference": "Patient/b"},
                "for": {"reference": "Patient/a"},
            },
            ["Patient/a"],
        ),
        (
            {
                "resourceType": "ServiceRequest",
                "performer": [{"reference": "Patient/b"}],
                "subject": {"reference": "Patient/a/_history/2"},
            },
            ["Patient/a", "Patient/b"],
        ),
        (
            {
                "resourceType": "Coverage",
                "subscriber": {"reference": "Patient/b"},
                "beneficiary": {"reference": "Patient/a"},
            },
            ["Patient/a", "Patient/b"],
        ),
        ({"resourceType": "Device", "patient": {"reference": "Patient/a"}}, ["Patient/a"]),
        ({"resourceType": "Observation", "subject": {"reference": "Group/g"}}, []),
        ({"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}, []),
        ({"resourceType": "Organization", "partOf": {"reference": "Organization/o"}}, []),
        ({"resourceType": "Patient", "id": "a"}, []),
    ],
)  # fmt: skip
def test_given_a_resource_then_the_patients_of_its_compartments_are_named_main_first(
    document: dict[str, Any], patients: list[str]
) -> None:
    assert patient_references(document) == patients


def test_given_published_examples_then_extraction_never_fails_and_finds_something() -> None:
    files = sorted(DATA.glob("*/*.json"))
    if not files:
        pytest.skip("the shared examples are not on this machine")
    empty = []
    for file in files:
        document = json.loads(file.read_bytes(), parse_float=Decimal)
        if isinstance(document, dict) and document.get("resourceType") in NAMES:
            found = extract(document)
            patient_references(document)
            if found == Extracted():
                empty.append(document["resourceType"])
    assert set(empty) <= {"Parameters", "Binary", "OperationOutcome"}
