"""S21: an appointment is made, missed and made anew; the visit, its note and its outcome come home."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from coordhub.admin.acts import Operator, bind_person
from coordhub.commands.clients import PERSONAL
from coordhub.store import partners

BSER = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"


async def made(sender: Any, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def moves(sender: Any, reference: str, **elements: Any) -> None:
    document = {**await sender.read(reference), **elements}
    done = await sender.ask("PUT", f"/{reference}", document)
    assert done.status_code == 200, done.text


def said(task: dict[str, Any], system: str) -> str:
    codings = (task.get("businessStatus") or {}).get("coding") or ()
    return next((one["code"] for one in codings if one["system"] == system), "")


async def test_s21_given_an_appointment_when_missed_made_anew_and_kept_then_the_sender_sees_each(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    async with house.hub.engine.pool.acquire() as conn:
        rid = await conn.fetchval("select rid from resource where fhir_id = $1", riverside.id)
        await partners.agree(conn, rid, "bser", house.hub.clock())
    await house.agree(riverside, each_state=True)
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    order = house.target((await lakeside.read(t2))["focus"])
    start = house.hub.clock() + timedelta(days=7)

    # Lakeside books; the patient does not come; it is made anew
    visit = await made(
        lakeside,
        {
            "resourceType": "Appointment",
            "status": "booked",
            "basedOn": [{"reference": order}],
            "start": start.isoformat(timespec="seconds"),
            "end": (start + timedelta(minutes=30)).isoformat(timespec="seconds"),
            "participant": [{"actor": {"reference": sent.patient}, "status": "accepted"}],
        },
    )
    await moves(lakeside, visit, status="noshow")
    mine = await riverside.read(sent.task)
    assert mine["status"] == "in-progress"
    assert mine["businessStatus"]["coding"][0]["code"] == "appointment-missed"

    # Who missed it is asked to get in touch, on its own phone
    await bind_person(house.hub, Operator("rosa"), "phone", sent.patient, PERSONAL)
    token = house.tokens.issue(
        "phone", PERSONAL, now=house.hub.clock(), lifetime=timedelta(hours=1)
    )
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    found = await house.http.get(f"/fhir/Task?owner={sent.patient}&status=ready", headers=headers)
    [entry] = found.json()["entry"]
    asked = entry["resource"]
    assert (SDOHCC, "make-contact") in {
        (one["system"], one["code"]) for one in asked["code"]["coding"]
    }
    assert asked["input"][0]["type"]["coding"][0]["code"] == "contact-entity"
    assert house.target(asked["input"][0]["valueReference"]) == lakeside.reference
    answer = {
        **asked,
        "status": "completed",
        "output": [
            {
                "type": {"coding": [{"system": SDOHCC, "code": "chosen-contact"}]},
                "valueReference": {"reference": lakeside.reference},
            }
        ],
    }
    done = await house.http.put(f"/fhir/Task/{asked['id']}", json=answer, headers=headers)
    assert done.status_code == 200, done.text
    assert await house.value("select count(*) from errand where closed_at is null") == 0

    await moves(lakeside, visit, status="booked")
    # The visit, and an interim note of it
    note = await made(
        lakeside,
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "docStatus": "preliminary",
            "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
            "subject": {"reference": sent.patient},
            "context": {"related": [{"reference": order}]},
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain",
                        "data": base64.b64encode(b"interim: metformin twice a day").decode(),
                    }
                }
            ],
        },
    )
    mine = await riverside.read(sent.task)
    assert mine["status"] == "in-progress"
    assert mine["businessStatus"]["coding"][0]["code"] == "visit-complete"
    assert await riverside.sees(note)
    # What the patient is now on comes home with it
    now_on = await made(
        lakeside,
        {
            "resourceType": "MedicationStatement",
            "status": "active",
            "basedOn": [{"reference": order}],
            "medicationCodeableConcept": {"text": "metformin 1000 mg twice a day"},
            "subject": {"reference": sent.patient},
        },
    )
    await lakeside.answers(t2, "completed", output=note)
    await house.settled()
    assert await riverside.holds(now_on)

    # Riverside's server was told of each in the words of its profile, in order
    told = [
        (version["status"], code)
        for version in await riverside.history_at_own_server(sent.task)
        if (code := said(version, BSER)) not in ("", "2.0", "3.0")
    ]
    steps = [step for at, step in enumerate(told) if at == 0 or told[at - 1] != step]
    assert steps == [
        ("in-progress", "5.1.1"),
        ("in-progress", "5.1.2"),
        ("in-progress", "5.1.1"),
        ("in-progress", "5.1.4"),
        ("completed", "7.0"),
    ]
    # and of the visit, which travels along with the Task that asks its patient to get in touch, too
    history = [one["status"] for one in await riverside.history_at_own_server(visit)]
    changed = [one for at, one in enumerate(history) if at == 0 or history[at - 1] != one]
    assert changed == ["booked", "noshow", "booked"]
    assert (await riverside.holds(note))["type"]["coding"][0]["code"] == "11488-4"
    ended = await riverside.read(sent.task)
    assert [house.target(one["valueReference"]) for one in ended["output"]] == [note]


async def test_s21_given_a_victim_service_provider_when_it_makes_appointments_then_nobody_hears(
    house, safe
):
    riverside = house.riverside
    service = await house.service_of(safe)
    sent, t2 = await house.given_asked(riverside, safe)
    await safe.answers(t2, "accepted")
    order = house.target((await safe.read(t2))["focus"])
    before = await riverside.read(sent.task)
    for status in ("booked", "noshow", "fulfilled"):
        visit = await made(
            safe,
            {
                "resourceType": "Appointment",
                "status": status,
                "basedOn": [{"reference": order}],
                "participant": [{"actor": {"reference": service}, "status": "accepted"}],
                "start": "2026-12-01T09:00:00Z",
                "end": "2026-12-01T09:30:00Z",
            },
        )
        assert not await riverside.sees(visit)
    message = await made(
        safe,
        {
            "resourceType": "Communication",
            "status": "completed",
            "about": [{"reference": t2}],
            "topic": {
                "coding": [
                    {"system": "urn:coordhub:business-status", "code": "awaiting-information"}
                ]
            },
            "payload": [{"contentString": "where is she?"}],
        },
    )
    assert not await riverside.sees(message)
    await house.settled()
    assert await riverside.read(sent.task) == before
    assert (await safe.read(t2))["status"] == "accepted"
    assert await house.value("select count(*) from errand") == 0
