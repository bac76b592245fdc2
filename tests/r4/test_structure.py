from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from coordhub.errors import Issue
from coordhub.r4 import definitions, document, structure
from coordhub.r4.structure_structs import accepts
from coordhub.r4.structure_walk import walk


def observation(**elements: Any) -> dict[str, Any]:
    """A valid Observation with some elements set, or taken out with `...`."""
    whole: dict[str, Any] = {
        "resourceType": "Observation",
        "id": "a1c",
        "meta": {"versionId": "1", "lastUpdated": "2026-11-22T14:00:00.123Z"},
        "text": {
            "status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml">7.50 %</div>',
        },
        "identifier": [{"use": "official", "system": "http://lab.example/a1c", "value": "1"}],
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-20",
        "valueQuantity": {"value": document.parse(b'{"v":7.50}')["v"], "unit": "%"},
        "component": [
            {"code": {"text": "a"}, "valueString": "x"},
            {"code": {"text": "b"}, "valueBoolean": True},
        ],
        "extension": [
            {"url": "http://a.example/flat", "valueCode": "x"},
            {"url": "http://a.example/deep", "extension": [{"url": "a", "valueInteger": 3}]},
        ],
    }
    whole.update(elements)
    return {name: value for name, value in whole.items() if value is not ...}


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def extension(**elements: Any) -> dict[str, Any]:
    return patient(extension=[{"url": "http://a.example/x", **elements}])


ABSENT = {"extension": [{"url": "http://a.example/absent", "valueCode": "unknown"}]}

VALID: dict[str, dict[str, Any]] = {
    "an ordinary observation": observation(),
    "a patient with nothing": patient(),
    "extensions instead of a date": patient(_birthDate=ABSENT),
    "extensions beside a date": patient(birthDate="1980-02-29", _birthDate={"id": "b"}),
    "extensions instead of a required code": observation(status=..., _status=ABSENT),
    "extensions instead of a choice": observation(valueQuantity=..., _valueString=ABSENT),
    "an array filled up with null": patient(
        name=[{"given": ["a", None, "b"], "_given": [None, ABSENT, {"id": "x"}]}]
    ),
    "extensions only, of an array": patient(name=[{"_given": [ABSENT]}]),
    "id of a resource with extensions": patient(id="a", _id=ABSENT),
    "text with what looks like an empty object": observation(note=[{"text": "{} \\u0001 \\b"}]),
    "contained and referenced": observation(
        subject={"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}]
    ),
    "contained and referring to its container": observation(
        contained=[
            {
                "resourceType": "Provenance",
                "id": "p",
                "target": [{"reference": "#"}],
                "recorded": "2026-11-22T14:00:00Z",
                "agent": [{"who": {"display": "lab"}}],
            }
        ]
    ),
    "a resource inside parameters inside a part": {
        "resourceType": "Parameters",
        "parameter": [{"name": "a", "part": [{"name": "b", "resource": observation()}]}],
    },
    "keywords of Python as names": {
        "resourceType": "Encounter",
        "status": "planned",
        "class": {"code": "AMB"},
    },
}

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a required element missing": (observation(code=...), "required", "Observation.code"),
    "a required element of a backbone missing": (
        observation(component=[{"code": {"text": "a"}}, {"valueString": "x"}]),
        "required",
        "Observation.component[1].code",
    ),
    "a required choice missing": (
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/p1"},
        },
        "required",
        "MedicationRequest.medication",
    ),
    "an element that R4 has not": (
        observation(triggeredBy=[{}]),
        "structure",
        "Observation.triggeredBy",
    ),
    "a sibling of an element that has no value": (
        observation(_subject={"id": "x"}),
        "structure",
        "Observation._subject",
    ),
    "resourceType on a data type": (
        observation(subject={"resourceType": "Reference", "reference": "Patient/p1"}),
        "structure",
        "Observation.subject.resourceType",
    ),
    "two types of a choice": (
        observation(valueString="7"),
        "structure",
        "Observation.value",
    ),
    "two types of a choice, one by extension": (
        observation(_valueString=ABSENT),
        "structure",
        "Observation.value",
    ),
    "a type that the choice has not": (
        observation(valueQuantity=..., valueCode="x"),
        "structure",
        "Observation.valueCode",
    ),
    "a code outside of a required value set": (
        observation(status="done"),
        "code-invalid",
        "Observation.status",
    ),
    "a code outside of a value set, in a data type": (
        observation(identifier=[{"value": "1"}, {"use": "primary", "value": "2"}]),
        "code-invalid",
        "Observation.identifier[1].use",
    ),
    "an array for one value": (
        observation(subject=[{"reference": "Patient/p1"}]),
        "structure",
        "Observation.subject",
    ),
    "one value for an array": (
        observation(category={"text": "laboratory"}),
        "structure",
        "Observation.category",
    ),
    "an empty array": (observation(category=[]), "structure", "Observation.category"),
    "an empty object": (observation(code={}), "structure", "Observation.code"),
    "an empty object deep inside": (
        observation(code={"coding": [{}]}),
        "structure",
        "Observation.code.coding[0]",
    ),
    "an empty string": (observation(note=[{"text": ""}]), "value", "Observation.note[0].text"),
    "null": (observation(subject=None), "structure", "Observation.subject"),
    "null in an array of objects": (
        observation(identifier=[None]),
        "structure",
        "Observation.identifier[0]",
    ),
    "null in an array of values": (
        patient(name=[{"given": ["a", None]}]),
        "structure",
        "Patient.name[0].given[1]",
    ),
    "null on both sides": (
        patient(name=[{"given": ["a", None], "_given": [ABSENT, None]}]),
        "structure",
        "Patient.name[0].given[1]",
    ),
    "siblings of another number": (
        patient(name=[{"given": ["a", "b"], "_given": [ABSENT]}]),
        "structure",
        "Patient.name[0].given",
    ),
    "siblings that say nothing": (
        patient(name=[{"_given": [None]}]),
        "structure",
        "Patient.name[0].given",
    ),
    "a sibling that fills up what is not there": (
        patient(name=[{"_given": [None, ABSENT]}]),
        "structure",
        "Patient.name[0].given[0]",
    ),
    "a sibling with neither value nor extensions": (
        patient(_birthDate={"id": "x"}),
        "invariant",
        "Patient.birthDate",
    ),
    "a sibling with another element": (
        patient(_birthDate={"value": "x", **ABSENT}),
        "structure",
        "Patient.birthDate.value",
    ),
    "a sibling that is empty": (
        patient(birthDate="1980", _birthDate={}),
        "structure",
        "Patient.birthDate",
    ),
    "a sibling that is no object": (
        patient(birthDate="1980", _birthDate="x"),
        "structure",
        "Patient.birthDate",
    ),
    "a sibling of the id of an element": (
        patient(name=[{"id": "a", "_id": ABSENT, "text": "a"}]),
        "structure",
        "Patient.name[0].id",
    ),
    "a string for an object": (observation(code="4548-4"), "structure", "Observation.code"),
    "an object for a string": (
        observation(effectiveDateTime={"a": 1}),
        "structure",
        "Observation.effectiveDateTime",
    ),
    "a decimal in quotes": (
        observation(valueQuantity={"value": "7.5"}),
        "structure",
        "Observation.valueQuantity.value",
    ),
    "a number for a boolean": (patient(active=1), "structure", "Patient.active"),
    "a boolean for a number": (
        patient(multipleBirthInteger=True),
        "structure",
        "Patient.multipleBirthInteger",
    ),
    "a day that does not exist": (patient(birthDate="1981-02-29"), "value", "Patient.birthDate"),
    "a control character": (
        observation(note=[{"text": "a\x01"}]),
        "value",
        "Observation.note[0].text",
    ),
    "an id with an underscore": (observation(id="a_1"), "value", "Observation.id"),
    "an extension without url": (
        patient(extension=[{"valueString": "x"}]),
        "required",
        "Patient.extension[0].url",
    ),
    "an extension with neither value nor extensions": (
        extension(),
        "invariant",
        "Patient.extension[0]",
    ),
    "an extension with both": (
        extension(valueString="x", extension=[{"url": "a", "valueString": "y"}]),
        "invariant",
        "Patient.extension[0]",
    ),
    "a contained resource of no known type": (
        observation(
            subject={"reference": "#p"}, contained=[{"resourceType": "Subject", "id": "p"}]
        ),
        "structure",
        "Observation.contained[0]",
    ),
    "a fault in a contained resource": (
        observation(
            subject={"reference": "#p"},
            contained=[{"resourceType": "Patient", "id": "p", "gender": "F"}],
        ),
        "code-invalid",
        "Observation.contained[0].gender",
    ),
    "two contained resources of one id": (
        observation(
            subject={"reference": "#p"},
            contained=[
                {"resourceType": "Patient", "id": "p"},
                {"resourceType": "Patient", "id": "p"},
            ],
        ),
        "duplicate",
        "Observation.contained[1].id",
    ),
    "a contained resource nobody refers to": (
        observation(contained=[{"resourceType": "Patient", "id": "p"}]),
        "invariant",
        "Observation.contained[0]",
    ),
    "a contained resource with a version": (
        observation(
            subject={"reference": "#p"},
            contained=[{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}],
        ),
        "invariant",
        "Observation.contained[0].meta.versionId",
    ),
    "a contained resource that is no object": (
        observation(contained=["x"]),
        "structure",
        "Observation.contained[0]",
    ),
    "a fault in an entry": (
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": patient()}, {"resource": observation(status="done")}],
        },
        "code-invalid",
        "Bundle.entry[1].resource.status",
    ),
    "an empty object in an entry": (
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": patient(name=[{}])}],
        },
        "structure",
        "Bundle.entry[0].resource.name[0]",
    ),
    "an entry without resourceType": (
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"id": "1"}}]},
        "required",
        "Bundle.entry[0].resource",
    ),
    "a fault in a resource of a part": (
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "a", "part": [{"name": "b", "resource": patient(x=1)}]}],
        },
        "structure",
        "Parameters.parameter[0].part[0].resource.x",
    ),
    "an unknown type": ({"resourceType": "Observatio"}, "structure", "Observatio"),
    "no type": ({"id": "1"}, "required", "Resource"),
    "a type that is no name": ({"resourceType": ["Patient"]}, "structure", "Resource"),
    "nothing at all": ({}, "required", "Resource"),
}


@pytest.mark.parametrize("case", VALID)
def test_given_a_right_resource_when_checked_then_there_is_no_issue(case: str) -> None:
    assert structure.check(VALID[case]) == []


@pytest.mark.parametrize("case", FAULTS)
def test_given_a_fault_when_checked_then_there_is_one_issue_at_its_place(case: str) -> None:
    resource, code, expression = FAULTS[case]
    assert [(issue.code, issue.expression) for issue in structure.check(resource)] == [
        (code, expression)
    ]


def test_given_several_faults_when_checked_then_all_are_listed() -> None:
    resource = observation(
        status="done",
        code=...,
        subject=None,
        component=[
            {"code": {"text": "a"}},
            {"code": {"txt": "b"}, "valueQuantity": {"value": "1"}},
        ],
        contained=[{"resourceType": "Patient", "birthDate": "x"}],
    )
    assert [issue.expression for issue in structure.check(resource)] == [
        "Observation.status",
        "Observation.subject",
        "Observation.component[1].code.txt",
        "Observation.component[1].valueQuantity.value",
        "Observation.code",
        "Observation.contained[0].birthDate",
        "Observation.contained[0]",
    ]


def test_given_a_fault_when_described_then_what_is_allowed_is_said_and_what_was_sent_is_not() -> (
    None
):
    (wrong_code,) = structure.check(patient(gender="confidential"))
    assert "female | male | other | unknown" in wrong_code.diagnostics
    (misspelt,) = structure.check(patient(genders="male"))
    assert "did you mean gender?" in misspelt.diagnostics
    (odd,) = structure.check({"resourceType": "Patient", "confidential content": 1})
    (no_type,) = structure.check({"resourceType": "confidential content"})
    for issue in (wrong_code, odd, no_type):
        assert "confidential" not in issue.diagnostics + issue.expression


def test_given_another_type_than_expected_when_checked_then_both_are_named() -> None:
    (issue,) = structure.check(patient(), expected_type="Observation")
    assert "Observation" in issue.diagnostics
    assert "Patient" in issue.diagnostics
    assert structure.check(patient(), expected_type="Patient") == []


def test_given_a_place_when_checked_then_expressions_begin_with_it() -> None:
    (issue,) = structure.check(observation(status="done"), at="Bundle.entry[3].resource")
    assert issue.expression == "Bundle.entry[3].resource.status"


def test_given_a_bundle_when_its_entries_are_left_to_the_caller_then_the_rest_is_checked() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"resource": {"resourceType": "Nonsense"}, "request": {"method": "FETCH", "url": "x"}}
        ],
    }
    assert [issue.expression for issue in structure.check(bundle, entries=False)] == [
        "Bundle.entry[0].request.method"
    ]
    assert len(structure.check(bundle)) == 2


def test_given_faults_without_end_when_checked_then_the_list_ends() -> None:
    issues = structure.check(patient(name=[{}] * 10_000))
    assert len(issues) == structure.MOST_ISSUES + 1
    assert issues[-1].code == "too-costly"


@pytest.mark.parametrize("resource_type", sorted(definitions.resources()))
def test_given_any_type_when_bare_then_structs_and_walk_agree(resource_type: str) -> None:
    bare = {"resourceType": resource_type, "id": "a"}
    issues = list(walk(bare, resource_type, resource_type))
    assert {issue.code for issue in issues} <= {"required"}
    assert accepts(bare, resource_type) == (issues == [])


def test_given_an_ordinary_resource_when_checked_then_the_structs_alone_say_yes() -> None:
    assert accepts(observation(), "Observation")


SCRAPS: list[Any] = [None, "", "x", "a b ", 0, -1, True, 2**70, [], {}, [None], ["x"], {"url": "x"}]


def mutated(resource: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The resource with one to three places replaced, dropped, renamed or wrapped."""
    result = copy.deepcopy(resource)
    for _ in range(chance.randint(1, 3)):
        containers: list[Any] = [result]
        for container in containers:
            inner = container.values() if isinstance(container, dict) else container
            containers.extend(value for value in inner if isinstance(value, dict | list))
        container = chance.choice([each for each in containers if each] or [result])
        if not container:
            continue
        key = chance.choice(
            list(container) if isinstance(container, dict) else range(len(container))
        )
        kind = chance.randrange(5)
        if kind == 0:
            container[key] = copy.deepcopy(chance.choice(SCRAPS))
        elif kind == 1:
            del container[key]
        elif kind == 2:
            container[key] = [container[key]]
        elif kind == 3 and isinstance(container, dict):
            container[chance.choice(["_" + key, key + "s", "valueString", "extension"])] = (
                copy.deepcopy(container[key])
            )
        elif isinstance(container[key], str):
            container[key] += chance.choice(["x", " ", "\n", "é", "-31", "\x01"])
    return result


@pytest.mark.parametrize("seed", range(40))
def test_given_any_mutation_when_checked_then_it_never_fails_and_structs_take_nothing_wrong(
    seed: int,
) -> None:
    chance = random.Random(seed)
    bases = list(VALID.values()) + [resource for resource, _, _ in FAULTS.values()]
    for _ in range(60):
        resource = mutated(chance.choice(bases), chance)
        issues = structure.check(resource)
        assert all(isinstance(issue, Issue) and issue.diagnostics for issue in issues)
        kind = resource.get("resourceType")
        if isinstance(kind, str) and kind in definitions.resources():
            text = document.encode(resource)
            if b"{}" not in text and b"\\u00" not in text and accepts(resource, kind):
                assert list(walk(resource, kind, kind)) == []
