from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.r4 import datasets as d
from coordhub.r4 import definitions, structure
from coordhub.r4 import document as fhir_json

SETS = d.read()
LOINC = "http://loinc.org"
TYPE = "http://terminology.hl7.org/CodeSystem/service-type"
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"

PATIENT = {
    "resourceType": "Patient", "id": "p",
    "meta": {"versionId": "3", "lastUpdated": "2026-01-02T03:04:05Z", "tag": [{"code": "secret-tag"}]},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">secret</div>'},
    "extension": [{"url": "http://example.org/x", "valueString": "secret"}],
    "identifier": [{"value": "secret"}], "active": True,
    "name": [{"family": "Doe", "_family": {"id": "a"}}], "telecom": [{"system": "phone", "value": "555"}],
    "birthDate": "1961-04-02", "_birthDate": {"extension": [{"url": "http://x.org", "valueString": "secret"}]},
    "address": [{"line": ["secret"], "postalCode": "01001"}, {"city": "secret"}],
    "communication": [{"language": {"text": "es"}, "preferred": True}],
    "contact": [{"name": {"text": "secret"}}], "managingOrganization": {"display": "secret"},
}  # fmt: skip
REQUEST = {
    "resourceType": "ServiceRequest", "id": "s", "status": "active", "intent": "order",
    "meta": {"versionId": "1"},
    "contained": [
        {"resourceType": "Practitioner", "id": "who", "name": [{"text": "Dr"}], "birthDate": "1970-01-01"},
        {"resourceType": "Coverage", "id": "cov", "status": "active",
         "beneficiary": {"display": "secret"}, "payor": [{"display": "secret"}]},
    ],
    "category": [{"coding": [{"system": SDOH, "code": "food-insecurity"}]}],
    "code": {"coding": [{"system": LOINC, "code": "1"}], "text": "Food box"},
    "quantityQuantity": {"value": Decimal("1.00")},
    "subject": {"reference": "Patient/p"}, "requester": {"reference": "#who"},
    "reasonCode": [{"text": "secret"}], "reasonReference": [{"reference": "Condition/secret"}],
    "insurance": [{"reference": "#cov"}], "supportingInfo": [{"reference": "Observation/secret"}],
    "note": [{"text": "secret"}],
}  # fmt: skip
TASK = {
    "resourceType": "Task", "id": "t", "status": "requested", "intent": "order",
    "meta": {"versionId": "1", "tag": [{"code": "x"}]}, "focus": {"reference": "ServiceRequest/s"},
    "for": {"reference": "Patient/p"},
}  # fmt: skip


def size(code: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": "o", "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": "Patient/p"}, "valueQuantity": {"value": Decimal("4.0")},
    }  # fmt: skip


def trimmed(document: dict[str, Any], number: int) -> dict[str, Any]:
    body = fhir_json.encode(document).decode()
    return fhir_json.parse(SETS.trim(body, number, document["resourceType"]).encode())


def names(document: dict[str, Any]) -> set[str]:
    return set(document) - {"resourceType", "id", "meta"}


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (d.FOOD, {"active", "name", "telecom", "address", "communication"}),
        (d.HOUSING, {"active", "name", "telecom", "address", "communication", "birthDate", "_birthDate"}),
        (d.TRANSPORT, {"active", "name", "telecom", "address", "communication"}),
        (d.SOCIAL, {"active", "name", "telecom", "address", "communication"}),
        (d.VSP, {"active", "name", "telecom", "communication"}),
        (d.BLIND, set()),
    ],
)  # fmt: skip
def test_each_kind_of_recipient_sees_these_elements_of_a_patient(
    number: int, shown: set[str]
) -> None:
    assert names(trimmed(PATIENT, number)) == shown


def test_a_food_bank_sees_the_zip_and_not_the_street() -> None:
    seen = trimmed(PATIENT, d.FOOD)
    assert seen["address"] == [{"postalCode": "01001"}]
    assert seen["name"] == PATIENT["name"]
    assert seen["meta"]["versionId"] == "3"
    assert seen["meta"]["tag"] == [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
    ]
    assert "secret" not in str(seen)


def test_a_food_bank_sees_what_is_asked_for_and_not_why() -> None:
    seen = trimmed(REQUEST, d.FOOD)
    assert "secret" not in str(seen)
    assert names(seen) == {
        "contained", "status", "intent", "category", "code", "quantityQuantity", "subject", "requester",
    }  # fmt: skip
    assert seen["contained"][0]["name"] == [{"text": "Dr"}]
    assert "birthDate" not in seen["contained"][0]
    assert len(seen["contained"]) == 1
    assert str(seen["quantityQuantity"]["value"]) == "1.00"


def test_what_refers_to_something_contained_that_is_not_shown_says_that_it_is_masked() -> None:
    insured = REQUEST | {"requester": {"reference": "#cov", "display": "secret"}}
    seen = trimmed(insured, d.FOOD)
    assert seen["requester"] == {
        "extension": [{"url": d.DATA_ABSENT_REASON, "valueCode": "masked"}]
    }


def test_a_candidate_of_a_broadcast_sees_no_identity() -> None:
    seen = trimmed(REQUEST, d.BLIND)
    assert seen["code"] == {"coding": REQUEST["code"]["coding"]}  # type: ignore[index]
    assert "Patient" not in str(seen)
    assert seen["subject"] == {"extension": [{"url": d.DATA_ABSENT_REASON, "valueCode": "masked"}]}
    assert not SETS.shows(d.BLIND, "Patient")
    assert "for" not in trimmed(TASK, d.BLIND)


def test_a_task_without_hidden_elements_is_whole_and_can_be_sent_back() -> None:
    assert trimmed(TASK, d.FOOD) == TASK
    told = trimmed(TASK | {"description": "secret"}, d.FOOD)
    assert "description" not in told
    assert {"code": "x"} in told["meta"]["tag"]
    assert len(told["meta"]["tag"]) == 2


def test_of_observations_only_the_household_size_is_shown_to_a_food_bank() -> None:
    assert SETS.admits(d.FOOD, size("63512-8"))
    assert not SETS.admits(d.FOOD, size("4548-4"))
    assert not SETS.admits(d.TRANSPORT, size("63512-8"))
    assert trimmed(size("63512-8"), d.FOOD)["valueQuantity"]["value"] == Decimal("4.0")
    assert "valueQuantity" not in trimmed(size("4548-4"), d.FOOD)
    assert "4548-4" not in str(trimmed(size("4548-4"), d.FOOD))


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("document", [PATIENT, REQUEST, TASK, size("63512-8"), size("1")])
def test_what_is_trimmed_is_still_sound(document: dict[str, Any], number: int) -> None:
    assert not structure.check(document)
    assert structure.check(trimmed(document, number)) == []


@pytest.mark.parametrize(
    ("kind", "number", "allowed", "refused"),
    [
        ("Patient", d.FOOD, {"name", "phone", "address-postalcode", "_id"},
         {"birthdate", "address", "identifier", "_tag", "deceased", "_text", "organization"}),
        ("Patient", d.HOUSING, {"birthdate", "gender"}, {"identifier"}),
        ("Patient", d.BLIND, set(), {"name", "_id"}),
        ("ServiceRequest", d.FOOD, {"code", "patient"}, {"based-on", "encounter"}),
        ("ServiceRequest", d.BLIND, {"status"}, {"code", "patient", "subject", "requester"}),
        ("Observation", d.FOOD, {"patient"}, {"code", "code-value-quantity", "value-quantity"}),
        ("Task", d.BLIND, {"owner", "status", "_tag"}, {"patient", "subject", "encounter"}),
        ("Observation", d.WHOLE, {"code", "_text"}, set()),
        ("Patient", 999, set(), {"_id"}),
    ],
)  # fmt: skip
def test_a_search_asks_only_for_what_is_shown(
    kind: str, number: int, allowed: set[str], refused: set[str]
) -> None:
    assert allowed <= SETS.params_allowed(number, kind)
    assert not refused & SETS.params_allowed(number, kind)


def test_a_search_by_several_parameters_finds_by_the_data_sets_that_allow_them_all() -> None:
    assert SETS.allowing("Patient", {"name", "birthdate"}) == {d.WHOLE, d.HOUSING}
    assert SETS.allowing("Patient", {"identifier"}) == {d.WHOLE}


@pytest.mark.parametrize(
    ("codes", "number"),
    [
        ([(TYPE, "548")], d.FOOD),
        ([(SDOH, "food-insecurity"), (SDOH, "homelessness")], d.FOOD),
        ([(TYPE, "126")], d.HOUSING),
        ([(TYPE, "230")], d.TRANSPORT),
        ([(TYPE, "485"), (TYPE, "548")], d.VSP),
        ([(TYPE, "no such")], d.SOCIAL),
        ([], d.SOCIAL),
    ],
)
def test_a_recipient_has_the_narrowest_data_set_that_fits(
    codes: list[tuple[str | None, str]], number: int
) -> None:
    assert SETS.fitting(codes) == number


def full(kind: str, at: str, depth: int) -> dict[str, Any]:
    """An object with every element of its type, each primitive holding its own path."""
    made: dict[str, Any] = {}
    for element in definitions.elements(kind):
        for name, type_ in element.json_names().items():
            if name in ("id", "meta", "contained", "implicitRules", "language", "extension") or (
                name == "modifierExtension"
            ):
                continue
            path = f"{at}.{element.name}"
            if type_ in definitions.primitives() or type_ not in definitions.types():
                made[name] = [f"<{path}>"] if element.repeats else f"<{path}>"
                made[f"_{name}"] = {"id": f"<{path}>"}
            elif depth:
                below = full(type_, path, depth - 1)
                made[name] = [below, below] if element.repeats else below
    return made


KINDS = sorted({kind for one in SETS for kind in one.types} | {"Condition", "Coverage"})


@given(st.sampled_from(KINDS), st.integers(1, 6), st.data())
def test_nothing_outside_of_the_data_set_is_in_what_is_trimmed(
    kind: str, number: int, data: st.DataObject
) -> None:
    whole = full(kind, kind, 2)
    kept = data.draw(st.sets(st.sampled_from(sorted(whole))))
    document = {"resourceType": kind, "id": "x"} | {name: whole[name] for name in sorted(kept)}
    shown = next(one for one in SETS if one.number == number).types.get(kind)
    if shown is not None and shown.hidden is None:
        document["extension"] = [{"url": "<extension>", "valueString": f"<{kind}.extension>"}]
        document["modifierExtension"] = [{"url": f"<{kind}.modifierExtension>"}]
    text = fhir_json.encode(trimmed(document, number)).decode()
    seen = {tuple(path.split(".")[1:]) for path in re.findall(r"<([^>]*)>", text)}
    before = re.findall(r"<([^>]*)>", fhir_json.encode(document).decode())
    if shown is None or not SETS.admits(number, document):
        assert seen == set()
    else:
        assert all(shown.covers(path) for path in seen)
        assert seen == {path for one in before if shown.covers(path := tuple(one.split(".")[1:]))}


def test_an_operator_narrows_and_adds_data_sets() -> None:
    sets = d.read(
        b'{"food": {"number": 1, "types": {"Patient": ["name"], "AllergyIntolerance": []}},'
        b' "legal": {"number": 100, "fits": ["|legal"], "types": {"Patient": ["name", "birthDate"]}}}'
    )
    seen = sets.trim(fhir_json.encode(PATIENT).decode(), d.FOOD, "Patient")
    assert names(fhir_json.parse(seen.encode())) == {"name"}
    assert not sets.shows(d.FOOD, "AllergyIntolerance")
    assert sets.shows(d.FOOD, "Observation")
    assert sets.fitting([(None, "legal")]) == 100
    assert sets.shows(100, "Organization")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "cannot be read"),
        (b'{"food": {"number": 2}}', "it is 1"),
        (b'{"mine": {"number": 7}}', "from 100"),
        (b'{"mine": {"number": 100, "types": {"Patinet": []}}}', "no such type"),
        (b'{"mine": {"number": 100, "types": {"Patient": ["name.familly"]}}}', "name.familly"),
        (b'{"mine": {"number": 100, "types": {"Patient": {"all_but": [], "elements": ["name"]}}}}', "alone"),
        (b'{"mine": {"number": 100, "typos": {}}}', "typos"),
        (b'{"a": {"number": 100}, "b": {"number": 100}}', "same number"),
    ],
)  # fmt: skip
def test_a_file_of_data_sets_that_cannot_be_meant_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(d.UnusableDatasetsError, match=re.escape(says)):
        d.read(text)
