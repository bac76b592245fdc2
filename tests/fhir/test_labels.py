"""The hub's labels over HTTP: what is shown is what is found."""

from __future__ import annotations

import pytest

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.fixture
async def conditions(house) -> tuple[str, str]:
    """Opioid dependence and a cold, as their clinic wrote them: without labels."""
    made = []
    for code in ("F11.20", "J00"):
        answered = await house.near.ask(
            "POST",
            "/Condition",
            {
                "resourceType": "Condition",
                "subject": {"display": "someone"},
                "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]},
            },
        )
        assert answered.status_code == 201, answered.text
        made.append(answered.json()["id"])
    return made[0], made[1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"_security={ACT}%7C42CFRPart2", {0}),
        ("_security=SUD", {0}),
        (f"_security={ACT}%7CHIV", set()),
        ("_security=%7CSUD", set()),
        (f"_security:not={ACT}%7CSUD", {1}),
        ("_security:missing=false", {0}),
        ("_security:missing=true", {1}),
    ],
)
async def test_given_labels_of_the_hubs_when_searched_for_then_what_shows_them_is_found(
    house, conditions, query: str, expected: set[int]
) -> None:
    answered = await house.near.ask("GET", f"/Condition?{query}")
    found = {entry["resource"]["id"] for entry in answered.json().get("entry", [])}
    assert found == {conditions[at] for at in expected}
    assert (await house.far.ask("GET", f"/Condition?{query}")).json().get("entry", []) == []


async def test_given_labels_of_the_hubs_when_asked_for_those_in_use_then_they_are_among_them(
    house, conditions
) -> None:
    def codes(answered) -> set[str]:
        parameters = answered.json().get("parameter", [{"valueMeta": {}}])
        return {one["code"] for one in parameters[0]["valueMeta"].get("security", [])}

    assert {"SUD", "42CFRPart2"} <= codes(await house.near.ask("GET", "/Condition/$meta"))
    assert codes(await house.far.ask("GET", "/Condition/$meta")) == set()
