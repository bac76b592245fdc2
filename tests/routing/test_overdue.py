"""What follows when something is not done in time: who is reminded, who is told, who is asked to look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from open_hub import House, Party, Referral, opened

from coordhub.access import caller
from coordhub.insight import kits
from coordhub.record import reproject
from coordhub.referral import same_kind
from coordhub.referral.episode import BUSINESS_STATUS_SYSTEM
from coordhub.routing import expire
from coordhub.store import invariants


async def all_fired(house: House, later: timedelta = timedelta()) -> None:
    """So much later, and whatever is due has fired."""
    house.clock.ahead += later
    while await expire.fire(house.hub):
        pass


async def reminded(house: House, who: Party) -> list[dict[str, Any]]:
    """The reminders that this organization sees, oldest first."""
    rows = await house.rows(
        "select r.fhir_id from reminder m join resource r on r.rid = m.communication"
        " where m.organization = $1 group by r.fhir_id, r.rid order by r.rid",
        who.rid,
    )
    assert all([await house.read(who, f"Communication/{row[0]}") for row in rows])
    return [await house.document(f"Communication/{row[0]}") for row in rows]


async def kinds(house: House, who: Party) -> list[str]:
    rows = await house.rows(
        "select kind from reminder where organization = $1 and communication is not null order by id",
        who.rid,
    )
    return [row[0] for row in rows]


async def errands(house: House) -> list[tuple[str, str | None]]:
    """Kind of each errand that is open, and which deadline was missed."""
    rows = await house.rows(
        "select x.kind, r.body::jsonb #>> '{input,0,valueCode}' from errand x join resource r on r.rid = x.task"
        " where x.closed_at is null order by x.task"
    )
    return [tuple(row) for row in rows]


async def timers(house: House) -> dict[str, Any]:
    return dict(await house.rows("select kind, due_at from timer where fired_at is null"))


async def accepted(house: House, status: str = "accepted", **elements: Any) -> Referral:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    if status != "accepted" or elements:
        await sent.answer(house.kitchen, status, **elements)
    return sent


def business(code: str) -> dict[str, Any]:
    return {"businessStatus": {"coding": [{"system": BUSINESS_STATUS_SYSTEM, "code": code}]}}


async def consistent(house: House, *, delivered: bool = True) -> None:
    """delivered: what waits is, before it is older than its budget; to the inbox of whom it is for."""
    if delivered:
        await house.deliver()
    async with house.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.clock()) == []


async def test_given_one_who_accepts_and_is_silent_when_a_week_is_over_then_it_is_reminded_once(
    house: House,
) -> None:
    await accepted(house)
    await all_fired(house, timedelta(days=7, hours=23))
    await all_fired(house, timedelta(days=1))
    assert await kinds(house, house.kitchen) == ["first-contact"]
    await house.relay()
    delivered = await house.rows(
        "select d.organization from delivery d join reminder m on m.communication = d.rid"
    )
    assert delivered == [(house.kitchen.rid,)]
    await consistent(house)


async def test_given_one_who_is_to_be_reminded_when_it_answers_before_then_it_is_not(
    house: House,
) -> None:
    sent = await accepted(house)
    house.clock.ahead = timedelta(days=7, hours=1)
    now = house.clock()
    await house.rows("update timer set due_at = $1 where kind = 'first-contact'", now)
    assert await expire.fire(house.hub)
    [due] = [due for kind, due in (await timers(house)).items() if kind == "digest"]
    await sent.answer(house.kitchen, "in-progress")
    house.clock.ahead += due - now + timedelta(days=2)
    await all_fired(house)
    assert await reminded(house, house.kitchen) == []
    assert await house.value("select count(*) from reminder where told_at is null") == 0


async def test_given_work_of_which_nothing_is_heard_when_forty_days_are_over_then_somebody_looks(
    house: House,
) -> None:
    sent = await accepted(house, "in-progress")
    for _ in range(45):
        await all_fired(house, timedelta(days=1))
    # on day 30, and every two days until day 40, each told that day or the morning after
    assert await kinds(house, house.kitchen) == ["progress"] * 5
    assert await errands(house) == [("overdue", "progress-overdue")]
    [task] = await house.rows("select task from errand")
    assert await house.value("select owner from errand") == house.clinic.rid
    subject = await house.value(
        "select r.fhir_id from errand x join resource r on r.rid = x.subject"
    )
    assert f"Task/{subject}" == sent.task
    await house.relay()
    told = await house.rows("select organization from delivery where rid = $1", task[0])
    assert told == [(house.clinic.rid,)]
    await consistent(house)


async def test_given_work_when_a_result_of_it_is_written_then_the_next_word_is_due_from_then_on(
    house: House,
) -> None:
    sent = await accepted(house, "in-progress")
    before = (await timers(house))["progress"]
    house.clock.ahead = timedelta(days=20)
    order = (await house.document((await sent.tasks())["kitchen"]))["focus"]
    await house.create(
        house.kitchen,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "fed"},
            "basedOn": [order],
        },
    )
    assert (await timers(house))["progress"] - before == pytest.approx(
        timedelta(days=20), abs=timedelta(hours=2)
    )


async def test_given_a_waiting_list_when_the_person_does_not_answer_then_somebody_looks(
    house: House,
) -> None:
    await accepted(house, "on-hold", **business("waitlisted"))
    assert {"progress", "first-contact"}.isdisjoint(await timers(house))
    assert [kind for kind, _ in await errands(house)] == ["still-needed"], "of the person"
    await all_fired(house, timedelta(days=15))
    assert [kind for kind, _ in await errands(house)] == ["still-needed"], "one at a time"
    assert "waitlist" in await timers(house), "and again in two weeks"
    await all_fired(house, timedelta(days=7))
    assert [kind for kind, _ in await errands(house)] == ["still-needed", "overdue"]


async def test_given_a_person_that_still_needs_it_when_two_weeks_more_are_over_then_it_is_asked_again(
    house: House,
) -> None:
    await accepted(house, "on-hold", **business("waitlisted"))
    asked = "select x.owner, x.closed_at is null from errand x where kind = 'still-needed' order by task"
    patient = await house.value("select patient from episode")
    assert await house.rows(asked) == [(patient, True)]
    [reference] = await house.rows(
        "select r.fhir_id from errand x join resource r on r.rid = x.task"
    )
    answer = {**await house.document(f"Task/{reference[0]}"), "status": "completed"}
    hub = caller.hub(house.hub.organization)
    await house.update(hub, answer["id"], answer)
    assert await house.rows(asked) == [(patient, False)]
    await all_fired(house, timedelta(days=15))
    assert await house.rows(asked) == [(patient, False), (patient, True)]
    await house.relay()
    await consistent(house)


async def test_given_a_referral_that_is_open_when_ninety_days_are_over_then_somebody_looks(
    house: House,
) -> None:
    sent = await accepted(house)
    await house.rows("delete from timer where kind <> 'whole'")
    await all_fired(house, timedelta(days=91))
    assert await errands(house) == [("overdue", "whole")]
    assert await sent.status() == "in-progress", "that it is overdue ends nothing"


async def test_given_an_errand_of_which_nothing_is_heard_when_due_then_its_owner_is_reminded(
    house: House,
) -> None:
    await accepted(house)
    await house.rows("delete from timer where kind <> 'whole'")
    await all_fired(house, timedelta(days=91))
    await all_fired(house, timedelta(days=7))
    await all_fired(house, timedelta(days=1))  # if it was night
    assert await kinds(house, house.clinic) == ["errand"]
    assert await errands(house) == [("overdue", "whole")], "of what is overdue none is made"


async def test_given_an_urgent_request_when_four_hours_are_over_then_it_ends_and_a_person_is_called(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, priority="urgent")
    await all_fired(house, timedelta(hours=3, minutes=50))
    assert await sent.status((await sent.tasks())["kitchen"]) == "requested"
    await all_fired(house, timedelta(minutes=20))
    assert await sent.status((await sent.tasks())["kitchen"]) == "cancelled"
    assert ("overdue", "accept-by") in await errands(house)
    assert await reminded(house, house.kitchen) == []


async def test_given_what_has_not_arrived_when_a_quarter_of_an_hour_is_over_then_by_another_way(
    house: House,
) -> None:
    for name in ("first", "second"):
        made = await house.create(
            house.steward,
            {
                "resourceType": "Endpoint",
                "status": "active",
                "connectionType": {"code": "hl7-fhir-rest"},
                "payloadType": [{"text": "any"}],
                "address": f"https://{name}.example/fhir",
            },
        )
        service = await house.document(house.kitchen.service)
        service.setdefault("endpoint", []).append({"reference": made.reference})
        await house.update(house.steward, service["id"], service)
    await house.asking(house.kitchen.service)
    by = (
        "select e.body::jsonb ->> 'address' from delivery d join resource e on e.rid = d.endpoint"
        " where d.organization = $1 order by d.seq"
    )
    assert await house.rows(by, house.kitchen.rid) == [("https://first.example/fhir",)]
    await all_fired(house, timedelta(minutes=16))
    assert await house.rows(by, house.kitchen.rid) == [
        ("https://first.example/fhir",),
        ("https://second.example/fhir",),
    ]
    await consistent(house, delivered=False)


async def test_given_many_timers_when_four_workers_fire_them_then_each_follows_once(
    house: House,
) -> None:
    for _ in range(6):
        await accepted(house)
    house.clock.ahead = timedelta(days=8)
    async with opened(house.url, size=6) as other:
        other.clock.ahead = house.clock.ahead

        async def works(one: House) -> None:
            while await expire.fire(one.hub):
                pass

        await asyncio.gather(*(works(one) for one in (house, other, house, other)))
    assert await house.value("select count(*) from reminder where kind = 'first-contact'") == 6
    await all_fired(house, timedelta(days=2))
    told = await house.rows("select count(*), count(distinct communication) from reminder")
    assert told[0][0] == 6
    assert told[0][1] <= 2
    await house.relay()
    await consistent(house)


async def test_given_a_worker_that_is_killed_between_claim_and_commit_when_another_comes_then_once(
    house: House,
) -> None:
    await accepted(house)
    house.clock.ahead = timedelta(days=8)
    async with house.engine.pool.acquire() as other, other.transaction():
        await other.execute("lock table reminder in access exclusive mode")
        firing = asyncio.create_task(expire.fire(house.hub))
        waiting = "select pid from pg_locks where relation = 'reminder'::regclass and not granted"
        while (pid := await other.fetchval(waiting)) is None:
            assert not firing.done()
            await asyncio.sleep(0.01)
        # it holds the referral and the timer, and has marked that as fired
        await house.by_owner(f"select pg_terminate_backend({pid})")
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await firing
    assert await house.value("select count(*) from reminder") == 0
    assert await house.value("select count(*) from timer where fired_at is not null") == 0
    await all_fired(house, timedelta(days=1))
    await all_fired(house, timedelta(days=1))
    assert await kinds(house, house.kitchen) == ["first-contact"]


# ---- what a specialist owes


async def specialist(house: House) -> tuple[Referral, str]:
    """A referral that a specialist has accepted, and the order that it was given."""
    sent = await house.refer(house.kitchen.service)
    await house.rows("update need set kind = 'specialist'")
    await house.relay()
    await sent.answer(house.kitchen, "accepted")
    task = (await sent.tasks())["kitchen"]
    return sent, (await house.document(task))["focus"]["reference"]


def appointment(house: House, order: str, who: str, days: int, **elements: Any) -> dict[str, Any]:
    start = (house.clock() + timedelta(days=days)).replace(microsecond=0)
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "basedOn": [{"reference": order}],
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=30)).isoformat(),
        "participant": [{"actor": {"reference": who}, "status": "accepted"}],
        **elements,
    }


async def test_given_a_specialist_when_no_appointment_is_made_then_who_asked_is_told(
    house: House,
) -> None:
    sent, _ = await specialist(house)
    await all_fired(house, timedelta(days=17))
    await all_fired(house, timedelta(days=1))
    assert await kinds(house, house.clinic) == ["appointment"]
    [told] = await reminded(house, house.clinic)
    assert told["about"] == [{"reference": sent.task}], "of its own Task, for it sees no other"
    await house.relay()
    delivered = await house.rows(
        "select d.organization from delivery d join reminder m on m.communication = d.rid"
        " where m.kind = 'appointment'"
    )
    assert delivered == [(house.clinic.rid,)]
    await consistent(house)


async def test_given_a_visit_when_its_note_does_not_come_then_the_specialist_is_chased(
    house: House,
) -> None:
    sent, order = await specialist(house)
    made = await house.create(house.kitchen, appointment(house, order, sent.patient, 3))
    assert "appointment" not in await timers(house)
    first = (await timers(house))["consult-note"]
    # it is booked again, a week later: the note is due a week later
    later = appointment(house, order, sent.patient, 10)
    await house.update(house.kitchen, made.id, later)
    assert (await timers(house))["consult-note"] - first == pytest.approx(
        timedelta(days=7), abs=timedelta(hours=1, seconds=2)
    )
    assert [text async for one in reproject.reproject(house.hub) for text in one.differences] == []
    await house.relay()
    for _ in range(20):
        await all_fired(house, timedelta(days=1))
    assert await kinds(house, house.kitchen) == ["consult-note"]
    assert await kinds(house, house.clinic) == ["consult-note"]
    await house.relay()
    await consistent(house)


async def test_given_a_visit_that_took_place_when_the_referral_is_completed_then_nobody_is_chased(
    house: House,
) -> None:
    sent, order = await specialist(house)
    made = await house.create(house.kitchen, appointment(house, order, sent.patient, 0))
    document = {**await house.document(made.reference), "status": "fulfilled"}
    await house.update(house.kitchen, made.id, document)
    assert "consult-note" in await timers(house)
    await sent.answer(house.kitchen, "completed")
    assert await timers(house) == {}


@pytest.fixture
def note_expected() -> Iterator[None]:
    """A kit by which a note is to come back of what the kitchen is asked for."""
    kind = f"{same_kind.SDOHCC}|food-insecurity"
    kit = {
        "kit": "ours", "kinds": [kind], "community": True,
        "back": [{"title": "Consult note", "codes": ["LOINC|11488-4"]}],
    }  # fmt: skip
    kits.use(kits.read(json.dumps([kit]).encode()))
    yield
    kits.use(kits.read())


async def test_given_a_note_that_is_to_come_back_when_it_is_done_without_then_it_is_chased_until_it_comes(
    house: House, note_expected: None
) -> None:
    sent = await house.refer(house.kitchen.service, kind="food-insecurity")
    await house.rows("update need set kind = 'specialist'")
    await house.relay()
    t2 = await house.document((await sent.tasks())["kitchen"])
    [asked] = t2["input"]
    assert asked["type"]["coding"][0]["code"] == "data-code"
    assert asked["valueCodeableConcept"]["coding"][0]["code"] == "11488-4"
    await sent.answer(house.kitchen, "accepted")
    done = await sent.answer(house.kitchen, "completed")
    [told] = [one.diagnostics for one in done.warnings]
    assert told.startswith("Still to come: Consult note (http://loinc.org|11488-4).")
    assert {*await timers(house)} == {"consult-note"}
    assert [text async for one in reproject.reproject(house.hub) for text in one.differences] == []
    await house.relay()
    for _ in range(9):
        await all_fired(house, timedelta(days=1))
    assert await kinds(house, house.kitchen) == ["consult-note"]
    assert await kinds(house, house.clinic) == ["consult-note"]
    await house.relay()
    await consistent(house)


async def test_given_a_note_that_is_to_come_back_when_it_comes_late_then_nobody_is_chased(
    house: House, note_expected: None
) -> None:
    sent = await house.refer(house.kitchen.service, kind="food-insecurity")
    await house.rows("update need set kind = 'specialist'")
    await house.relay()
    order = (await house.document((await sent.tasks())["kitchen"]))["focus"]["reference"]
    await sent.answer(house.kitchen, "accepted")
    await sent.answer(house.kitchen, "completed")
    note = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "basedOn": [{"reference": order}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": sent.patient},
    }
    made = await house.create(house.kitchen, note)
    assert {*await timers(house)} == {"consult-note"}, "a report of another kind is no note"
    note["code"]["coding"][0]["code"] = "11488-4"
    note["status"] = "final"
    await house.update(house.kitchen, made.id, {**note, "id": made.id})
    assert await timers(house) == {}
    assert [text async for one in reproject.reproject(house.hub) for text in one.differences] == []
    await house.update(
        house.kitchen, made.id, {**note, "id": made.id, "status": "entered-in-error"}
    )
    assert {*await timers(house)} == {"consult-note"}
