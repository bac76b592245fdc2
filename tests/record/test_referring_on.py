"""What a referral opens is never more than its sender had: whoever it asks, and whatever it names."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Party, Referral, patient, service_request, task

from coordhub.errors import FhirError
from coordhub.r4 import document as fhir_json
from coordhub.r4 import types
from coordhub.record.operations import Create


async def chart(house: House) -> tuple[str, str]:
    """Ada's record at the clinic, and a diagnosis in it that no referral names."""
    ada = await house.create(house.clinic, patient(birthDate="1961-04-02"))
    note = await house.create(
        house.clinic,
        {
            "resourceType": "Condition",
            "subject": {"reference": ada.reference},
            "code": {"text": "not named"},
        },
    )
    return ada.reference, note.reference


async def refers(house: House, who: Party, subject: str, asked: Party) -> Referral:
    order = service_request(subject, who.reference, asked.service)
    written = await house.commit(
        who,
        Create("ServiceRequest", order, full_url="urn:uuid:order"),
        Create("Task", task("urn:uuid:order", subject, who.reference)),
    )
    await house.relay()
    return Referral(house, subject, "", *(one.reference for one in written))


async def through_food_bank(house: House) -> tuple[str, str]:
    """Ada agrees that the food bank is told of her, and the clinic refers her to it."""
    organization = await house.document(house.kitchen.reference)
    organization.pop("type")
    await house.update(house.steward, organization["id"], organization)
    ada, note = await chart(house)
    await house.rows(
        "insert into access_rule (actor, patient, permit, precedence, since, because, rule, types)"
        " select $1, rid, true, 1, now() - interval '1 day', rid, 'consent', array[type, $3::smallint, $4]"
        " from resource where fhir_id = $2",
        house.kitchen.rid,
        ada.removeprefix("Patient/"),
        types.NUMBER["Task"],
        types.NUMBER["ServiceRequest"],
    )
    sent = await refers(house, house.clinic, ada, house.kitchen)
    await sent.answer(house.kitchen, "accepted")
    return ada, note


async def shown(house: House, who: Party, reference: str) -> dict[str, Any] | None:
    found = await house.read(who, reference)
    if found is None:
        return None
    assert found.body is not None
    return fhir_json.parse(found.body.encode())


async def test_given_what_is_shown_in_part_when_it_is_referred_on_then_that_part_goes_on(
    house: House,
) -> None:
    ada, note = await through_food_bank(house)
    mine = await shown(house, house.kitchen, ada)
    assert mine is not None
    assert "birthDate" not in mine

    sent = await refers(house, house.kitchen, ada, house.pantry)
    assert await shown(house, house.pantry, ada) == mine
    assert (await sent.answer(house.pantry, "accepted")).status == 200
    assert await shown(house, house.pantry, ada) == mine
    assert await shown(house, house.pantry, note) is None


async def test_given_who_treated_when_it_asks_itself_then_the_chart_stays_closed(
    house: House,
) -> None:
    ada, note = await chart(house)
    first = await refers(house, house.clinic, ada, house.pantry)
    for status, open_ in (("accepted", True), ("in-progress", True), ("completed", False)):
        await first.answer(house.pantry, status)
        assert (await shown(house, house.pantry, note) is not None) is open_, status

    again = await refers(house, house.pantry, ada, house.pantry)
    assert (await again.answer(house.pantry, "accepted")).status == 200
    assert await shown(house, house.pantry, note) is None
    onward = await refers(house, house.pantry, ada, house.van)
    assert (await onward.answer(house.van, "accepted")).status == 200
    assert await shown(house, house.van, ada) is not None
    assert await shown(house, house.van, note) is None


async def test_given_who_treats_when_it_refers_on_then_the_chart_opens_while_that_is_at_work(
    house: House,
) -> None:
    ada, note = await chart(house)
    first = await refers(house, house.clinic, ada, house.pantry)
    await first.answer(house.pantry, "accepted")
    itself = await refers(house, house.pantry, ada, house.pantry)
    await itself.answer(house.pantry, "accepted")
    onward = await refers(house, house.pantry, ada, house.van)
    await onward.answer(house.van, "accepted")
    assert await shown(house, house.van, note) is not None

    await first.answer(house.pantry, "in-progress")
    await first.answer(house.pantry, "completed")
    assert await shown(house, house.pantry, note) is None, "not by having asked itself"


async def test_given_who_is_shown_a_part_when_it_guesses_the_whole_then_right_and_wrong_are_alike(
    house: House,
) -> None:
    ada, _ = await through_food_bank(house)
    whole = await house.document(ada)
    refused = []
    for guess in (whole, {**whole, "birthDate": "1961-04-03"}):
        with pytest.raises(FhirError) as caught:
            await house.update(house.kitchen, whole["id"], guess)
        refused.append((caught.value.status, caught.value.issues))
    assert refused[0] == refused[1]
    assert refused[0][0] == 403


async def test_given_several_are_asked_when_one_has_won_then_it_is_not_told_beside_whom(
    house: House,
) -> None:
    ada, _ = await chart(house)
    asked = [house.pantry.reference, house.van.reference]
    order = service_request(ada, house.clinic.reference)
    limits = {"repetitions": 3, "recipient": [{"reference": one} for one in asked]}
    sent_task = task("urn:uuid:order", ada, house.clinic.reference, restriction=limits)
    written = await house.commit(
        house.clinic,
        Create("ServiceRequest", order, full_url="urn:uuid:order"),
        Create("Task", sent_task),
    )
    await house.relay()
    sent = Referral(house, ada, "", *(one.reference for one in written))
    mine = (await sent.tasks())["pantry"]
    for status in ("requested", "accepted"):
        if status != "requested":
            await sent.answer(house.pantry, status)
        told = await shown(house, house.pantry, mine)
        assert told is not None
        assert told["restriction"] == {"repetitions": 3}
        assert house.van.reference not in str(told)
