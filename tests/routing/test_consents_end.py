"""A Consent that ends by its own period takes away what it gave, without anybody writing anything."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from open_hub import Document, House, Party, Referral

from coordhub.routing import expire
from coordhub.store import invariants


def consent(about: str, who: Party, kind: str, **period: str) -> Document:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    role = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": about},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {
            "coding": [{"system": act, "code": "OPTIN" if kind == "permit" else "OPTOUT"}]
        },
        "provision": {
            "type": kind,
            "period": period,
            "actor": [
                {
                    "role": {"coding": [{"system": role, "code": "IRCP"}]},
                    "reference": {"reference": who.reference},
                }
            ],
        },
    }


async def social(house: House, who: Party) -> None:
    document = await house.document(who.reference)
    document.pop("type")
    await house.update(house.steward, document["id"], document)


def in_days(house: House, days: int) -> str:
    return (house.clock() + timedelta(days=days)).isoformat(timespec="seconds")


async def all_fired(house: House, later: timedelta) -> None:
    house.clock.ahead += later
    while await expire.fire(house.hub):
        pass


async def asked_with_permit(house: House, days: int) -> tuple[Referral, Document]:
    await social(house, house.kitchen)
    sent = await house.refer(house.kitchen.service)
    permit = consent(sent.patient, house.kitchen, "permit", end=in_days(house, days))
    made = await house.create(house.clinic, permit)
    await house.relay()
    return sent, {**permit, "id": made.id}


async def ends(house: House) -> list[datetime]:
    rows = await house.rows(
        "select due_at from timer where kind = 'consent-end' and fired_at is null"
    )
    return [row[0] for row in rows]


def reason(task: dict[str, Any]) -> str:
    return str(task["statusReason"]["coding"][0]["code"])


async def test_given_a_permit_that_ends_when_its_time_is_over_then_who_was_asked_is_asked_no_more(
    house: House,
) -> None:
    sent, _ = await asked_with_permit(house, 1)
    task = (await sent.tasks())["kitchen"]
    assert await house.read(house.kitchen, sent.patient) is not None
    await all_fired(house, timedelta(hours=23))
    assert await sent.status(task) == "requested"

    await all_fired(house, timedelta(hours=2))

    ended = await house.document(task)
    assert (ended["status"], reason(ended)) == ("cancelled", "consent-withdrawn")
    mine = await house.document(sent.task)
    assert (mine["status"], mine["statusReason"]["text"]) == ("cancelled", "withdrawn by patient")
    assert await house.read(house.kitchen, sent.patient) is None
    assert await ends(house) == []
    await house.relay()
    async with house.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.clock()) == []


async def test_given_one_at_work_when_the_permit_ends_then_it_is_asked_to_stop(
    house: House,
) -> None:
    sent, _ = await asked_with_permit(house, 20)
    await sent.answer(house.kitchen, "accepted")
    await sent.answer(house.kitchen, "in-progress")
    await all_fired(house, timedelta(days=21))
    task = (await sent.tasks())["kitchen"]
    assert await sent.status(task) == "in-progress"
    assert reason(await house.document(task)) == "consent-withdrawn"
    errands = await house.rows("select kind, owner from errand where closed_at is null")
    assert ("abort", house.kitchen.rid) in errands


async def test_given_a_permit_that_is_renewed_when_the_first_end_comes_then_work_goes_on(
    house: House,
) -> None:
    sent, permit = await asked_with_permit(house, 1)
    permit["provision"]["period"] = {"end": in_days(house, 5)}
    await house.update(house.clinic, permit["id"], permit)
    assert len(await ends(house)) == 1
    await all_fired(house, timedelta(days=1, hours=2))
    assert await sent.status((await sent.tasks())["kitchen"]) == "requested"
    await house.update(house.clinic, permit["id"], {**permit, "status": "inactive"})
    assert await ends(house) == []


async def test_given_a_denial_that_begins_later_when_it_begins_then_who_was_asked_is_asked_no_more(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    denial = consent(sent.patient, house.kitchen, "deny", start=in_days(house, 1))
    await house.create(house.clinic, denial)
    task = (await sent.tasks())["kitchen"]
    assert await sent.status(task) == "requested"
    await all_fired(house, timedelta(days=1, hours=1))
    assert await sent.status(task) == "cancelled"
    assert reason(await house.document(task)) == "consent-withdrawn"


async def test_given_a_permit_for_another_when_it_ends_then_this_referral_goes_on(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    other = consent(sent.patient, house.pantry, "permit", end=in_days(house, 1))
    await house.create(house.clinic, other)
    await all_fired(house, timedelta(days=1, hours=1))
    assert await sent.status((await sent.tasks())["kitchen"]) == "requested"
