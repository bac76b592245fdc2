"""What a client of the policy `quarantine` sends with references that lead nowhere."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from coordhub.routing import relay
from coordhub.store import clients

ABSENT = "Patient/later"
TAG = {"system": "urn:coordhub:quarantine", "code": "dangling-reference"}


def observation(subject: str | None, **elements: Any) -> dict[str, Any]:
    named = {} if subject is None else {"subject": {"reference": subject}}
    return {
        "resourceType": "Observation", "status": "final", "code": {"text": "x"}, **named, **elements,
    }  # fmt: skip


def order(subject: str, sender: str) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        "requester": {"reference": sender},
    }


def task(focus: str, subject: str, sender: str, owner: str) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": focus},
        "for": {"reference": subject},
        "requester": {"reference": sender},
        "owner": {"reference": owner},
    }


def tags(document: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {"system": tag["system"], "code": tag["code"]}
        for tag in document["meta"].get("tag", ())
        if "system" in tag
    ]


@pytest.fixture
async def held(house):
    """near's client agreed to quarantine, and may choose ids; everything of near's is shown to far."""
    async with house.context.hub.engine.pool.acquire() as conn:
        await clients.register(
            conn,
            house.near.client,
            house.near.rid,
            "system/*.cruds",
            update_as_create=True,
            now=house.context.hub.clock(),
            reference_policy="quarantine",
        )
    return house


async def show(house, fhir_id: str) -> None:
    async with house.context.hub.engine.pool.acquire() as conn:
        await conn.execute(
            "insert into access_grant (shard, organization, rid, because, rule, since)"
            " select shard, $1, rid, rid, 'referral', now() from resource where fhir_id = $2",
            house.far.rid,
            fhir_id,
        )


async def sent(house, document: dict[str, Any]) -> dict[str, Any]:
    answered = await house.near.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    found: dict[str, Any] = answered.json()
    return found


async def test_given_a_reference_that_leads_nowhere_when_sent_then_it_is_kept_tagged_and_said(held):
    answered = await held.near.ask("POST", "/Observation", observation(ABSENT))
    assert answered.status_code == 201
    assert tags(answered.json()) == [TAG]
    assert '"Observation.subject.reference: ' in answered.headers["warning"]
    assert "in quarantine" in answered.headers["warning"]
    made = answered.json()["id"]
    assert tags((await held.near.ask("GET", f"/Observation/{made}")).json()) == [TAG]
    found = await held.near.ask("GET", f"/Observation?_tag={TAG['system']}|{TAG['code']}")
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [made]
    said = await held.near.ask(
        "POST", "/Observation", observation(ABSENT), headers={"Prefer": "return=OperationOutcome"}
    )
    assert [(issue["severity"], issue["expression"]) for issue in said.json()["issue"]] == [
        ("warning", ["Observation.subject.reference"]),
        ("warning", ["Observation"]),
    ]


async def test_given_quarantine_when_another_looks_then_hidden_is_absent_whatever_was_granted(held):
    shown = await sent(held, observation(None))
    hidden = await sent(held, observation(ABSENT))
    for one in (shown, hidden):
        await show(held, one["id"])
    far = held.far
    assert (await far.ask("GET", f"/Observation/{shown['id']}")).status_code == 200
    found = await far.ask("GET", "/Observation")
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [shown["id"]]
    counted = await far.ask("GET", "/Observation?_summary=count")
    assert counted.json()["total"] == 1
    past = await far.ask("GET", "/_history")
    assert hidden["id"] not in past.text
    assert shown["id"] in past.text
    unknown = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    for method, path in (
        ("GET", "/Observation/{}"),
        ("GET", "/Observation/{}/_history"),
        ("GET", "/Observation/{}/_history/1"),
        ("DELETE", "/Observation/{}"),
    ):
        theirs = await far.ask(method, path.format(hidden["id"]))
        absent = await far.ask(method, path.format(unknown))
        assert theirs.status_code == absent.status_code
        assert theirs.text == absent.text.replace(unknown, hidden["id"])
    part = [{"reference": f"Observation/{hidden['id']}"}]
    assert (
        await far.ask("POST", "/Observation", observation(None, hasMember=part))
    ).status_code == 422


async def test_given_what_was_missing_when_it_came_and_the_rest_is_sent_again_then_it_is_released(
    held,
):
    made = await sent(held, observation(ABSENT))
    await show(held, made["id"])
    path = f"/Observation/{made['id']}"
    still = await held.near.ask("PUT", path, {**observation(ABSENT), "id": made["id"]})
    assert still.headers["etag"] == 'W/"1"'
    assert "in quarantine" in still.headers["warning"]
    assert (await held.far.ask("GET", path)).status_code == 404
    arrived = await held.near.ask("PUT", f"/{ABSENT}", {"resourceType": "Patient", "id": "later"})
    assert arrived.status_code == 201
    assert (await held.far.ask("GET", path)).status_code == 404
    again = (await held.near.ask("GET", path)).json()
    released = await held.near.ask("PUT", path, again)
    assert released.headers["etag"] == 'W/"2"'
    assert "warning" not in released.headers
    assert tags(released.json()) == []
    assert (await held.far.ask("GET", path)).json() == released.json()
    found = await held.near.ask("GET", f"/Observation?subject={ABSENT}")
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [made["id"]]


async def test_given_quarantine_when_deleted_then_it_is_still_hidden(held):
    made = await sent(held, observation(ABSENT))
    await show(held, made["id"])
    path = f"/Observation/{made['id']}"
    assert (await held.near.ask("DELETE", path)).status_code == 204
    assert (await held.near.ask("GET", path)).status_code == 410
    assert (await held.far.ask("GET", path)).status_code == 404


async def test_given_a_tag_of_the_senders_when_released_then_it_stays(held):
    own = {"code": "mine", "system": "urn:own"}
    made = await sent(held, observation(ABSENT, meta={"tag": [own]}))
    assert tags(made) == [own, TAG]
    path = f"/Observation/{made['id']}"
    changed = [{"op": "remove", "path": "/subject"}]
    released = await held.near.ask(
        "PATCH", path, changed, headers={"Content-Type": "application/json-patch+json"}
    )
    assert tags(released.json()) == [own]


async def relayed(house) -> int:
    while await relay.relay(house.context.hub, uuid4):
        pass
    async with house.context.hub.engine.pool.acquire() as conn:
        return await conn.fetchval("select count(*) from candidate")


async def test_given_an_order_in_quarantine_when_a_task_is_sent_for_it_then_it_waits_with_it(held):
    near = held.near
    urn = f"urn:uuid:{uuid4()}"
    resources = [
        task(urn, ABSENT, near.reference, held.far.reference),
        order(ABSENT, near.reference),
    ]
    entries = [
        {
            "resource": one,
            "request": {"method": "POST", "url": one["resourceType"]},
            **({"fullUrl": urn} if one["resourceType"] == "ServiceRequest" else {}),
        }
        for one in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answered = await near.ask("POST", "", bundle)
    assert answered.status_code == 200, answered.text
    named = ["/".join(one["response"]["location"].split("/")[-4:-2])
             for one in answered.json()["entry"]]  # fmt: skip
    issues = answered.json()["entry"][0]["response"]["outcome"]["issue"]
    assert ["Bundle.entry[0].resource.focus.reference"] in [one["expression"] for one in issues]
    assert await relayed(held) == 0
    patient = {"resourceType": "Patient", "id": "later"}
    assert (await near.ask("PUT", f"/{ABSENT}", patient)).status_code == 201
    again = (await near.ask("GET", f"/{named[0]}")).json()
    early = await near.ask("PUT", f"/{named[0]}", {**again, "description": "again"})
    assert early.status_code == 200
    assert tags(early.json()) == [TAG]
    assert await relayed(held) == 0
    for name in reversed(named):
        released = await near.ask("PUT", f"/{name}", (await near.ask("GET", f"/{name}")).json())
        assert released.status_code == 200
        assert tags(released.json()) == []
    assert await relayed(held) == 1


async def test_given_a_referral_under_way_when_its_task_would_dangle_then_it_is_refused(held):
    near = held.near
    await near.ask("PUT", f"/{ABSENT}", {"resourceType": "Patient", "id": "later"})
    made = await sent(held, order(ABSENT, near.reference))
    asked = await sent(
        held,
        task(f"ServiceRequest/{made['id']}", ABSENT, near.reference, held.far.reference),
    )
    assert await relayed(held) == 1
    dangling = {**asked, "encounter": {"reference": "Encounter/none"}}
    refused = await near.ask("PUT", f"/Task/{asked['id']}", dangling)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Task.encounter.reference"]


async def test_given_a_result_in_quarantine_when_written_then_nobody_is_told_until_it_is_released(
    held,
):
    """far refers to near; near's result names a specimen that is not there yet."""
    far, near = held.far, held.near
    patient = (await far.ask("POST", "/Patient", {"resourceType": "Patient"})).json()
    subject = f"Patient/{patient['id']}"
    made = (await far.ask("POST", "/ServiceRequest", order(subject, far.reference))).json()
    focus = f"ServiceRequest/{made['id']}"
    await far.ask("POST", "/Task", task(focus, subject, far.reference, near.reference))
    assert await relayed(held) == 1
    based = {"basedOn": [{"reference": focus}], "specimen": {"reference": "Specimen/later"}}
    result = await sent(held, observation(subject, **based))

    async def told() -> int:
        await relayed(held)
        async with held.context.hub.engine.pool.acquire() as conn:
            return await conn.fetchval(
                "select count(*) from delivery d join resource r on r.rid = d.rid"
                " where r.fhir_id = $1 and d.organization = $2",
                result["id"],
                far.rid,
            )

    path = f"/Observation/{result['id']}"
    assert await told() == 0
    assert (await far.ask("GET", path)).status_code == 404
    specimen = {"resourceType": "Specimen", "id": "later"}
    assert (await near.ask("PUT", "/Specimen/later", specimen)).status_code == 201
    released = await near.ask("PUT", path, (await near.ask("GET", path)).json())
    assert tags(released.json()) == []
    assert await told() == 1
    assert (await far.ask("GET", path)).status_code == 200


async def test_given_a_consent_in_quarantine_when_it_denies_then_it_is_followed_all_the_same(held):
    near, far = held.near, held.far
    patient = await sent(held, {"resourceType": "Patient"})
    subject = f"Patient/{patient['id']}"
    made = await sent(held, observation(subject))
    await show(held, made["id"])
    path = f"/Observation/{made['id']}"
    assert (await far.ask("GET", path)).status_code == 200
    recipient = {
        "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                             "code": "IRCP"}]},
        "reference": {"reference": far.reference},
    }  # fmt: skip
    scope = {
        "system": "http://terminology.hl7.org/CodeSystem/consentscope",
        "code": "patient-privacy",
    }
    denial = await sent(
        held,
        {
            "resourceType": "Consent", "status": "active", "scope": {"coding": [scope]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": subject}, "dateTime": "2026-01-01",
            "performer": [{"reference": ABSENT}], "policyRule": {"text": "x"},
            "provision": {"type": "deny", "actor": [recipient]},
        },
    )  # fmt: skip
    assert tags(denial) == [TAG]
    assert (await far.ask("GET", path)).status_code == 404
    assert (await near.ask("GET", path)).status_code == 200
