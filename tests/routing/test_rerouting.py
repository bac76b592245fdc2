"""A recipient declines and says who would be right."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Referral

from coordhub.errors import FhirError
from coordhub.record import reproject


def suggesting(*services: str) -> dict[str, Any]:
    code = {"system": "urn:coordhub:task-status-reason", "code": "wrong-service"}
    kind = {"coding": [{"system": "urn:coordhub:output", "code": "suggested-service"}]}
    return {
        "statusReason": {"coding": [code], "text": "service not provided here"},
        "output": [
            {"type": kind, "valueReference": {"reference": service}} for service in services
        ],
    }


async def declines(house: House, sent: Referral, *services: str) -> None:
    await sent.answer(house.kitchen, "rejected", **suggesting(*services))


async def drift(house: House) -> list[str]:
    """What the projections say otherwise than the resources."""
    found = reproject.reproject(house.hub, mend=False)
    return [text async for one in found for text in one.differences]


async def says(house: House, sent: Referral) -> tuple[str, str]:
    task = await house.document(sent.task)
    return task["status"], task["businessStatus"]["coding"][0]["code"]


async def test_given_one_named_when_it_suggests_another_then_that_one_is_asked_and_the_sender_sees_it(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await declines(house, sent, house.pantry.service)
    assert await says(house, sent) == ("in-progress", "re-referring")
    assert await drift(house) == []
    mine = await house.document(sent.task)
    assert mine["output"][0]["valueReference"] == {"reference": house.pantry.service}
    # Nothing else that moves the referral meanwhile ends it
    document = {**mine, "note": [{"text": "thanks"}]}
    await house.update(house.clinic, document["id"], document)
    assert await says(house, sent) == ("in-progress", "re-referring")
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen", "pantry"]
    await sent.answer(house.pantry, "accepted")
    assert await says(house, sent) == ("in-progress", "matched")
    assert await drift(house) == []


async def test_given_whom_was_suggested_when_it_declines_too_then_the_referral_ends(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await declines(house, sent, house.pantry.service, house.kitchen.service)
    await house.relay()
    await sent.answer(house.pantry, "rejected")
    await house.relay()
    assert await says(house, sent) == ("failed", "no-provider-available")
    assert await house.value("select state from episode") == "closed"


async def test_given_no_consent_for_whom_is_suggested_when_looked_at_then_it_is_not_asked_and_it_ends(
    house: House,
) -> None:
    await house.rows("update party set kind = 'social' where organization = $1", house.pantry.rid)
    sent = await house.asking(house.kitchen.service)
    await declines(house, sent, house.pantry.service)
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]
    assert (await says(house, sent))[1] == "no-provider-available"
    assert await house.value("select state from episode") == "closed"
    assert await house.value("select verdict from prospect where rank = 1") == "out"
    assert await house.read(house.pantry, sent.patient) is None
    assert await drift(house) == []


async def test_given_a_sender_that_says_who_may_be_asked_when_another_is_suggested_then_it_is_not(
    house: House,
) -> None:
    only = {"recipient": [{"reference": house.kitchen.reference}]}
    sent = await house.asking(house.kitchen.service, restriction=only)
    await declines(house, sent, house.pantry.service)
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]
    assert await says(house, sent) == ("rejected", "no-provider-available")
    assert (await house.document(sent.task))["output"], "its sender may ask it"


@pytest.mark.parametrize("named", ["nothing", "a patient"])
async def test_given_a_suggestion_of_nobody_when_sent_then_422_and_nothing_changes(
    house: House, named: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    reference = sent.patient if named == "a patient" else sent.request
    with pytest.raises(FhirError) as error:
        await declines(house, sent, reference)
    assert error.value.status == 422
    assert error.value.issues[0].expression.endswith(".output")
    assert await sent.status((await sent.tasks())["kitchen"]) == "requested"
