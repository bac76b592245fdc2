"""What a person is on, by several who say so, and what of it does not go together."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coordhub.insight import medications, same_ingredient
from coordhub.insight.same_ingredient import SYSTEMS, UnusableIngredientsError
from coordhub.store.resources import Version

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
BASE = "http://hub.example/fhir"
KNOWN = same_ingredient.read()
METFORMIN, METFORMIN_ER, LISINOPRIL = "RxNorm|6809", "RxNorm|860975", "RxNorm|314076"
CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"

Document = dict[str, Any]


def stored(document: Document, rid: int = 1, updated: datetime = NOW) -> Version:
    text, kind = json.dumps(document), document["resourceType"]
    return Version(rid, kind, f"r{rid}", 1, "create", updated, 7, 7, 256, text)


def concept(code: str) -> Document:
    system, _, value = code.partition("|")
    return {"coding": [{"system": SYSTEMS.get(system, system), "code": value}]}


def ordered(
    code: str = METFORMIN, days: int = 3, dose: float | None = None, **others: Any
) -> Document:
    document = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(code),
        "authoredOn": (NOW - timedelta(days=days)).isoformat(),
        **others,
    }
    if dose is not None:
        quantity = {"value": dose, "unit": "mg"}
        document["dosageInstruction"] = [
            {"doseAndRate": [{"doseQuantity": quantity}], "timing": {"repeat": {"frequency": 2}}}
        ]
    return document


def said(code: str = METFORMIN, days: int = 3, **others: Any) -> Document:
    return {
        "resourceType": "MedicationStatement",
        "status": "active",
        "medicationCodeableConcept": concept(code),
        "dateAsserted": (NOW - timedelta(days=days)).isoformat(),
        **others,
    }


def allergic(code: str, status: str = "active") -> Document:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": status}]},
        "code": concept(code),
    }


def found(*documents: Document) -> list[tuple[str, str, list[str]]]:
    versions = [stored(document, rid) for rid, document in enumerate(documents)]
    taken = medications.medications(versions, {}, KNOWN, base=BASE)
    allergies = medications.allergies(versions, KNOWN)
    return [
        (one.code, one.ingredient, sorted(each.version.id for each in one.about))
        for one in medications.findings(taken, allergies, KNOWN, base=BASE)
    ]


BOTH = ["r0", "r1"]


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([ordered(METFORMIN), ordered(METFORMIN_ER)], [("duplicate", "Metformin", BOTH)]),
        ([ordered(METFORMIN), ordered("ATC|A10BA02")], [("duplicate", "Metformin", BOTH)]),
        ([ordered(METFORMIN), ordered(LISINOPRIL)], []),
        # codes that nobody has listed are compared as they are
        ([ordered("urn:own|x"), said("urn:own|x")], [("duplicate", "x", BOTH)]),
        # one that speaks of the other is the same therapy
        ([ordered(), said(derivedFrom=[{"reference": "MedicationRequest/r0"}])], []),
        ([ordered(), ordered(priorPrescription={"reference": f"{BASE}/MedicationRequest/r0"})], []),
        # what is not in force, or no order, does not count
        ([ordered(), ordered(status="completed")], []),
        ([ordered(), ordered(status="entered-in-error")], []),
        ([ordered(), ordered(intent="proposal")], []),
        ([ordered(), ordered(doNotPerform=True)], []),
        # stopped by another since, or before it was begun again
        ([ordered(days=9), said(status="not-taken")], [("different-status", "Metformin", BOTH)]),
        ([ordered(days=1), said(status="stopped", days=9)], []),
        ([said(status="stopped")], []),
        (
            [ordered(dose=500), ordered(dose=1000)],
            [("duplicate", "Metformin", BOTH), ("different-dose", "Metformin", BOTH)],
        ),
        ([ordered(dose=500), ordered(dose=500.0)], [("duplicate", "Metformin", BOTH)]),
        ([ordered(dose=10**400), ordered(dose=10**400)], [("duplicate", "Metformin", BOTH)]),
        ([ordered(dose=500), ordered()], [("duplicate", "Metformin", BOTH)]),
        # a class that the ingredient is of
        ([ordered("RxNorm|308182"), allergic("RxNorm|70618")], [("allergy", "Amoxicillin", BOTH)]),
        ([ordered("RxNorm|308182"), allergic("RxNorm|70618", "resolved")], []),
        ([ordered(METFORMIN), allergic("RxNorm|70618")], []),
        ([ordered("RxNorm|308182", status="stopped"), allergic("RxNorm|70618")], []),
    ],
)  # fmt: skip
def test_given_what_several_say_when_compared_then_what_does_not_go_together_is_found(
    documents: list[Document], expected: list[tuple[str, str, list[str]]]
) -> None:
    assert found(*documents) == expected


def test_given_a_medication_by_reference_when_read_then_its_code_counts() -> None:
    inside = {"resourceType": "Medication", "id": "m", "code": concept(METFORMIN)}
    contained = ordered(medicationReference={"reference": "#m"}, contained=[inside])
    elsewhere = ordered(medicationReference={"reference": "Medication/7"})
    for document in (contained, elsewhere):
        del document["medicationCodeableConcept"]
    versions = [stored(contained, 1), stored(elsewhere, 2)]
    assert medications.references(versions, BASE) == {("Medication", "7")}
    taken = medications.medications(versions, {"Medication/7": inside}, KNOWN, base=BASE)
    assert [one.ingredients for one in taken] == [{"metformin"}] * 2


def test_given_an_operator_s_file_when_read_then_it_goes_on_or_says_where_it_is_wrong() -> None:
    own = same_ingredient.read(
        b'{"ingredients": [{"ingredient": "metformin", "codes": ["urn:own|M"]},'
        b' {"ingredient": "gliclazide", "codes": ["urn:own|G"]}],'
        b' "classes": [{"class": "oral", "of": ["metformin", "gliclazide"], "codes": ["urn:own|O"]}]}'
    )
    assert own.of([("urn:own", "M")]) == own.of([(SYSTEMS["RxNorm"], "6809")]) == {"metformin"}
    assert own.of([("urn:own", "O")]) == {"metformin", "gliclazide"}
    assert own.titles["metformin"] == "Metformin"
    for text, said_ in (
        (b'{"classes": [{"class": "x", "of": ["nothing"]}]}', "which is not there"),
        (b'{"ingredients": [{"ingredient": "x", "codes": ["6809"]}]}', "is not system|code"),
        (b'{"ingredient": []}', "ingredient"),
    ):
        with pytest.raises(UnusableIngredientsError, match=said_.replace("|", r"\|")):
            same_ingredient.read(text)
