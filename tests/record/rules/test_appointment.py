"""What an appointment does to a referral, whom it is told, and what is asked of who did not come."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Party, Referral

from coordhub.errors import FhirError
from coordhub.record.operations import Create, Update, Written

Document = dict[str, Any]


def appointment(order: str, who: str, status: str = "booked", **elements: Any) -> Document:
    return {
        "resourceType": "Appointment",
        "status": status,
        "basedOn": [{"reference": order}],
        "start": "2026-12-01T09:00:00Z",
        "end": "2026-12-01T09:30:00Z",
        "participant": [{"actor": {"reference": who}, "status": "accepted"}],
        **elements,
    }


async def accepted(house: House, *asked: Party) -> tuple[Referral, str, str]:
    """A referral that the kitchen has accepted, its Task and the order it was given."""
    sent = await house.asking(*(one.service for one in asked or (house.kitchen,)))
    await sent.answer(house.kitchen, "accepted")
    mine = (await sent.tasks())["kitchen"]
    return sent, mine, (await house.document(mine))["focus"]["reference"]


async def moved(house: House, made: Written, status: str, **elements: Any) -> Written:
    document = {**await house.document(made.reference), "status": status, **elements}
    return await house.update(house.kitchen, made.id, document)


async def says(house: House, reference: str) -> tuple[str, str]:
    document = await house.document(reference)
    return document["status"], document["businessStatus"]["coding"][0]["code"]


async def seen_by(house: House, reference: str) -> set[str]:
    parties = (house.clinic, house.kitchen, house.pantry, house.stranger)
    return {one.name for one in parties if await house.read(one, reference) is not None}


async def patients_tasks(house: House) -> list[Document]:
    rows = await house.rows(
        "select r.fhir_id from errand e join resource r on r.rid = e.task order by r.rid"
    )
    return [await house.document(f"Task/{row[0]}") for row in rows]


async def test_given_an_appointment_when_it_goes_its_way_then_both_tasks_say_so_each_time(
    house: House,
) -> None:
    sent, mine, order = await accepted(house)
    made = await house.create(house.kitchen, appointment(order, sent.patient))
    for status, said in (
        ("booked", "appointment-scheduled"),
        ("noshow", "appointment-missed"),
        ("booked", "appointment-scheduled"),
        ("cancelled", "appointment-cancelled"),
        ("booked", "appointment-scheduled"),
        ("arrived", "appointment-scheduled"),
        ("fulfilled", "visit-complete"),
    ):
        await moved(house, made, status)
        assert await says(house, mine) == ("in-progress", said)
        assert await says(house, sent.task) == ("in-progress", said)
    assert await seen_by(house, made.reference) == {"clinic", "kitchen"}
    await house.relay()
    told = await house.value(
        "select count(*) from delivery d where d.rid = $1 and d.organization = $2",
        made.rid,
        house.clinic.rid,
    )
    assert told == 7, "every version of it"


async def test_given_an_offer_with_slots_when_made_before_accepting_then_it_is_seen_and_nothing_begins(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    mine = (await sent.tasks())["kitchen"]
    order = (await house.document(mine))["focus"]["reference"]
    schedule = await house.create(
        house.kitchen,
        {"resourceType": "Schedule", "actor": [{"reference": house.kitchen.service}]},
    )
    slot = await house.create(
        house.kitchen,
        {
            "resourceType": "Slot",
            "schedule": {"reference": schedule.reference},
            "status": "free",
            "start": "2026-12-01T09:00:00Z",
            "end": "2026-12-01T09:30:00Z",
        },
    )
    offered = await house.create(
        house.kitchen,
        appointment(order, sent.patient, "proposed", slot=[{"reference": slot.reference}]),
    )
    assert await seen_by(house, offered.reference) == {"clinic", "kitchen"}
    assert await seen_by(house, slot.reference) == {"clinic", "kitchen"}
    assert (await house.document(mine))["status"] == "requested"
    # The sender answers; that goes back to who offered
    answer = {
        "resourceType": "AppointmentResponse",
        "appointment": {"reference": offered.reference},
        "actor": {"reference": sent.patient},
        "participantStatus": "accepted",
    }
    said = await house.create(house.clinic, answer)
    await house.relay()
    assert await house.rows("select organization from delivery where rid = $1", said.rid) == [
        (house.kitchen.rid,)
    ]
    assert await seen_by(house, said.reference) == {"clinic", "kitchen"}


async def test_given_a_referral_that_nobody_accepted_when_a_visit_is_booked_then_it_says_to_accept(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    order = (await house.document((await sent.tasks())["kitchen"]))["focus"]["reference"]
    with pytest.raises(FhirError) as refused:
        await house.create(house.kitchen, appointment(order, sent.patient))
    assert refused.value.status == 409
    assert "accepted" in refused.value.issues[0].diagnostics
    assert refused.value.issues[0].expression == "Appointment.status"


async def test_given_one_transaction_when_it_accepts_and_books_then_both_are_said(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    mine = (await sent.tasks())["kitchen"]
    document = await house.document(mine)
    order = document["focus"]["reference"]
    await house.commit(
        house.kitchen,
        Create("Appointment", appointment(order, sent.patient)),
        Update("Task", document["id"], {**document, "status": "accepted"}),
    )
    # as its owner says, and with what follows from the appointment
    assert await says(house, mine) == ("accepted", "appointment-scheduled")
    assert await says(house, sent.task) == ("in-progress", "appointment-scheduled")
    assert await house.value("select status from candidate") == "accepted"


async def test_given_a_second_appointment_when_the_first_is_cancelled_then_the_second_stands(
    house: House,
) -> None:
    sent, mine, order = await accepted(house)
    first = await house.create(house.kitchen, appointment(order, sent.patient))
    await house.create(house.kitchen, appointment(order, sent.patient))
    await moved(house, first, "cancelled")
    assert await says(house, mine) == ("in-progress", "appointment-scheduled")


async def test_given_a_missed_appointment_when_told_then_the_patient_is_asked_once_until_it_is_made_anew(
    house: House,
) -> None:
    sent, _, order = await accepted(house)
    made = await house.create(house.kitchen, appointment(order, sent.patient))
    await moved(house, made, "noshow")
    await moved(house, made, "noshow", comment="called twice")
    [asked] = await patients_tasks(house)
    assert asked["status"] == "ready"
    assert asked["owner"]["reference"] == sent.patient
    assert asked["focus"]["reference"] == made.reference
    assert "make-contact" in {coding["code"] for coding in asked["code"]["coding"]}
    assert asked["input"][0]["valueReference"]["reference"] == house.kitchen.service
    await moved(house, made, "booked")
    [asked] = await patients_tasks(house)
    assert asked["status"] == "cancelled"
    await moved(house, made, "noshow")
    assert [one["status"] for one in await patients_tasks(house)] == ["cancelled", "ready"]


async def test_given_an_order_not_to_contact_when_an_appointment_is_missed_then_nobody_is_asked(
    house: House,
) -> None:
    sent, mine, order = await accepted(house)
    request = await house.document(sent.request)
    detail = {"coding": [{"code": "contacting-subject-prohibited"}]}
    await house.by_owner(
        f"update resource set body = jsonb_set(body::jsonb, '{{orderDetail}}',"
        f' \'[{{"coding": [{{"code": "{detail["coding"][0]["code"]}"}}]}}]\')::text'
        f" where fhir_id = '{request['id']}'"
    )
    made = await house.create(house.kitchen, appointment(order, sent.patient))
    await moved(house, made, "noshow")
    assert await says(house, mine) == ("in-progress", "appointment-missed")
    assert await patients_tasks(house) == []


async def test_given_an_appointment_of_the_sender_s_when_made_then_who_is_at_work_gets_it_and_no_task_moves(
    house: House,
) -> None:
    sent, mine, _ = await accepted(house)
    before = (await house.document(mine))["meta"]["versionId"]
    made = await house.create(house.clinic, appointment(sent.request, sent.patient, "proposed"))
    assert await seen_by(house, made.reference) == {"clinic", "kitchen"}
    assert (await house.document(mine))["meta"]["versionId"] == before


async def test_given_work_that_is_done_when_its_appointment_changes_then_it_is_told_and_stays_done(
    house: House,
) -> None:
    sent, mine, order = await accepted(house)
    made = await house.create(house.kitchen, appointment(order, sent.patient))
    await sent.answer(house.kitchen, "completed")
    await moved(house, made, "fulfilled")
    assert await sent.status(mine) == "completed"
    assert await sent.status() == "completed"


@pytest.mark.parametrize("related", ["the Task", "the order"])
async def test_given_a_consultation_note_when_written_then_a_visit_took_place_and_the_sender_sees_it(
    house: House, related: str
) -> None:
    sent, mine, order = await accepted(house)
    note = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
        "subject": {"reference": sent.patient},
        "context": {"related": [{"reference": mine if related == "the Task" else order}]},
        "content": [{"attachment": {"contentType": "text/plain", "data": "bm90ZQ=="}}],
    }
    made = await house.create(house.kitchen, note)
    assert await says(house, mine) == ("in-progress", "visit-complete")
    assert await says(house, sent.task) == ("in-progress", "visit-complete")
    assert await seen_by(house, made.reference) == {"clinic", "kitchen"}
    other = await house.create(house.kitchen, {**note, "type": {"text": "note"}})
    assert await seen_by(house, other.reference) >= {"kitchen"}


async def test_given_a_place_that_is_kept_while_another_is_at_work_when_it_books_or_notes_then_it_wins_nothing(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    said = {"coding": [{"system": "urn:coordhub:business-status", "code": "waitlisted"}]}
    await sent.answer(house.kitchen, "on-hold", businessStatus=said)
    await sent.answer(house.pantry, "accepted")
    mine = (await sent.tasks())["kitchen"]
    order = (await house.document(mine))["focus"]["reference"]
    with pytest.raises(FhirError) as error:
        await house.create(house.kitchen, appointment(order, house.kitchen.service))
    assert (error.value.status, error.value.issues[0].expression) == (409, "Appointment.status")
    note = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
        "context": {"related": [{"reference": order}]},
        "content": [{"attachment": {"contentType": "text/plain", "title": "note"}}],
    }
    await house.create(house.kitchen, note)
    assert await says(house, mine) == ("on-hold", "waitlisted")
    assert await house.value("select state from need") == "won"
