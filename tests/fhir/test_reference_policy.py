"""What becomes of references that lead nowhere, by what was agreed with the client."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.store import clients

ABSENT = "Patient/00000000-0000-4000-8000-000000000000"


def observation(subject: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
    }


@pytest.fixture
async def warned(house):
    """The house with its first organization's client warned only."""
    async with house.context.hub.engine.pool.acquire() as conn:
        await clients.register(
            conn,
            house.near.client,
            house.near.rid,
            "system/*.cruds",
            update_as_create=False,
            now=house.context.hub.clock(),
            reference_policy="warn",
        )
    return house


async def test_given_nothing_agreed_when_a_reference_leads_nowhere_then_it_is_refused(house):
    before = await house.stored()
    answered = await house.near.ask("POST", "/Observation", observation(ABSENT))
    assert answered.status_code == 422
    assert answered.json()["issue"][0]["expression"] == ["Observation.subject.reference"]
    assert await house.stored() == before


async def test_given_warnings_agreed_when_a_reference_leads_nowhere_then_it_is_kept_and_said(
    warned,
):
    answered = await warned.near.ask("POST", "/Observation", observation(ABSENT))
    assert answered.status_code == 201
    assert answered.json()["subject"] == {"reference": ABSENT}
    assert answered.headers["warning"].startswith('199 coordhub "Observation.subject.reference: ')
    made = f"/Observation/{answered.json()['id']}"
    assert (await warned.near.ask("GET", made)).json()["subject"] == {"reference": ABSENT}
    said = await warned.near.ask(
        "POST", "/Observation", observation(ABSENT), headers={"Prefer": "return=OperationOutcome"}
    )
    assert [
        (issue["severity"], issue["code"], issue["expression"]) for issue in said.json()["issue"]
    ] == [("warning", "not-found", ["Observation.subject.reference"])]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_given_warnings_agreed_when_sent_in_a_bundle_then_its_entry_says_so(warned, kind):
    entry = {
        "resource": observation(ABSENT),
        "request": {"method": "POST", "url": "Observation"},
    }
    sent = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
    answered = await warned.near.ask("POST", "", sent)
    assert answered.status_code == 200, answered.text
    response = answered.json()["entry"][0]["response"]
    assert response["status"] == "201 Created"
    assert response["outcome"]["issue"][0]["expression"] == [
        "Bundle.entry[0].resource.subject.reference"
    ]


async def test_given_warnings_agreed_when_the_target_is_hidden_then_nothing_tells_it_from_absent(
    warned,
):
    hidden = (await warned.far.ask("POST", "/Patient", {"resourceType": "Patient"})).json()
    named = f"Patient/{hidden['id']}"
    answered = await warned.near.ask("POST", "/Observation", observation(named))
    absent = await warned.near.ask("POST", "/Observation", observation(ABSENT))
    assert answered.status_code == absent.status_code == 201
    assert answered.headers["warning"] == absent.headers["warning"].replace(ABSENT, named)
    assert answered.json()["id"][:2] == absent.json()["id"][:2]
    async with warned.context.hub.engine.pool.acquire() as conn:
        rows = await conn.fetch(
            "select patient from resource where fhir_id = $1", answered.json()["id"]
        )
        linked = await conn.fetchval(
            "select count(*) from idx_reference i join resource r on r.rid = i.target"
            " where r.fhir_id = $1",
            hidden["id"],
        )
    assert [row["patient"] for row in rows] == [None]
    assert linked == 0


@pytest.mark.parametrize(
    ("reference", "status"),
    [("urn:uuid:00000000-0000-4000-8000-000000000001", 201), ("patient 1", 422)],
)
async def test_given_warnings_agreed_when_it_is_no_reference_at_all_then_it_is_still_refused(
    warned, reference, status
):
    answered = await warned.near.ask("POST", "/Observation", observation(reference))
    assert answered.status_code == status
    assert ("warning" in answered.headers) == (status == 201)


@pytest.mark.parametrize("element", ["focus", "for", "owner", "requester", "basedOn"])
async def test_given_warnings_agreed_when_a_referral_names_nobody_then_it_is_no_fault_of_the_hub(
    warned, element
):
    patient = (await warned.near.ask("POST", "/Patient", {"resourceType": "Patient"})).json()
    order = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient['id']}"},
        "requester": {"reference": warned.near.reference},
    }
    order = (await warned.near.ask("POST", "/ServiceRequest", order)).json()
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": f"ServiceRequest/{order['id']}"},
        "for": {"reference": f"Patient/{patient['id']}"},
        "requester": {"reference": warned.near.reference},
        "owner": {"reference": warned.far.reference},
    }
    absent = {
        "focus": {"reference": "ServiceRequest/absent"},
        "for": {"reference": "Patient/absent"},
        "owner": {"reference": "Organization/absent"},
        "requester": {"reference": "Organization/absent"},
        "basedOn": [{"reference": "ServiceRequest/absent"}],
    }
    answered = await warned.near.ask("POST", "/Task", {**task, element: absent[element]})
    assert answered.status_code in (201, 409, 422), answered.text


async def test_given_one_that_knew_the_target_and_one_that_did_not_when_updated_at_once_then_each_stays(
    warned,
):
    """What was shown once is still what the first is about; the second never led to it."""
    near, far = warned.near, warned.far
    hidden = (await far.ask("POST", "/Patient", {"resourceType": "Patient"})).json()
    named = f"Patient/{hidden['id']}"
    async with warned.context.hub.engine.pool.acquire() as conn:
        shown = (
            "insert into access_grant (shard, organization, rid, because, rule, since)"
            " select shard, $1, rid, rid, 'referral', now() from resource where fhir_id = $2"
        )
        await conn.execute(shown, near.rid, hidden["id"])
        first = (await near.ask("POST", "/Observation", observation(named))).json()
        await conn.execute("update access_grant set until = since")
        second = await near.ask("POST", "/Observation", observation(named))
        assert "warning" in second.headers
        entries = [
            {
                "resource": {**one, "status": "amended"},
                "request": {"method": "PUT", "url": f"Observation/{one['id']}"},
            }
            for one in (first, second.json())
        ]
        sent = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answered = await near.ask("POST", "", sent)
        assert answered.status_code == 200, answered.text
        assert ["outcome" in one["response"] for one in answered.json()["entry"]] == [False, True]
        rows = await conn.fetch(
            "select patient is not null, (select count(*) from idx_reference i"
            " where i.rid = r.rid and i.target is not null and i.patient is not distinct from r.patient)"
            " from resource r where fhir_id = any($1::text[]) order by rid",
            [first["id"], second.json()["id"]],
        )
    assert [tuple(row) for row in rows] == [(True, 2), (False, 0)]


async def test_given_what_dangles_when_another_sends_it_as_it_is_then_it_is_no_version_of_theirs(
    warned,
):
    """The other sees what it names: by its eyes nothing dangles, but the resource is not its own."""
    near, far = warned.near, warned.far
    hidden = (await far.ask("POST", "/Patient", {"resourceType": "Patient"})).json()
    sent = await near.ask("POST", "/Observation", observation(f"Patient/{hidden['id']}"))
    made = sent.json()
    async with warned.context.hub.engine.pool.acquire() as conn:
        await conn.execute(
            "insert into access_grant (shard, organization, rid, because, rule, since)"
            " select shard, $1, rid, rid, 'referral', now() from resource where fhir_id = $2",
            far.rid,
            made["id"],
        )
    answered = await far.ask("PUT", f"/Observation/{made['id']}", made)
    assert (answered.status_code, answered.headers["etag"]) == (200, 'W/"1"')
    assert answered.json() == made
