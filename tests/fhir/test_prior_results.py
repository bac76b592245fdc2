"""The operation $prior-results over HTTP: what answers an order, as far as the caller may see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

LOINC = "http://loinc.org"
ASKED = "code=http://loinc.org|17856-6"
DAY = timedelta(days=1)

Document = dict[str, Any]


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - days * DAY).isoformat(timespec="milliseconds")


def hba1c(patient: str, value: float, days: int, **others: Any) -> Document:
    unit = {"unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "4548-4"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": days_ago(days),
        "valueQuantity": {"value": value, **unit},
        **others,
    }


def order(patient: str, requester: str, **others: Any) -> Document:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": "17856-6"}]},
        "subject": {"reference": patient},
        "requester": {"reference": requester},
        "authoredOn": days_ago(2),
        **others,
    }


def consent(patient: str, who: str) -> Document:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    kind = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    role = {"coding": [{"system": kind, "code": "IRCP"}]}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": patient},
        "dateTime": days_ago(1),
        "policyRule": {"coding": [{"system": act, "code": "OPTIN"}]},
        "provision": {"type": "permit", "actor": [{"role": role, "reference": {"reference": who}}]},
    }


async def made(sender: Any, document: Document) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def told(sender: Any, path: str) -> dict[str, list[Document]]:
    answered = await sender.ask("GET", f"/{path}")
    assert answered.status_code == 200, answered.text
    found: dict[str, list[Document]] = {"result": [], "pending": [], "trend": [], "question": []}
    for each in answered.json()["parameter"]:
        parts = {}
        for part in each["part"]:
            parts[part["name"]] = next(v for k, v in part.items() if k.startswith("value"))
        found[each["name"]].append(parts)
    return found


async def test_given_results_elsewhere_when_asked_then_who_may_see_them_is_told_newest_first(house):
    near, far = house.near, house.far
    patient = await made(near, {"resourceType": "Patient", "name": [{"family": "Water"}]})
    newest = await made(near, hba1c(patient, 7.9, 9))
    older = await made(near, hba1c(patient, 7.1, 100))
    await made(near, hba1c(patient, 9.9, 3, status="entered-in-error"))
    hidden = await told(near, f"{patient}/$prior-results?{ASKED}")
    assert [one["resource"]["reference"] for one in hidden["result"]] == [newest, older]

    # far knows the person under a number of its own, and says that they are one, and may not see it
    mine = await made(far, {"resourceType": "Patient", "name": [{"family": "Water"}]})
    wanted = await made(far, order(mine, far.reference))
    nothing = await told(far, f"{wanted}/$prior-results")
    assert (nothing["result"], nothing["pending"]) == ([], [])
    answered = await far.ask("GET", f"/{patient}/$prior-results?{ASKED}")
    assert answered.status_code == 404

    # as soon as the patient permits it, it may
    await made(near, consent(patient, far.reference))
    assert (await told(far, f"{patient}/$prior-results?{ASKED}"))["result"] != []
    assert (await told(far, f"{wanted}/$prior-results"))["result"] == []
    link = [{"other": {"reference": patient}, "type": "seealso"}]
    document = {"resourceType": "Patient", "id": mine.partition("/")[2], "link": link}
    assert (await far.ask("PUT", f"/{mine}", document)).status_code == 200
    seen = await told(far, f"{wanted}/$prior-results")
    assert [
        (one["value"]["value"], one["ageInDays"], one["withinWindow"], one["by"])
        for one in seen["result"]
    ] == [(7.9, 9, True, "near clinic"), (7.1, 100, False, "near clinic")]
    [trend] = seen["trend"]
    assert (trend["direction"], trend["change"]) == ("rising", 0.8)
    [question] = seen["question"]
    assert (question["title"], question["windowDays"]) == ("HbA1c", 60)
    assert [(one["interaction"], len(one["rids"])) for one in await house.audited()][-1] == (
        "$prior-results",
        3,
    )

    # and what near is about to order is not told of far's record, which is none of its business
    back = await told(near, f"{patient}/$prior-results?{ASKED}")
    assert back["pending"] == []


async def test_given_a_rejected_specimen_and_an_order_under_way_when_asked_then_so_it_is_told(
    house,
):
    near = house.near
    patient = await made(near, {"resourceType": "Patient"})
    specimen = {"resourceType": "Specimen", "status": "unsatisfactory"}
    bad = await made(near, {**specimen, "subject": {"reference": patient}})
    await made(near, hba1c(patient, 7.9, 9, specimen={"reference": bad}))
    doctor = await made(near, {"resourceType": "Practitioner", "name": [{"text": "Dr Water"}]})
    mine = await made(near, order(patient, doctor))
    task = {
        "resourceType": "Task",
        "status": "in-progress",
        "intent": "order",
        "focus": {"reference": mine},
        "for": {"reference": patient},
        "requester": {"reference": near.reference},
    }
    made_task = await made(near, task)
    found = await told(near, f"{patient}/$prior-results?{ASKED}")
    assert found["result"] == []
    [pending] = found["pending"]
    assert pending["order"]["reference"] == mine
    assert pending["task"]["reference"] == made_task
    assert (pending["ageInDays"], pending["by"]) == (2, "Dr Water")
    # an order is no duplicate of itself
    assert (await told(near, f"{mine}/$prior-results"))["pending"] == []


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("", "http.code"),
        ("?code=4548-4", "http.code"),
        ("?code=a|", "http.code"),
        ("?x=1", "http.x"),
    ],
)
async def test_given_no_code_when_asked_of_a_patient_then_it_says_what_is_missing(
    house, query, expression
):
    patient = await made(house.near, {"resourceType": "Patient"})
    answered = await house.near.ask("GET", f"/{patient}/$prior-results{query}")
    assert answered.status_code == 400
    assert answered.json()["issue"][0]["expression"] == [expression]


async def test_given_an_order_without_a_code_or_a_patient_when_asked_then_422_says_which(house):
    near = house.near
    patient = await made(near, {"resourceType": "Patient"})
    for others, element in (
        ({"code": {"text": "HbA1c"}}, "ServiceRequest.code"),
        ({"subject": {"display": "her"}}, "ServiceRequest.subject"),
    ):
        wanted = await made(near, order(patient, near.reference, **others))
        answered = await near.ask("GET", f"/{wanted}/$prior-results")
        assert answered.status_code == 422
        assert answered.json()["issue"][0]["expression"] == [element]
