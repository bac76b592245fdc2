"""FHIRPath Patch of a resource, and the simple paths it names places by."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from coordhub.errors import FhirError
from coordhub.r4 import document, fhirpath_patch, simple_path

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "identifier": [
        {"system": "urn:a", "value": "1"},
        {"system": "urn:b", "value": "2"},
        {"system": "urn:b", "value": "it's"},
    ],
    "active": True,
    "name": [{"family": "Water", "given": ["A", "B", "C"], "_given": [None, {"id": "b"}, None]}],
    "birthDate": "1990-01-01",
    "_birthDate": {"id": "d"},
    "multipleBirthInteger": 2,
    "contact": [{"name": {"text": "x"}, "gender": "female"}],
}


def operation(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    """value: a part of the Parameters; name, index, source, destination as they are."""
    listed: list[dict[str, Any]] = [
        {"name": "type", "valueCode": kind},
        {"name": "path", "valueString": path},
    ]
    for name, value in parts.items():
        if name == "value":
            listed.append({"name": "value", **value})
        elif isinstance(value, int):
            listed.append({"name": name, "valueInteger": value})
        else:
            listed.append({"name": name, "valueString": value})
    return {"name": "operation", "part": listed}


def apply(*operations: dict[str, Any], at: str = "") -> dict[str, Any]:
    parameters = {"resourceType": "Parameters", "parameter": list(operations)}
    return fhirpath_patch.read(parameters, at).apply(copy.deepcopy(PATIENT), at)


@pytest.mark.parametrize(
    "sent",
    [
        operation("delete", "Observation.name"),
        operation("delete", "Nothing"),
        operation("add", "Person", name="active", value={"valueBoolean": False}),
        operation("replace", "Person.active", value={"valueBoolean": False}),
        operation("insert", "Person.name[0].given", index=0, value={"valueString": "D"}),
        operation("move", "Person.name[0].given", source=0, destination=1),
    ],
)
def test_given_a_path_from_another_type_when_applied_then_422_says_which_to_write(sent):
    with pytest.raises(FhirError) as refused:
        apply(sent)
    assert refused.value.status == 422
    assert refused.value.issues[0].expression == "Parameters.parameter[0]"
    assert "write Patient" in refused.value.issues[0].diagnostics


def test_given_paths_from_the_type_or_from_any_when_applied_then_both_lead_there():
    for path in ("Patient.name", "Resource.name", "name"):
        assert "name" not in apply(operation("delete", f"{path}[0]")), path


def test_given_an_addition_when_applied_then_lists_grow_and_single_elements_appear():
    done = apply(
        operation("add", "Patient", name="identifier", value={"valueIdentifier": {"value": "9"}}),
        operation("add", "Patient.contact[0]", name="period", value={"valuePeriod": {"start": "2020"}}),
        operation("add", "Patient", name="deceased", value={"valueBoolean": False}),
        operation("add", "Patient.name.first()", name="given", value={"valueString": "D"}),
    )  # fmt: skip
    assert done["identifier"][3] == {"value": "9"}
    assert done["contact"][0]["period"] == {"start": "2020"}
    assert done["deceasedBoolean"] is False
    assert done["name"][0]["given"] == ["A", "B", "C", "D"]
    assert done["name"][0]["_given"] == [None, {"id": "b"}, None, None]


def test_given_an_element_without_a_type_of_its_own_when_added_then_its_parts_build_it():
    parts = [
        {"name": "name", "valueHumanName": {"text": "y"}},
        {"name": "telecom", "valueContactPoint": {"value": "1"}},
        {"name": "telecom", "valueContactPoint": {"value": "2"}},
    ]
    done = apply(operation("add", "Patient", name="contact", value={"part": parts}))
    assert done["contact"][1] == {
        "name": {"text": "y"},
        "telecom": [{"value": "1"}, {"value": "2"}],
    }


def test_given_an_insertion_or_a_move_when_applied_then_the_order_is_as_asked():
    done = apply(
        operation("insert", "Patient.identifier", index=1, value={"valueIdentifier": {"value": "i"}}),
        operation("move", "Patient.identifier", source=3, destination=0),
        operation("insert", "Patient.photo", index=0, value={"valueAttachment": {"title": "p"}}),
        operation("move", "Patient.name[0].given", source=1, destination=2),
        operation("insert", "Patient.name[0].given", index=0, value={"valueString": "0"}),
    )  # fmt: skip
    assert [one["value"] for one in done["identifier"]] == ["it's", "1", "i", "2"]
    assert done["photo"] == [{"title": "p"}]
    assert done["name"][0]["given"] == ["0", "A", "C", "B"]
    assert done["name"][0]["_given"] == [None, None, None, {"id": "b"}]


def test_given_a_deletion_when_applied_then_what_stands_beside_goes_too():
    done = apply(
        operation("delete", "Patient.birthDate"),
        operation("delete", "Patient.identifier.where(system = 'urn:b' and value = 'it\\'s')"),
        operation("delete", "Patient.name.given[1]"),
        operation("delete", "Patient.contact"),
        operation("delete", "Patient.photo"),
        operation("delete", "Patient.multipleBirth"),
    )
    assert "birthDate" not in done
    assert "_birthDate" not in done
    assert [one["value"] for one in done["identifier"]] == ["1", "2"]
    assert done["name"] == [{"family": "Water", "given": ["A", "C"]}]
    assert "contact" not in done
    assert "multipleBirthInteger" not in done


def test_given_a_replacement_when_applied_then_it_takes_the_place_with_its_own_type():
    done = apply(
        operation("replace", "Patient.multipleBirth", value={"valueBoolean": True}),
        operation("replace", "Patient.birthDate", value={"valueDate": "1991"}),
        operation("replace", "Patient.identifier.where(value='2').value", value={"valueString": "3"}),
        operation("replace", "Patient.name.given[1]", value={"valueString": "Z"}),
        operation("replace", "Patient.contact.name", value={"valueHumanName": {"text": "z"}}),
    )  # fmt: skip
    assert list(done) == [
        "resourceType", "id", "identifier", "active", "name", "birthDate", "multipleBirthBoolean",
        "contact",
    ]  # fmt: skip
    assert done["multipleBirthBoolean"] is True
    assert done["birthDate"] == "1991"
    assert done["identifier"][1]["value"] == "3"
    assert done["name"][0]["given"] == ["A", "Z", "C"]
    assert "_given" not in done["name"][0]
    assert done["contact"][0]["name"] == {"text": "z"}


@pytest.mark.parametrize(
    "impossible",
    [
        operation("add", "Patient", name="birthDate", value={"valueDate": "1"}),
        operation("add", "Patient", name="nothing", value={"valueDate": "1"}),
        operation("add", "Patient.identifier", name="value", value={"valueString": "1"}),
        operation("add", "Patient", name="deceased", value={"valueInteger": 1}),
        operation("add", "Patient.birthDate", name="extension", value={"valueString": "1"}),
        operation("insert", "Patient.identifier", index=4, value={"valueIdentifier": {}}),
        operation("insert", "Patient.identifier", index=-1, value={"valueIdentifier": {}}),
        operation("insert", "Patient.birthDate", index=0, value={"valueDate": "1"}),
        operation("delete", "Patient.identifier"),
        operation("delete", "Patient"),
        operation("replace", "Patient.photo", value={"valueAttachment": {}}),
        operation("replace", "Patient.name.given", value={"valueString": "x"}),
        operation("move", "Patient.identifier", source=0, destination=3),
        operation("move", "Patient.identifier[0]", source=0, destination=0),
    ],
)
def test_given_what_cannot_be_done_when_applied_then_422_names_the_operation(impossible):
    fine = operation("delete", "Patient.active")
    with pytest.raises(FhirError) as refused:
        apply(fine, impossible, at="Bundle.entry[2].resource")
    assert refused.value.status == 422
    assert refused.value.issues[0].expression == "Bundle.entry[2].resource.parameter[1]"


def test_given_several_faults_when_read_then_400_names_each():
    bad = [
        operation("brew", "Patient"),
        operation("delete", "Patient..x"),
        operation("add", "Patient", value={"valueString": "x"}),
        {"name": "other"},
        operation("delete", "Patient.exists()"),
        operation("move", "Patient.name", source="x", destination=1),
    ]
    with pytest.raises(FhirError) as refused:
        apply(*bad)
    assert refused.value.status == 400
    assert [one.expression for one in refused.value.issues] == [
        f"Parameters.parameter[{number}]" for number in range(len(bad))
    ]
    with pytest.raises(FhirError):
        apply()


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("Patient.multipleBirth", [2]),
        ("Patient.multipleBirth.ofType(boolean)", []),
        ("Patient.identifier[1].value", ["2"]),
        ("Patient.identifier.value.last()", ["it's"]),
        ("Patient.identifier.where(system='urn:b').value", ["2", "it's"]),
        ("Patient.where(active=true).birthDate", ["1990-01-01"]),
        ("Patient.where(multipleBirth=2).active", [True]),
        ("Patient.where(active=1).birthDate", []),
        ("Patient.identifier[9]", []),
        ("Patient.name.`given`[0]", ["A"]),
    ],
)
def test_given_a_simple_path_when_followed_then_it_finds(path, values):
    found = simple_path.find(PATIENT, simple_path.parse(path))
    assert [place.value for place in found] == values


@pytest.mark.parametrize(
    "path",
    ["", ".", "Patient.", "Patient[", "Patient[x]", "Patient.where()", "Patient.where(a=)", "1",
     "Patient.where(a='b'", "Patient.name | Patient.id", "Patient.\u00e9", "Patient.x" * 200,
     "P" + ".x" * 100, "Patient.name[-1]"],
)  # fmt: skip
def test_given_no_simple_path_when_read_then_it_is_refused(path):
    with pytest.raises(simple_path.UnreadablePathError):
        simple_path.parse(path)


def test_given_decimals_when_patched_then_they_keep_their_spelling():
    body = document.parse(
        b'{"resourceType":"Observation","valueQuantity":{"value":7.50},"component":[{"valueQuantity":{"value":1e-7}}]}'
    )
    parameters = document.parse(
        b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":['
        b'{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.value"},'
        b'{"name":"value","valueQuantity":{"value":1E3}}]}]}'
    )
    done = document.encode(fhirpath_patch.read(parameters).apply(body))
    assert b'"value":1E3' in done
    assert b'"value":1e-7' in done
