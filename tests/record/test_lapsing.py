"""What may be read for a time after its reason is over, and then not through the hub any more."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from open_hub import House, Party, Referral, observation

from coordhub.record.hub import Safeguards
from coordhub.record.operations import Written
from coordhub.store import results

AT_ONCE = Safeguards(read_after=timedelta())


def keeping(house: House, safeguards: Safeguards = AT_ONCE) -> House:
    return dataclasses.replace(house, hub=dataclasses.replace(house.hub, safeguards=safeguards))


async def sees(house: House, who: Party, *references: str) -> list[bool]:
    return [await house.read(who, one) is not None for one in references]


async def done(house: House, status: str = "completed") -> tuple[Referral, str, str]:
    """A referral that the kitchen has ended with a result; its Task, and the order of that."""
    sent = dataclasses.replace(await house.asking(house.kitchen.service), house=house)
    await sent.answer(house.kitchen, "accepted")
    mine = (await sent.tasks())["kitchen"]
    await sent.answer(house.kitchen, status)
    return sent, mine, (await house.document(mine))["focus"]["reference"]


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_given_who_has_done_its_part_when_the_time_is_over_then_it_sees_its_task_and_nothing_beside(
    house: House, status: str
) -> None:
    sent, mine, order = await done(house, status)
    assert await sees(house, house.kitchen, sent.patient, sent.result, mine, order) == [True] * 4
    [(days, lapses)] = await house.rows(
        "select distinct g.until - c.ended_at, g.lapses from access_grant g join candidate c on c.task = g.because"
        " where g.rule = 'referral'"
    )
    assert (days, lapses) == (timedelta(days=90), True)
    house = keeping(house)
    sent, mine, order = await done(house, status)
    assert await sees(house, house.kitchen, sent.patient, sent.result, sent.request) == [False] * 3
    assert await sees(house, house.kitchen, mine, order) == [True] * 2


async def test_given_the_time_is_over_when_it_corrects_its_result_or_treats_again_then_it_can(
    house: House,
) -> None:
    house = keeping(house)
    sent = dataclasses.replace(await house.asking(house.kitchen.service), house=house)
    await sent.answer(house.kitchen, "accepted")
    made = await house.create(
        house.kitchen, observation(sent.patient, basedOn=[{"reference": sent.request}])
    )
    await sent.answer(house.kitchen, "completed")
    assert await sees(house, house.kitchen, sent.patient, made.reference) == [False, True]
    corrected = {**await house.document(made.reference), "status": "corrected"}
    await house.update(house.kitchen, made.id, corrected)
    assert (await house.document(made.reference))["status"] == "corrected"
    assert await sees(house, house.clinic, made.reference) == [True]
    team: dict[str, Any] = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": sent.patient},
        "participant": [{"member": {"reference": house.kitchen.reference}}],
    }
    await house.create(house.clinic, team)
    assert await sees(house, house.kitchen, sent.patient, sent.result) == [True] * 2


async def test_given_the_sender_when_it_speaks_to_who_is_done_then_that_is_heard_for_the_same_time(
    house: House,
) -> None:
    sent, _, _ = await done(house)
    said = await house.create(
        house.clinic,
        {
            "resourceType": "Communication",
            "status": "completed",
            "about": [{"reference": sent.task}],
            "recipient": [{"reference": house.kitchen.reference}],
            "payload": [{"contentString": "thank you"}],
        },
    )
    await house.relay()
    planned = "select count(*) from delivery where rid = $1 and organization = $2"
    assert await house.value(planned, said.rid, house.kitchen.rid) == 1
    assert await house.value("select lapses from access_grant where rid = $1", said.rid)


async def a_doctor_and_a_copy(house: House) -> tuple[Referral, Written]:
    """The pantry is the patient's doctor, the van is to have a copy; and a result."""
    sent = await house.asking(house.kitchen.service)
    await is_doctor(house, sent, house.pantry)
    copy = {
        "resourceType": "CommunicationRequest",
        "status": "active",
        "subject": {"reference": sent.patient},
        "about": [{"reference": sent.request}],
        "recipient": [{"reference": house.van.service}],
    }
    await house.create(house.clinic, copy)
    made = await house.create(
        house.kitchen, observation(sent.patient, basedOn=[{"reference": sent.request}])
    )
    return sent, made


async def is_doctor(house: House, sent: Referral, *doctors: Party) -> None:
    who = await house.document(sent.patient)
    who.pop("generalPractitioner", None)
    named = (
        {"generalPractitioner": [{"reference": one.reference} for one in doctors]}
        if doctors
        else {}
    )
    await house.update(house.clinic, who["id"], {**who, **named})


async def lasts(house: House, who: Party, made: Written) -> timedelta | None:
    """How much longer than it was given a sight lasts; None: without end."""
    found: timedelta | None = await house.value(
        "select until - since from access_grant where rid = $1 and organization = $2",
        made.rid,
        who.rid,
    )
    return found


async def test_given_a_copy_and_a_doctor_when_a_result_is_written_then_the_copy_is_for_a_time(
    house: House,
) -> None:
    sent, made = await a_doctor_and_a_copy(house)
    assert await lasts(house, house.van, made) == timedelta(days=90)
    assert await lasts(house, house.pantry, made) is None
    assert await lasts(house, house.clinic, made) is None, "who asked"
    # the next version counts anew, and one that has lapsed is not called back
    house = keeping(house)
    again = {**await house.document(made.reference), "note": [{"text": "again"}]}
    await house.update(house.kitchen, made.id, again)
    assert await sees(house, house.van, made.reference, sent.patient) == [False] * 2
    assert await sees(house, house.pantry, made.reference, sent.patient) == [True] * 2
    async with house.engine.pool.acquire() as conn:
        assert await results.taken_from(conn, made.rid) == frozenset()


async def test_given_a_doctor_when_another_follows_then_it_sees_for_a_time_and_anew_when_it_is_back(
    house: House,
) -> None:
    sent, made = await a_doctor_and_a_copy(house)
    house.clock.ahead += timedelta(days=10)
    await is_doctor(house, sent, house.stranger)
    left = await lasts(house, house.pantry, made)
    assert left is not None
    assert timedelta(days=100) <= left < timedelta(days=101)
    await is_doctor(house, sent, house.stranger, house.pantry)
    assert await lasts(house, house.pantry, made) is None
    house = keeping(house)
    house.clock.ahead = timedelta()
    await is_doctor(house, sent)
    assert await sees(house, house.pantry, made.reference, sent.patient) == [False] * 2
    assert await sees(house, house.clinic, made.reference) == [True]
