"""The operation HealthcareService/$find: by need, place, language, hours and age; never a shelter that hides."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.referral.hours import SCHEDULE, TIME_ZONE
from coordhub.referral.offered import CAPACITY, ELIGIBLE
from coordhub.referral.same_kind import SDOHCC
from coordhub.store import vsp
from coordhub.store.visibility import DIRECTORY

FOOD = [{"coding": [{"system": SDOHCC, "code": "food-insecurity"}]}]
LATER = "2026-12-14T10:00:00-05:00"
"""A second Monday."""

NEW_YORK = {"url": TIME_ZONE, "valueCode": "America/New_York"}
SECOND_MONDAY = {
    "url": SCHEDULE,
    "extension": [
        {"url": "rule", "valueString": "FREQ=MONTHLY;BYDAY=2MO"},
        {"url": "opens", "valueTime": "09:00:00"},
        {"url": "closes", "valueTime": "17:00:00"},
    ],
}
FULL = {
    "url": CAPACITY,
    "extension": [
        {"url": "available", "valueInteger": 0},
        {"url": "updated", "valueDateTime": datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")},
    ],
}
ADULTS = {
    "extension": [
        {
            "url": ELIGIBLE,
            "valueUsageContext": {
                "code": {
                    "system": "http://terminology.hl7.org/CodeSystem/usage-context-type",
                    "code": "age",
                },
                "valueRange": {"low": {"value": 18}},
            },
        }
    ]
}


def spoken(*codes: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": "urn:ietf:bcp:47", "code": code}]} for code in codes]


def exactly(document: dict[str, Any]) -> dict[str, Any]:
    """With decimals as they are written."""
    return fhir_json.parse(json.dumps(document).encode())


SERVICES: dict[str, tuple[float | None, dict[str, Any]]] = {
    "far": (42.9, {"communication": spoken("es")}),
    "near": (42.51, {"communication": spoken("en"), "eligibility": [ADULTS]}),
    "monthly": (42.52, {"extension": [SECOND_MONDAY, NEW_YORK]}),
    "daily": (42.53, {"availableTime": [{"allDay": True}], "extension": [NEW_YORK]}),
    "full": (42.505, {"extension": [FULL]}),
    "closed": (42.5, {"active": False}),
    "beds": (42.5, {"category": [{"coding": [{"system": SDOHCC, "code": "homelessness"}]}]}),
    "unsaid": (42.5, {"category": []}),
    "nowhere": (None, {}),
}
"""Latitude of where it is given, and what it says of itself."""


@pytest.fixture
async def listed(house):
    """By name, what the directory has of the place."""
    steward = Caller(None, DIRECTORY, "Organization/steward", scopes.EVERYTHING)
    operations = []
    for name, (latitude, said) in SERVICES.items():
        where = f"urn:uuid:{name}"
        if latitude is not None:
            place = {
                "resourceType": "Location",
                "position": {"latitude": latitude, "longitude": -72.5},
            }
            operations.append(Create("Location", exactly(place), full_url=where))
        document = {
            "resourceType": "HealthcareService", "name": name, "category": FOOD, **said,
            "providedBy": {"reference": house.far.reference},
        }  # fmt: skip
        if latitude is not None:
            document["location"] = [{"reference": where}]
        document = {key: value for key, value in document.items() if value != []}
        operations.append(Create("HealthcareService", exactly(document)))
    hidden = {"resourceType": "HealthcareService", "name": "hidden", "category": FOOD}
    hidden["providedBy"] = {"reference": house.third.reference}
    operations.append(Create("HealthcareService", hidden))
    await commit(house.context.hub, steward, operations, interaction="transaction")
    async with house.context.hub.engine.pool.acquire() as conn:
        await vsp.set_kind(conn, house.third.rid, "vsp")


async def found(house, query: str) -> tuple[list[str], dict[str, Any]]:
    answered = await house.near.ask("GET", f"/HealthcareService/$find?{query}")
    assert answered.status_code == 200, answered.text
    entries = answered.json().get("entry", [])
    return [one["resource"]["name"] for one in entries], answered.json()


async def test_given_services_when_asked_by_need_and_more_then_those_that_fit_in_their_order(
    house, listed
):
    here = "need=food-insecurity&near=42.5|-72.5"
    cases = {
        here: ["near", "monthly", "daily", "far", "full"],
        f"{here}|10|km": ["near", "monthly", "daily", "full"],
        f"{here}|10|km&language=en": ["near", "monthly", "daily", "full"],
        f"{here}&language=es-MX": ["monthly", "daily", "far", "full"],
        f"{here}&open={LATER}": ["monthly", "daily"],
        f"{here}&open=2026-12-07T10:00:00-05:00": ["daily"],
        f"{here}&age=17": ["monthly", "daily", "far", "full"],
        f"need={SDOHCC}|homelessness&near=42.5|-72.5": ["beds"],
        "need=utility-insecurity": [],
    }  # fmt: skip
    answers = {query: (await found(house, query.replace("+", "%2B")))[0] for query in cases}
    assert answers == cases
    names, _ = await found(house, "need=food-insecurity,homelessness&_count=100")
    assert set(names) == {"far", "near", "monthly", "daily", "full", "nowhere", "beds"}


async def test_given_a_place_when_asked_then_each_says_how_far_and_the_page_how_many(house, listed):
    names, bundle = await found(house, "need=food-insecurity&near=42.5|-72.5&_count=1")
    assert (names, bundle["total"]) == (["near"], 5)
    search = bundle["entry"][0]["search"]
    [distance] = search["extension"]
    assert distance["valueDistance"]["value"] == pytest.approx(1.11, abs=0.01)
    assert 0 < search["score"] <= 1
    assert (await house.audited())[-1]["interaction"] == "$find"


ODD = (
    "", "near=42|-72", "need=food-insecurity&near=x", "need=food-insecurity&near=91|0", "need=x&open=soon",
    "need=x&language=1", "need=x&age=old", "need=x&age=999", "need=x&_count=0", "need=x&colour=red",
    "need=x&near=1|1&near=2|2",
)  # fmt: skip


async def test_given_what_cannot_be_understood_when_asked_then_400_and_what_to_do(house):
    for query in ODD:
        answered = await house.near.ask("GET", f"/HealthcareService/$find?{query}")
        assert answered.status_code == 400, query
        [issue] = answered.json()["issue"]
        assert issue["diagnostics"]
