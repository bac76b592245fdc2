from __future__ import annotations

import pytest

from coordhub.directory.unlisted import NOWHERE, stripped

ADDRESS = {
    "use": "work", "line": ["12 Hidden Lane"], "city": "Quietwater", "district": "Franklin",
    "state": "MA", "postalCode": "01387", "country": "US",
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/geolocation"}],
}  # fmt: skip
REGION = {"district": "Franklin", "state": "MA", "country": "US"}
TELECOM = [
    {"system": "phone", "value": "800-1", "use": "work", "extension": [{"url": "x"}]},
    {"system": "phone", "value": "555-2", "use": "mobile"},
    {"system": "email", "value": "iris@example.org"},
]


def test_given_an_organization_when_stripped_then_name_hotline_region_and_kind_are_left() -> None:
    assert stripped(
        {
            "resourceType": "Organization", "id": "1", "active": True, "name": "Harbor",
            "alias": ["The house at the lane"], "address": [ADDRESS], "telecom": TELECOM,
            "contact": [{"name": {"family": "Mossgrave"}}], "text": {"div": "12 Hidden Lane"},
            "identifier": [
                {"system": "http://hl7.org/fhir/sid/us-npi", "value": "9"},
                {"system": "urn:coordhub:sandbox", "value": "harbor"},
            ],
            "type": [{"coding": [{"code": "cg"}], "text": "shelter in Quietwater"}],
            "partOf": {"reference": "Organization/2", "display": "Quietwater"},
            "endpoint": [{"reference": "Endpoint/1"}], "_name": {"extension": []},
        }
    ) == {
        "resourceType": "Organization", "id": "1", "active": True, "name": "Harbor",
        "address": [REGION], "telecom": [{"system": "phone", "value": "800-1", "use": "work"}],
        "identifier": [{"system": "urn:coordhub:sandbox", "value": "harbor"}],
        "type": [{"coding": [{"code": "cg"}]}], "partOf": {"reference": "Organization/2"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("HealthcareService", {
            "location": [{"reference": "Location/1"}], "photo": {"url": "http://x"},
            "comment": "behind the church", "extraDetails": "x", "coverageArea": [{"reference": "Location/2"}],
            "availabilityExceptions": "x",
        }),
        ("Location", {"name": "12 Hidden Lane", "description": "x", "position": {"latitude": 1},
                      "telecom": TELECOM, "alias": ["x"], "partOf": {"reference": "Location/3"}}),
        ("PractitionerRole", {"practitioner": {"reference": "Practitioner/1"},
                              "location": [{"reference": "Location/1"}]}),
        ("Practitioner", {"name": [{"family": "M"}], "telecom": TELECOM, "address": [ADDRESS],
                          "photo": [{}], "gender": "female", "birthDate": "1970-01-01"}),
    ],
)  # fmt: skip
def test_given_what_tells_place_or_staff_when_stripped_then_nothing_of_it_is_left(
    kind, given
) -> None:
    assert stripped({"resourceType": kind, **given}) == {"resourceType": kind}


def test_given_an_endpoint_when_stripped_then_it_is_off_and_leads_nowhere() -> None:
    assert stripped(
        {
            "resourceType": "Endpoint", "status": "active", "name": "x",
            "address": "https://host.example.org", "connectionType": {"code": "hl7-fhir-rest"},
            "contact": TELECOM, "header": ["Authorization: x"],
        }
    ) == {
        "resourceType": "Endpoint", "status": "off", "address": NOWHERE,
        "connectionType": {"code": "hl7-fhir-rest"},
    }  # fmt: skip
