"""The operation $why over HTTP: who may ask, and what is told."""

from __future__ import annotations

from typing import Any

import pytest


def consent(about: str, who: str, kind: str = "permit", **elements: Any) -> dict[str, Any]:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": about},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {
            "coding": [{"system": act, "code": "OPTIN" if kind == "permit" else "OPTOUT"}]
        },
        "provision": {
            "type": kind,
            "actor": [
                {
                    "role": {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                "code": "IRCP",
                            }
                        ]
                    },
                    "reference": {"reference": who},
                }
            ],
        },
        **elements,
    }


async def made(sender, document) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def told(sender, reference: str, recipient: str) -> dict[str, list[Any]]:
    answered = await sender.ask("GET", f"/{reference}/$why?recipient={recipient}")
    assert answered.status_code == 200, answered.text
    found: dict[str, list[Any]] = {}
    for one in answered.json()["parameter"]:
        found.setdefault(one["name"], []).append(_value(one))
    return found


def _value(one: dict[str, Any]) -> Any:
    if "part" in one:
        return {part["name"]: _value(part) for part in one["part"]}
    [value] = [value for name, value in one.items() if name.startswith("value")]
    return value["reference"] if isinstance(value, dict) and "reference" in value else value


@pytest.fixture
async def record(house):
    who = await made(house.near, {"resourceType": "Patient", "name": [{"family": "Water"}]})
    result = await made(
        house.near,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "HbA1c"},
            "subject": {"reference": who},
        },
    )
    return who, result


async def test_given_no_consent_when_asked_then_nothing_speaks_for_it(house, record):
    answer = await told(house.near, record[1], house.far.reference)
    assert answer["recipient"] == [house.far.reference]
    assert answer["decision"] == ["deny"]
    assert "No rule" in answer["absent"][0]
    assert not {"ruling", "grant", "delivery", "shown"} & answer.keys()


@pytest.mark.parametrize("kind", ["permit", "deny"])
async def test_given_a_consent_when_asked_then_it_is_named_and_so_is_each_look(house, record, kind):
    because = await made(house.near, consent(record[0], house.far.reference, kind))
    answered = await house.far.ask("GET", f"/{record[1]}")
    assert answered.status_code == (200 if kind == "permit" else 404)
    answer = await told(house.near, record[1], house.far.reference)
    assert answer["decision"] == [kind]
    [ruling] = answer["ruling"]
    assert (ruling["says"], ruling["rule"], ruling["because"]) == (kind, "consent", because)
    assert [one["how"] for one in answer.get("shown", [])] == (["read"] if kind == "permit" else [])
    if kind == "permit":
        assert answer["whole"] == [True]


async def test_given_a_sensitive_result_when_asked_then_its_label_is_told_to_its_writer(
    house, record
):
    await made(house.near, consent(record[0], house.far.reference))
    security = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}
    document = (await house.near.ask("GET", f"/{record[1]}")).json()
    changed = await house.near.ask(
        "PUT", f"/{record[1]}", {**document, "meta": {"security": [security]}}
    )
    assert changed.status_code == 200
    answer = await told(house.near, record[1], house.far.reference)
    assert answer["decision"] == ["deny"]
    assert [one["code"] for one in answer["label"]] == ["HIV"]


async def test_given_another_s_resource_when_asked_then_who_sees_it_is_refused_and_others_find_none(
    house, record
):
    path = f"/{record[1]}/$why?recipient={house.far.reference}"
    hidden = await house.far.ask("GET", path)
    absent = await house.far.ask("GET", path.replace(record[1], "Observation/absent"))
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace(record[1], "Observation/absent") == absent.text
    await made(house.near, consent(record[0], house.far.reference))
    seen = await house.far.ask("GET", path)
    assert seen.status_code == 403
    assert "ask that one" in seen.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "query",
    ["", "?recipient=", "?recipient=Organization/absent", "?recipient=x&recipient=y", "?who=x"],
)
async def test_given_no_one_recipient_when_asked_then_the_parameter_is_named(house, record, query):
    answered = await house.near.ask("GET", f"/{record[1]}/$why{query}")
    assert answered.status_code == 400
    [issue] = answered.json()["issue"]
    assert issue["expression"] in (["http.recipient"], ["http.who"])


async def test_given_the_writer_or_the_directory_when_asked_of_then_that_is_the_reason(
    house, record
):
    answer = await told(house.near, record[1], house.near.reference)
    assert (answer["decision"], answer["rule"]) == (["permit"], ["own"])


async def test_the_decision_that_is_told_is_the_one_that_reads_go_by(house, record):
    who, _ = record
    reasons = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
    for elements in (
        {},
        {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Patient"}]},
        {"code": [code]},
        {"purpose": [{"system": reasons, "code": "HRESCH"}]},
        {"period": {"end": "2026-02-01"}},
        {"dataPeriod": {"end": "2020"}},
        {"data": [{"meaning": "instance", "reference": {"reference": who}}]},
    ):
        document = consent(who, house.far.reference)
        document["provision"].update(elements)
        reference = await made(house.near, document)
        for one in record:
            seen = (await house.far.ask("GET", f"/{one}")).status_code == 200
            answer = await told(house.near, one, house.far.reference)
            assert answer["decision"] == ["permit" if seen else "deny"], elements
            assert ("ruling" in answer) == seen, elements
        assert (await house.near.ask("DELETE", f"/{reference}")).status_code == 204


async def test_given_quarantine_when_asked_then_that_is_said_and_no_grant_seems_to_show_it(
    house, record
):
    await made(house.near, consent(record[0], house.far.reference, "permit"))
    assert (await told(house.near, record[1], house.far.reference))["decision"] == ["permit"]
    async with house.context.hub.engine.pool.acquire() as conn:
        await conn.execute(
            "update resource set dangling = true, quarantined = true where fhir_id = $1",
            record[1].partition("/")[2],
        )
    answer = await told(house.near, record[1], house.far.reference)
    assert answer["decision"] == ["deny"]
    assert "quarantine" in answer["withheld"][0]
    assert not {"ruling", "grant", "absent", "whole"} & answer.keys()
    assert (await told(house.near, record[1], house.near.reference))["decision"] == ["permit"]
