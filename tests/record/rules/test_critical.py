"""A critical value asks for a human; nothing else does, and nobody who may not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from open_hub import House, Referral, observation

from coordhub.record.operations import Update, Written
from coordhub.routing import expire

Document = dict[str, Any]
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def interpreted(code: str, system: str = INTERPRETATION) -> Document:
    return {"interpretation": [{"coding": [{"system": system, "code": code}]}]}


async def asked(house: House) -> list[tuple[int, str, bool]]:
    """Of each errand to acknowledge: whose it is, what it is about, whether it is open."""
    return await house.rows(
        "select x.owner, 'Observation/' || r.fhir_id, x.closed_at is null from errand x"
        " join resource r on r.rid = x.subject where x.kind = 'acknowledge' order by x.task"
    )


async def reported(house: House, sent: Referral, **elements: Any) -> Written:
    based = {"basedOn": [{"reference": sent.request}]}
    return await house.create(house.kitchen, observation(sent.patient, **based, **elements))


async def changed(house: House, made: Written, **elements: Any) -> None:
    document = {**await house.document(made.reference), **elements}
    await house.commit(house.kitchen, Update("Observation", made.id, document))


@pytest.mark.parametrize(
    "elements",
    [
        interpreted("HH"),
        interpreted("LL"),
        interpreted("AA"),
        {"component": [{"code": {"text": "sodium"}, **interpreted("LL")}]},
    ],
)
async def test_given_a_critical_value_when_it_is_written_then_who_asked_is_asked_to_acknowledge_and_told(
    house: House, elements: Document
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await reported(house, sent, **elements)
    assert await asked(house) == [(house.clinic.rid, made.reference, True)]
    [errand] = await house.rows(
        "select 'Task/' || r.fhir_id from errand x join resource r on r.rid = x.task"
        " where x.kind = 'acknowledge'"
    )
    document = await house.document(errand[0])
    assert document["priority"] == "stat"
    assert document["focus"] == {"reference": made.reference}
    assert document.keys().isdisjoint({"for", "description", "input", "note"}), "no content"
    await house.relay()
    told = await house.rows(
        "select d.organization from delivery d join errand x on x.task = d.rid order by d.seq"
    )
    assert told == [(house.clinic.rid,)]
    # When a human there says so
    await house.update(house.clinic, document["id"], {**document, "status": "completed"})
    assert await asked(house) == [(house.clinic.rid, made.reference, False)]


async def test_given_a_critical_value_when_who_asked_will_not_see_to_it_then_who_wrote_it_is_to_call_at_once(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await reported(house, sent, **interpreted("HH"))
    other = await reported(house, sent, **interpreted("LL"))
    errands = "select 'Task/' || r.fhir_id from errand x join resource r on r.rid = x.task"
    for (errand,) in await house.rows(f"{errands} where x.kind = 'acknowledge'"):
        document = await house.document(errand)
        await house.update(house.clinic, document["id"], {**document, "status": "rejected"})
    called = await house.rows(f"{errands} where x.kind = 'unacknowledged' order by x.task")
    about = [await house.document(errand) for (errand,) in called]
    assert {one["input"][0]["valueReference"]["reference"] for one in about} == {
        made.reference, other.reference,
    }  # fmt: skip
    assert {one["owner"]["reference"] for one in about} == {house.kitchen.service}
    assert {one["priority"] for one in about} == {"stat"}


@pytest.mark.parametrize(
    "elements",
    [
        interpreted("H"),
        interpreted("N"),
        interpreted("HH", "urn:other"),
        {**interpreted("HH"), "status": "entered-in-error"},
    ],
)
async def test_given_a_value_that_is_not_critical_when_written_then_nobody_is_asked(
    house: House, elements: Document
) -> None:
    sent = await house.asking(house.kitchen.service)
    await reported(house, sent, **elements)
    assert await asked(house) == []


async def test_given_a_critical_value_when_it_is_written_again_then_it_is_asked_about_once(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await reported(house, sent, **interpreted("HH"))
    await changed(house, made, note=[{"text": "called"}])
    assert [still for *_, still in await asked(house)] == [True]
    # withdrawn, it is not to be acknowledged any more
    await changed(house, made, status="entered-in-error")
    assert [still for *_, still in await asked(house)] == [False]


async def test_given_an_acknowledged_value_when_corrected_and_still_critical_then_it_is_asked_about_again(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await reported(house, sent, **interpreted("HH"))
    await changed(house, made, **interpreted("N"))
    await changed(house, made, status="corrected", **interpreted("LL"))
    assert [still for *_, still in await asked(house)] == [False, True]


async def test_given_a_critical_value_of_no_order_when_it_is_named_as_output_then_it_is_asked_about(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await house.create(house.kitchen, observation(sent.patient, **interpreted("HH")))
    assert await asked(house) == []
    output = [{"type": {"text": "result"}, "valueReference": {"reference": made.reference}}]
    await sent.answer(house.kitchen, "accepted")
    await sent.answer(house.kitchen, "completed", output=output)
    assert await asked(house) == [(house.clinic.rid, made.reference, True)]


async def test_given_a_critical_value_under_part_2_when_written_then_who_may_not_see_it_is_not_asked(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    opioid = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]}
    made = await reported(house, sent, valueCodeableConcept=opioid, **interpreted("AA"))
    assert await house.read(house.clinic, made.reference) is None
    assert await asked(house) == []


async def all_fired(house: House, later: timedelta) -> None:
    house.clock.ahead += later
    while await expire.fire(house.hub):
        pass


async def open_errands(house: House) -> list[tuple[str, int]]:
    return await house.rows("select kind, owner from errand where closed_at is null order by task")


async def test_given_a_critical_value_when_nobody_acknowledges_it_in_half_an_hour_then_its_writer_is_to_call(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await reported(house, sent, **interpreted("HH"))
    await all_fired(house, timedelta(minutes=29))
    assert await open_errands(house) == [("acknowledge", house.clinic.rid)]
    await all_fired(house, timedelta(minutes=2))
    assert await open_errands(house) == [
        ("acknowledge", house.clinic.rid),
        ("unacknowledged", house.kitchen.rid),
    ]
    await house.relay()
    told = "select organization from delivery d join errand x on x.task = d.rid where x.kind = $1"
    assert await house.rows(told, "unacknowledged") == [(house.kitchen.rid,)]
    # and half an hour later somebody who looks after the whole
    await all_fired(house, timedelta(minutes=30))
    assert ("overdue", house.clinic.rid) in await open_errands(house)
    # When somebody has seen it after all, nobody need call
    [name] = await house.rows(
        "select 'Task/' || r.fhir_id from errand x join resource r on r.rid = x.task"
        " where x.kind = 'acknowledge'"
    )
    document = await house.document(name[0])
    await house.update(house.clinic, document["id"], {**document, "status": "completed"})
    assert await open_errands(house) == [("overdue", house.clinic.rid)]
    assert await house.read(house.clinic, made.reference) is not None


async def test_given_a_call_that_is_due_when_the_value_is_withdrawn_then_nobody_need_call(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await reported(house, sent, **interpreted("HH"))
    await all_fired(house, timedelta(minutes=31))
    assert len(await open_errands(house)) == 2
    await changed(house, made, status="entered-in-error")
    assert await open_errands(house) == []
