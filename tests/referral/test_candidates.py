"""The order of explicit addressing."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.referral.candidates import Named, Nobody, named

HUB = {"Organization/hub", "http://hub.example/fhir/Organization/hub"}


def to(*references: str) -> list[dict[str, Any]]:
    return [{"reference": reference} for reference in references]


def test_given_an_owner_when_asked_then_it_goes_before_all_others() -> None:
    task = {
        "owner": {"reference": "Organization/lake"},
        "restriction": {"recipient": to("Organization/metro")},
    }
    request = {"performer": to("PractitionerRole/p")}
    assert named(task, request, HUB) == Named(("Organization/lake",), "Task.owner")


def test_given_the_hub_as_owner_when_asked_then_the_restriction_counts() -> None:
    task = {
        "owner": {"reference": "http://hub.example/fhir/Organization/hub"},
        "restriction": {"recipient": to("Organization/a", "Organization/b", "Organization/a")},
    }
    assert named(task, {"performer": to("Organization/c")}, HUB) == Named(
        ("Organization/a", "Organization/b"), "Task.restriction.recipient"
    )


def test_given_only_performers_when_asked_then_in_their_order() -> None:
    request = {"performer": to("HealthcareService/h", "urn:uuid:1", "Patient/p", "Organization/o")}
    assert named({"owner": {"reference": "Organization/hub"}}, request, HUB) == Named(
        ("HealthcareService/h", "urn:uuid:1", "Organization/o"), "ServiceRequest.performer"
    )


def test_given_an_identifier_only_when_asked_then_a_directory_query_names_it() -> None:
    owner = {"type": "Practitioner", "identifier": {"system": "http://x", "value": "1"}}
    assert named({"owner": owner}, None, HUB) == Named(
        ("Practitioner?identifier=http://x|1",), "Task.owner"
    )


@pytest.mark.parametrize(
    ("task", "request_", "reason"),
    [
        ({}, None, "no-provider-available"),
        ({"owner": {"reference": "Organization/hub"}}, {}, "no-provider-available"),
        ({"owner": {"display": "somebody"}, "restriction": {}}, {}, "no-provider-available"),
        ({}, {"performer": to("Patient/p")}, "recipient-unknown"),
        ({}, {"performer": to("http://x/fhir/Device/d/_history/2")}, "recipient-unknown"),
    ],
)
def test_given_nobody_usable_when_asked_then_the_reason_says_why(
    task: dict[str, Any], request_: dict[str, Any] | None, reason: str
) -> None:
    assert named(task, request_, HUB) == Nobody(reason)
