"""The operation $match over HTTP: who may be who, among those that the caller sees."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.record import linking

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"

JANE: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Doe", "given": ["Jane"]}],
    "birthDate": "1961-04-02",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "+1-918-555-0101"}],
}
SWAPPED = {**JANE, "birthDate": "1961-02-04", "name": [{"family": "Doe-Smith", "given": ["Jane"]}]}


async def made(sender: Any, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", "/Patient", document)
    assert answered.status_code == 201, answered.text
    return f"Patient/{answered.json()['id']}"


def asking(resource: dict[str, Any] | None, **others: Any) -> dict[str, Any]:
    kinds = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}
    listed: list[dict[str, Any]] = [
        {"name": name, kinds[type(value)]: value} for name, value in others.items()
    ]
    if resource is not None:
        listed.insert(0, {"name": "resource", "resource": resource})
    return {"resourceType": "Parameters", "parameter": listed}


async def matched(
    sender: Any, resource: dict[str, Any], **others: Any
) -> list[tuple[str, str, float]]:
    """Reference, grade and score of each, in their order."""
    answered = await sender.ask("POST", "/Patient/$match", asking(resource, **others))
    assert answered.status_code == 200, answered.text
    bundle = answered.json()
    assert bundle["type"] == "searchset"
    return [
        (
            f"Patient/{entry['resource']['id']}",
            entry["search"]["extension"][0]["valueCode"],
            entry["search"]["score"],
        )
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == "match" and entry["search"]["extension"][0]["url"] == GRADE
    ]


async def test_given_records_when_one_is_described_then_they_come_best_first_with_grade_and_score(
    house: Any,
) -> None:
    same, close = await made(house.near, JANE), await made(house.near, SWAPPED)
    assert await matched(house.near, JANE) == [
        (same, "certain", 0.9999979),
        (close, "probable", pytest.approx(0.961, abs=0.001)),
    ]
    assert await matched(house.near, JANE, count=1) == [(same, "certain", 0.9999979)]
    assert [grade for _, grade, _ in await matched(house.near, JANE, onlyCertainMatches=True)] == [
        "certain"
    ]
    assert (
        await matched(
            house.near,
            {**JANE, "birthDate": "1990-11-11", "telecom": [{"system": "email", "value": "a@b"}]},
        )
        == []
    )
    alone = await house.near.ask("POST", "/Patient/$match?count=1", JANE)
    assert len(alone.json()["entry"]) == 1


async def test_given_a_record_that_is_hidden_when_described_then_the_answer_is_as_if_it_were_absent(
    house: Any,
) -> None:
    before = await house.near.ask("POST", "/Patient/$match", asking(JANE))
    hidden = await made(house.far, JANE)
    after = await house.near.ask("POST", "/Patient/$match", asking(JANE))
    assert before.content == after.content
    assert await matched(house.far, JANE) == [(hidden, "certain", 0.9999979)]
    own = await made(house.near, SWAPPED)
    alone = await matched(house.near, JANE)
    while await linking.link(house.context.hub):
        pass
    for number in range(6):  # a phone of many, of whom near sees none
        await made(
            house.far, {**JANE, "birthDate": f"197{number}-09-09", "name": [{"family": "X"}]}
        )
    assert await matched(house.near, JANE) == alone
    assert [reference for reference, _, _ in alone] == [own]


async def test_given_two_persons_that_are_certain_when_only_certain_is_asked_then_neither_is_given(
    house: Any,
) -> None:
    numbered = {**JANE, "identifier": [{"system": "urn:a", "value": "1"}]}
    await made(house.near, numbered)
    await made(house.near, {**numbered, "birthDate": "1961-04-20"})
    assert len(await matched(house.near, numbered)) == 2
    answered = await house.near.ask(
        "POST", "/Patient/$match", asking(numbered, onlyCertainMatches=True)
    )
    [entry] = answered.json()["entry"]
    assert entry["search"]["mode"] == "outcome"
    assert answered.json()["total"] == 0
    while await linking.link(house.context.hub):  # two records of one person
        pass
    found = await matched(house.near, numbered, onlyCertainMatches=True)
    assert [grade for _, grade, _ in found] == ["certain", "certain"]


async def test_given_a_linked_record_when_results_are_asked_for_then_those_of_both_are_told_to_who_sees_both(
    house: Any,
) -> None:
    mine, theirs = await made(house.far, JANE), await made(house.near, JANE)
    result = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": theirs},
        "effectiveDateTime": "2026-11-20T08:00:00Z",
        "valueQuantity": {
            "value": 7.9,
            "unit": "%",
            "system": "http://unitsofmeasure.org",
            "code": "%",
        },
    }
    written = await house.near.ask("POST", "/Observation", result)
    assert written.status_code == 201, written.text

    async def known() -> list[str]:
        asked = await house.far.ask("GET", f"/{mine}/$prior-results?code=http://loinc.org|4548-4")
        assert asked.status_code == 200, asked.text
        return [
            each["name"] for each in asked.json().get("parameter", ()) if each["name"] == "result"
        ]

    while await linking.link(house.context.hub):
        pass
    assert await known() == []
    team = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": theirs},
        "participant": [{"member": {"reference": house.far.reference}}],
    }
    answered = await house.near.ask("POST", "/CareTeam", team)
    assert answered.status_code == 201, answered.text
    assert await known() == ["result"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (asking(None, count=1), 400, "resource"),
        (asking({"resourceType": "Practitioner"}), 400, "Patient"),
        (asking({"resourceType": "Patient"}), 422, "Nothing can be looked for"),
        (asking({**JANE, "gender": "x"}), 422, "gender"),
        (asking(JANE, count=0), 400, "count"),
        (asking(JANE, count="many"), 400, "count"),
        (asking(JANE, onlyCertainMatches="perhaps"), 400, "onlyCertainMatches"),
        (asking(JANE, other=1), 400, "onlyCertainMatches"),
    ],
)  # fmt: skip
async def test_given_what_cannot_be_matched_when_asked_then_the_outcome_says_what_to_send(
    house: Any, body: dict[str, Any], status: int, said: str
) -> None:
    answered = await house.near.ask("POST", "/Patient/$match", body)
    assert answered.status_code == status, answered.text
    assert answered.json()["resourceType"] == "OperationOutcome"
    assert said in answered.text
