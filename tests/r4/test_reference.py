"""Reading, walking and rewriting references."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from coordhub.r4.reference import parse, parse_element, rewrite, walk, walk_uris

BASE = "https://hub.example.org/fhir"
ENTRY = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.mark.parametrize(
    ("text", "kind", "type_", "id_", "version"),
    [
        ("Patient/p1", "local", "Patient", "p1", None),
        ("Patient/p1/_history/3", "local", "Patient", "p1", "3"),
        (f"{BASE}/Patient/p1", "local", "Patient", "p1", None),
        ("https://other.example.org/fhir/Patient/p1", "absolute", "Patient", "p1", None),
        ("https://other.example.org/thing?x=1", "absolute", None, None, None),
        (ENTRY, "urn", None, None, None),
        ("urn:oid:1.2.3", "urn", None, None, None),
        ("#pat", "contained", None, "pat", None),
        ("#", "contained", None, "", None),
        ("Patient?identifier=http://x.example|1", "conditional", "Patient", None, None),
        ("Patient/", "unreadable", None, None, None),
        ("Patient/a b", "unreadable", None, None, None),
        ("p1", "unreadable", None, None, None),
        ("Patient/" + "x" * 65, "unreadable", None, None, None),
    ],
)
def test_given_a_reference_string_when_parsed_then_its_form_and_parts_are_told(
    text: str, kind: str, type_: str | None, id_: str | None, version: str | None
) -> None:
    found = parse(text, base=BASE)
    assert (found.kind, found.type, found.id, found.version) == (kind, type_, id_, version)
    assert found.text == text


def test_given_a_conditional_reference_when_parsed_then_the_query_is_kept() -> None:
    assert parse("Patient?identifier=s|1&birthdate=2000").query == "identifier=s|1&birthdate=2000"


def test_given_a_versioned_reference_then_its_local_form_has_no_version() -> None:
    assert parse("Task/t/_history/9").local == "Task/t"
    assert parse("https://other.example.org/fhir/Task/t").local is None


def test_given_only_an_identifier_when_parsed_then_the_reference_is_logical() -> None:
    found = parse_element({"type": "Organization", "identifier": {"system": "s", "value": "v"}})
    assert found is not None
    assert (found.kind, found.type) == ("logical", "Organization")
    assert (found.identifier_system, found.identifier_value) == ("s", "v")
    assert parse_element({"display": "somebody"}) is None


def test_given_a_urn_with_a_stated_type_then_the_target_type_is_known() -> None:
    found = parse_element({"reference": ENTRY, "type": "Patient"})
    assert found is not None
    assert (found.kind, found.type) == ("urn", "Patient")


REQUEST: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "contained": [{"resourceType": "Device", "id": "d", "owner": {"reference": "Organization/o"}}],
    "extension": [{"url": "http://x.example/e", "valueReference": {"reference": "Task/e"}}],
    "instantiatesUri": [ENTRY, "http://x.example/p"],
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": ENTRY}],
    "instantiatesCanonical": [ENTRY],
    "subject": {"reference": ENTRY, "display": "kept"},
    "performer": [{"display": "only a name"}, {"reference": "Organization/o"}],
    "locationReference": [{"reference": "Location/l"}],
    "quantityQuantity": {"value": 1, "unit": "x"},
}


def test_given_references_at_every_depth_when_walked_then_each_has_its_fhirpath() -> None:
    assert [(path, node["reference"]) for path, node in walk(REQUEST)] == [
        ("ServiceRequest.contained[0].owner", "Organization/o"),
        ("ServiceRequest.extension[0].value", "Task/e"),
        ("ServiceRequest.subject", ENTRY),
        ("ServiceRequest.performer[1]", "Organization/o"),
        ("ServiceRequest.locationReference[0]", "Location/l"),
    ]


def test_given_a_bundle_when_walked_then_expressions_name_the_entry() -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"fullUrl": ENTRY}, {"resource": REQUEST}]}
    paths = [path for path, _ in walk(bundle)]
    assert "Bundle.entry[1].resource.subject" in paths
    assert "Bundle.entry[1].resource.locationReference[0]" in paths


def test_given_members_called_reference_that_are_uris_then_they_are_not_references() -> None:
    documents: list[dict[str, Any]] = [
        {"resourceType": "DetectedIssue", "reference": "http://x.example"},
        {"resourceType": "Immunization", "education": [{"reference": "http://x.example"}]},
        {
            "resourceType": "PlanDefinition",
            "extension": [{"valueExpression": {"language": "text/cql", "reference": "http://x"}}],
        },
    ]
    assert [list(walk(document)) for document in documents] == [[], [], []]


def test_given_urns_when_uris_are_walked_then_strings_and_canonicals_are_left_out() -> None:
    assert list(walk_uris(REQUEST)) == [("ServiceRequest.instantiatesUri[0]", ENTRY)]


def test_given_a_mapping_when_rewritten_then_only_links_change_and_the_input_does_not() -> None:
    before = copy.deepcopy(REQUEST)
    after = rewrite(REQUEST, {ENTRY: "Patient/new"}.get)
    assert before == REQUEST
    assert after["subject"] == {"reference": "Patient/new", "display": "kept"}
    assert after["instantiatesUri"] == ["Patient/new", "http://x.example/p"]
    assert after["identifier"][0]["value"] == ENTRY
    assert after["instantiatesCanonical"] == [ENTRY]
    assert list(after) == list(REQUEST)
    assert after["performer"] is REQUEST["performer"]


def test_given_a_mapping_that_knows_nothing_when_rewritten_then_the_same_object_returns() -> None:
    assert rewrite(REQUEST, lambda _: None) is REQUEST
