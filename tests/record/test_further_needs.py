"""A referral with several needs: each of its orders counts, whichever of them the sender's Task is focused on."""

from __future__ import annotations

from typing import Any

from open_hub import House, Referral, observation, patient, service_request, task

from coordhub.record import for_patient
from coordhub.record.operations import Create
from coordhub.store import episodes, timeline

GROUP = {"system": "urn:test:group", "value": "1"}


async def refers(house: House, *, second: dict[str, Any] | None = None) -> tuple[Referral, str]:
    """The clinic refers for two things: the kitchen is asked for the first, the pantry for the second."""
    who, orders = "urn:uuid:patient", ("urn:uuid:first", "urn:uuid:second")
    asked = (house.kitchen.service, house.pantry.service)
    requests = [
        service_request(who, house.clinic.reference, one, requisition=GROUP) for one in asked
    ]
    requests[1] |= second or {}
    more = {"type": {"text": "besides"}, "valueReference": {"reference": orders[1]}}
    written = await house.commit(
        house.clinic,
        Create("Patient", patient(), full_url=who),
        *(Create("ServiceRequest", one, full_url=url) for one, url in zip(requests, orders, strict=True)),
        Create("Task", task(orders[0], who, house.clinic.reference, input=[more])),
    )  # fmt: skip
    person, first, other, mine = (one.reference for one in written)
    await house.relay()
    return Referral(house, person, "", first, mine), other


async def test_given_the_order_of_a_further_need_when_asked_how_the_referral_is_then_it_is_told(
    house: House,
) -> None:
    sent, other = await refers(house)
    found = {}
    for reference in (sent.task, sent.request, other):
        stored = await house.read(house.clinic, reference)
        assert stored is not None
        async with house.engine.pool.acquire() as conn:
            found[reference] = await timeline.told(conn, house.clinic.viewer, stored.rid)
            assert await timeline.told(conn, house.stranger.viewer, stored.rid) is None
    assert found[sent.task] is not None
    assert found[other] == found[sent.request] == found[sent.task]


async def test_given_a_copy_of_what_a_further_need_brings_when_it_comes_then_it_goes_there(
    house: House,
) -> None:
    sent, other = await refers(house)
    asks = {
        "resourceType": "CommunicationRequest",
        "status": "active",
        "subject": {"reference": sent.patient},
        "about": [{"reference": other}],
        "recipient": [{"reference": house.van.service}],
    }
    await house.create(house.clinic, asks)
    order = (await house.document((await sent.tasks())["pantry"]))["focus"]["reference"]
    made = await house.create(
        house.pantry, observation(sent.patient, basedOn=[{"reference": order}])
    )
    assert await house.read(house.clinic, made.reference) is not None
    assert await house.read(house.van, made.reference) is not None


async def test_given_that_a_further_order_says_not_to_contact_when_the_patient_would_be_asked_then_it_is_not(
    house: House,
) -> None:
    quiet = {"orderDetail": [{"coding": [{"code": for_patient.PROHIBITED}]}]}
    asked = []
    for second in ({}, quiet):
        sent, _ = await refers(house, second=second)
        stored = await house.read(house.clinic, sent.task)
        assert stored is not None
        async with house.engine.pool.acquire() as conn:
            episode = (await episodes.read(conn, [stored.rid]))[stored.rid]
            asked.append(await for_patient.whom(conn, episode, "make-contact"))
    assert (asked[0] is not None, asked[1]) == (True, None)
