"""That every constraint of R4 is checked, or it is said why not."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.r4 import definitions, structure
from coordhub.r4.invariants import ELSEWHERE, PREDICATES, UNCHECKED

XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def test_given_all_constraints_when_counted_then_each_is_checked_or_says_why_not() -> None:
    stated = {(constraint.path, constraint.key) for constraint in definitions.constraints()}
    known = [*PREDICATES, *ELSEWHERE, *UNCHECKED]
    assert len(known) == len(set(known))
    assert stated == set(known)
    assert len(stated) == 203
    assert len(UNCHECKED) == 10


def resource(resource_type: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": resource_type, **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return resource("Observation", status="final", code={"text": "x"}, **elements)


def condition(**elements: Any) -> dict[str, Any]:
    return resource("Condition", subject={"reference": "Patient/1"}, **elements)


def definition(*elements: dict[str, Any]) -> dict[str, Any]:
    return resource(
        "StructureDefinition",
        url="http://a.example/x",
        name="X",
        status="active",
        kind="resource",
        abstract=False,
        type="Patient",
        baseDefinition="http://hl7.org/fhir/StructureDefinition/Patient",
        derivation="constraint",
        differential={"element": list(elements)},
    )


CONTAINED = [{"resourceType": "Medication", "id": "m"}]

# What is sent, and each issue that comes of it: its place, and how it begins.
BROKEN: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "an invariant of the resource": (
        observation(dataAbsentReason={"text": "x"}, valueInteger=1),
        [("Observation", "obs-6")],
    ),
    "an invariant deep in an extension of a primitive": (
        resource(
            "Patient",
            _birthDate={
                "extension": [
                    {"url": "http://a.example", "valuePeriod": {"start": "2027", "end": "2026"}}
                ]
            },
        ),
        [("Patient.birthDate.extension[0].valuePeriod", "per-1")],
    ),
    "several at once, beside a fault of structure": (
        resource(
            "Patient",
            gender="F",
            contact=[{"gender": "male"}],
            telecom=[{"value": "1"}],
            name=[{"period": {"start": "2027", "end": "2026"}}],
        ),
        [
            ("Patient.gender", "Not a code"),
            ("Patient.contact[0]", "pat-1"),
            ("Patient.telecom[0]", "cpt-2"),
            ("Patient.name[0].period", "per-1"),
        ],
    ),
    "an invariant at an element of a data type": (
        resource("Organization", name="x", telecom=[{"system": "phone", "use": "home"}]),
        [("Organization.telecom[0]", "org-3")],
    ),
    "an invariant of a choice": (
        resource(
            "RiskAssessment",
            status="final",
            subject={"display": "x"},
            prediction=[{"probabilityRange": {"low": {"value": 3}}}],
        ),
        [("RiskAssessment.prediction[0].probabilityRange", "ras-1")],
    ),
    "an invariant that is seen from above": (
        definition(
            {"path": "Patient.name", "id": "Patient.name", "max": "many"},
            {"path": "Other", "id": "o"},
        ),
        [
            ("StructureDefinition.differential", "sdf-8a"),
            ("StructureDefinition.differential.element[0].max", "eld-3"),
        ],
    ),
    "an invariant of one entry": (
        resource(
            "Bundle",
            type="collection",
            entry=[
                {"resource": resource("Patient")},
                {"resource": resource("Patient"), "search": {"mode": "match"}},
            ],
        ),
        [("Bundle.entry[1]", "bdl-2")],
    ),
    "a simple quantity with a comparator": (
        observation(referenceRange=[{"low": {"value": 1, "comparator": "<"}}]),
        [("Observation.referenceRange[0].low.comparator", "sqty-1")],
    ),
    "a reference to another type": (
        observation(subject={"reference": "Medication/1"}),
        [("Observation.subject.reference", "Medication is not what")],
    ),
    "an absolute reference to another type": (
        observation(subject={"reference": "https://other.example/fhir/Medication/1/_history/2"}),
        [("Observation.subject.reference", "Medication is not what")],
    ),
    "a conditional reference to another type": (
        observation(subject={"reference": "Medication?identifier=1"}),
        [("Observation.subject.reference", "Medication is not what")],
    ),
    "a reference to a contained resource of another type": (
        observation(subject={"reference": "#m"}, contained=CONTAINED),
        [("Observation.subject.reference", "Medication is not what")],
    ),
    "a reference within a contained resource": (
        observation(
            specimen={"reference": "#s"},
            contained=[
                {"resourceType": "Specimen", "id": "s", "subject": {"reference": "Medication/1"}}
            ],
        ),
        [("Observation.contained[0].subject.reference", "Medication is not what")],
    ),
    "a reference to what is not contained": (
        observation(subject={"reference": "#p"}),
        [("Observation.subject.reference", "ref-1")],
    ),
    "a type that the reference may not have": (
        observation(subject={"type": "Medication", "identifier": {"value": "1"}}),
        [("Observation.subject.type", "Medication is not what")],
    ),
    "a type that the reference does not lead to": (
        observation(subject={"type": "Group", "reference": "Patient/1"}),
        [("Observation.subject.type", "The reference leads to Patient")],
    ),
    "a reference to an entry of another type": (
        resource(
            "Bundle",
            type="collection",
            entry=[
                {
                    "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
                    "resource": resource("Medication"),
                },
                {
                    "resource": observation(
                        subject={"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}
                    )
                },
            ],
        ),
        [("Bundle.entry[1].resource.subject.reference", "Medication is not what")],
    ),
    "a concept of another system": (
        condition(clinicalStatus={"coding": [{"system": "http://a.example", "code": "active"}]}),
        [("Condition.clinicalStatus", "One coding has to be of")],
    ),
    "a concept of text only": (
        condition(clinicalStatus={"text": "active"}),
        [("Condition.clinicalStatus", "One coding has to be of")],
    ),
    "a narrative with a script": (
        resource(
            "Patient", text={"status": "generated", "div": XHTML.replace("x</", "<script/>x</")}
        ),
        [("Patient.text.div", "txt-1")],
    ),
}

RIGHT: dict[str, dict[str, Any]] = {
    "a concept of the value set beside one of another system": condition(
        clinicalStatus={
            "coding": [
                {"system": "http://a.example", "code": "x"},
                {"system": CLINICAL, "code": "active"},
            ]
        }
    ),
    "an extension instead of a concept": condition(
        clinicalStatus={"extension": [{"url": "http://a.example/absent", "valueCode": "unknown"}]}
    ),
    "a reference to a server whose addresses say no type": observation(
        subject={"reference": "https://other.example/people/1"}
    ),
    "a reference to an entry that is not here": observation(
        subject={"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}
    ),
    "a type of the definitions' address": observation(
        subject={"type": "http://hl7.org/fhir/StructureDefinition/Patient"}
    ),
    "a reference to anything": resource(
        "List", status="current", mode="working", entry=[{"item": {"reference": "Medication/1"}}]
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_given_what_an_invariant_forbids_when_checked_then_its_place_is_named(case: str) -> None:
    sent, expected = BROKEN[case]
    found = structure.check(sent)
    assert [issue.expression for issue in found] == [place for place, _ in expected]
    for issue, (_, begins) in zip(found, expected, strict=True):
        assert issue.diagnostics.startswith(begins)


@pytest.mark.parametrize("case", RIGHT)
def test_given_what_is_allowed_when_checked_then_nothing_is_said(case: str) -> None:
    assert structure.check(RIGHT[case]) == []
