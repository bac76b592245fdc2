"""An organization that coordinates for all: asked in the sender's stead, and shown what it needs meanwhile."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from open_hub import House, Party, Referral

from coordhub.r4.sensitivity import SDV
from coordhub.record import reproject
from coordhub.store import invariants

SHELTER = "homelessness"


@pytest.fixture
def hub(house: House) -> House:
    """The house, in which the stranger coordinates."""
    return dataclasses.replace(
        house, hub=dataclasses.replace(house.hub, coordinator=house.stranger.reference)
    )


async def nobody_is_left(house: House) -> Referral:
    only = {
        "recipient": [{"reference": house.kitchen.reference}, {"reference": house.pantry.reference}]
    }
    sent = await house.asking(kind=SHELTER, restriction=only)
    for who in (house.kitchen, house.pantry):
        await sent.answer(who, "rejected")
        await house.relay()
    return sent


async def errand(house: House) -> tuple[str, int]:
    [(fhir_id, owner)] = await house.rows(
        "select r.fhir_id, x.owner from errand x join resource r on r.rid = x.task"
        " where kind = 'find-provider'"
    )
    return f"Task/{fhir_id}", owner


async def sees(house: House, who: Party, *references: str) -> list[bool]:
    return [await house.read(who, one) is not None for one in references]


async def test_given_a_coordinator_when_nobody_is_left_then_it_is_asked_and_sees_what_it_needs_until_it_answers(
    hub: House,
) -> None:
    sent = await hub.asking(hub.kitchen.service, hub.pantry.service, kind=SHELTER)
    needed = (sent.task, sent.request, sent.patient)
    assert await sees(hub, hub.stranger, *needed) == [False] * 3
    sent = await nobody_is_left(hub)
    task, owner = await errand(hub)
    assert owner == hub.stranger.rid
    needed = (sent.task, sent.request, sent.patient)
    assert await sees(hub, hub.stranger, task, *needed, sent.result) == [True] * 4 + [False]
    assert await sees(hub, hub.clinic, task) == [False]
    document = await hub.document(task)
    found = [{"type": {"text": "found"}, "valueReference": {"reference": hub.van.service}}]
    answer = {**document, "status": "completed", "output": found}
    await hub.update(hub.stranger, document["id"], answer)
    await hub.relay()
    assert list(await sent.tasks())[-1] == "van"
    assert await sees(hub, hub.stranger, *needed) == [False] * 3
    async with hub.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, hub.clock()) == []
    async for one in reproject.reproject(hub.hub, mend=False):
        assert one.differences == ()


async def test_given_that_violence_is_spoken_of_when_nobody_is_left_then_its_sender_is_asked(
    hub: House,
) -> None:
    sent = await hub.asking(hub.kitchen.service, hub.pantry.service, kind=SHELTER)
    fhir_id = sent.request.removeprefix("ServiceRequest/")
    await hub.by_owner(f"update resource set labels = labels | {SDV} where fhir_id = '{fhir_id}'")
    for who in (hub.kitchen, hub.pantry):
        await sent.answer(who, "rejected")
        await hub.relay()
    _, owner = await errand(hub)
    assert owner == hub.clinic.rid


async def test_given_a_consent_that_excludes_the_coordinator_when_nobody_is_left_then_its_sender_is_asked(
    hub: House,
) -> None:
    only = {"recipient": [{"reference": one.reference} for one in (hub.kitchen, hub.pantry)]}
    sent = await hub.asking(kind=SHELTER, restriction=only)
    await hub.create(hub.clinic, consent(hub, sent, deny=hub.stranger))
    for who in (hub.kitchen, hub.pantry):
        await sent.answer(who, "rejected")
        await hub.relay()
    task, owner = await errand(hub)
    assert owner == hub.clinic.rid
    assert await sees(hub, hub.stranger, task, sent.task, sent.request) == [False] * 3


def consent(house: House, sent: Referral, deny: Party) -> dict[str, Any]:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    role = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
    actor = {
        "role": {"coding": [{"system": role, "code": "IRCP"}]},
        "reference": {"reference": deny.reference},
    }
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": sent.patient},
        "dateTime": house.clock().isoformat(timespec="milliseconds"),
        "policyRule": {"coding": [{"system": act, "code": "OPTIN"}]},
        "provision": {"type": "deny", "actor": [actor]},
    }
