"""The OpenAPI document: kept as it is printed, valid, and of the same mind as the hub's own check.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from coordhub.fhir import openapi, openapi_examples, openapi_schemas
from coordhub.fhir.description import ROUTES
from coordhub.fhir.interactions.capabilities import served
from coordhub.r4 import definitions, structure, structure_primitives
from coordhub.r4.document import encode, parse

ROOT = Path(__file__).parents[2]
DOCUMENT = openapi.document()
OPERATIONS = [
    (path, method, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]

WRITTEN = {
    "base64Binary": ["AA==", "YWJj"],
    "canonical": ["http://a.example/b|2", "a b"],
    "code": ["final", "two words", " final", "a  b "],
    "date": ["2026", "2026-02", "2026-02-28", "2026-2", "2026-13", "2026-02-28T00:00:00Z"],
    "dateTime": [
        "2026",
        "2026-02-28T09:30:00.123+01:00",
        "2026-02-28T09:30Z",
        "2026-02-28T09:30:00",
    ],
    "id": ["a-1.B", "a_b", "x" * 64, "x" * 65],
    "instant": ["2026-02-28T09:30:00Z", "2026-02-28T09:30:00", "2026-02-28"],
    "markdown": ["*a*", ""],
    "oid": ["urn:oid:1.2.3", "1.2.3", "urn:oid:3.1"],
    "string": ["a", ""],
    "time": ["09:30:00", "24:00:00", "09:30"],
    "uri": ["urn:x", "a b", ""],
    "url": ["http://a.example", "a b"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D"],
    "xhtml": ["<div/>", ""],
}


def test_given_the_document_when_printed_then_the_committed_file_is_the_same() -> None:
    kept = (ROOT / "openapi" / "coordhub.json").read_text()
    assert kept == openapi.text(), "run `make format`"


def test_given_the_document_when_served_then_it_is_what_is_printed() -> None:
    assert json.loads(openapi.rendered(packed=False)) == json.loads(openapi.text())


def test_given_the_document_when_judged_by_openapi_then_it_is_valid() -> None:
    from openapi_spec_validator import validate

    validate(json.loads(openapi.text()))


def test_given_the_references_when_followed_then_each_leads_to_a_component_and_none_is_idle() -> (
    None
):
    named = set(re.findall(r'"\$ref": "#/components/([^"]+)"', openapi.text()))
    kept = {
        f"{kind}/{name}"
        for kind, components in DOCUMENT["components"].items()
        for name in components
        if kind != "securitySchemes"
    }
    assert named <= kept
    assert kept - named <= {"schemas/Resource"}


@pytest.mark.parametrize("name", sorted(openapi_examples.all_examples()))
def test_given_an_example_when_checked_then_it_is_valid_r4(name: str) -> None:
    document = parse(encode(openapi_examples.all_examples()[name]))
    assert structure.check(document) == []


@pytest.mark.parametrize("name", sorted(openapi_examples.all_examples()))
def test_given_an_example_when_held_against_its_schema_then_it_fits(name: str) -> None:
    example = openapi_examples.all_examples()[name]
    assert faults(example, {"$ref": f"#/components/schemas/{example['resourceType']}"}) == []


def test_given_the_types_by_name_when_described_then_each_has_every_interaction_of_a_type() -> None:
    for name in openapi_schemas.NAMED:
        for route in ROUTES:
            if "{resource_type}" in route.path and (not route.types or name in route.types):
                path = "/fhir" + route.path.replace("{resource_type}", name)
                assert route.method.lower() in DOCUMENT["paths"][path]


@pytest.mark.parametrize("name", openapi_schemas.NAMED)
def test_given_a_search_when_described_then_it_lists_what_is_served(name: str) -> None:
    said = DOCUMENT["paths"][f"/fhir/{name}"]["get"]["parameters"]
    listed = {one["name"]: one["description"] for one in said if "$ref" not in one}
    for parameter in served(name):
        assert listed[parameter.code].startswith(f"{parameter.kind}: ")


def test_given_an_operation_when_named_then_no_other_has_its_name() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))


def test_given_an_operation_of_fhir_when_refused_then_an_operation_outcome_is_described() -> None:
    refusals = DOCUMENT["components"]["responses"]
    outcome = {"$ref": "#/components/schemas/OperationOutcome"}
    for path, _, operation in OPERATIONS:
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                if path.startswith("/auth/"):  # in the words of OAuth (RFC 6749, 5.2)
                    said = response.get("content", {"application/json": {"schema": {}}})
                    required = said["application/json"]["schema"].get("required", [])
                    assert required == ["error", "error_description"] or path.endswith("userinfo")
                    continue
                one = refusals[response["$ref"].rpartition("/")[2]]
                assert one["content"]["application/fhir+json"]["schema"] == outcome, path


@pytest.mark.parametrize("name", sorted(definitions.primitives()))
def test_given_values_of_a_primitive_when_described_then_none_that_the_hub_takes_is_refused(
    name: str,
) -> None:
    schema = openapi_schemas.PRIMITIVES[name]
    for value in WRITTEN.get(name, []):
        taken = structure_primitives.fault(value, name) is None
        described = faults(value, schema) == []
        assert described or not taken, value
        if name not in ("base64Binary", "xhtml"):
            assert taken == described, value


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("status", "nonsense"),
        ("priority", 3),
        ("restriction", {"repetitions": 0}),
        ("unknown", True),
        ("resourceType", "Patient"),
    ],
)
def test_given_a_fault_in_a_task_when_held_against_its_schema_then_it_is_seen(
    at: str, value: Any
) -> None:
    task = {**openapi_examples.sent("Task"), at: value}
    assert faults(task, {"$ref": "#/components/schemas/Task"}) != []


def test_given_null_padding_when_held_against_its_schema_then_it_fits() -> None:
    name = {"given": ["A", None], "_given": [None, {"id": "second"}]}
    patient = {"resourceType": "Patient", "name": [name], "_birthDate": {"id": "unknown"}}
    assert faults(patient, {"$ref": "#/components/schemas/Patient"}) == []


def faults(value: Any, schema: dict[str, Any]) -> list[str]:
    """What a reader of JSON Schema has against the value."""
    from jsonschema import Draft202012Validator

    whole = {**schema, "components": DOCUMENT["components"]}
    return [fault.message for fault in Draft202012Validator(whole).iter_errors(value)]
