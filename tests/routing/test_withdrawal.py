"""A patient withdraws while a referral is under way: who is asked to stop, what is not sent any more."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from open_hub import Document, House, Party, Referral, observation
from open_post import TAKEN, Post

from coordhub.record import reproject
from coordhub.store import invariants

KEPT_BACK = "withdrawn by patient"


def consent(about: str, who: Party, kind: str = "deny", **elements: Any) -> Document:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                              "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": about},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {"coding": [{"system": act, "code": "OPTIN" if kind == "permit" else "OPTOUT"}]},
        "provision": {"type": kind, "actor": [{
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                 "code": "IRCP"}]},
            "reference": {"reference": who.reference}}]},
        **elements,
    }  # fmt: skip


async def make_social(house: House, who: Party) -> None:
    document = await house.document(who.reference)
    document.pop("type")
    await house.update(house.steward, document["id"], document)


async def withdraws(sent: Referral, who: Party) -> None:
    await sent.house.create(sent.house.clinic, consent(sent.patient, who))


async def states(house: House, who: Party) -> list[str]:
    rows = await house.rows(
        "select state from delivery where organization = $1 order by seq", who.rid
    )
    return [row[0] for row in rows]


def reason(task: Document) -> str:
    return str(task["statusReason"]["coding"][0]["code"])


async def test_given_a_permit_when_it_is_withdrawn_before_an_answer_then_nobody_is_asked_any_more(
    post: Post,
) -> None:
    house = post.house
    await make_social(house, house.kitchen)
    sent = await house.refer(house.kitchen.service)
    permit = consent(sent.patient, house.kitchen, "permit")
    made = await house.create(house.clinic, permit)
    await house.relay()
    assert await house.read(house.kitchen, sent.patient) is not None
    asked = (await sent.tasks())["kitchen"]
    origin = await house.value("select fhir_id from resource where body like '%\"Provenance\"%'")
    assert await house.read(house.kitchen, f"Provenance/{origin}") is not None

    await house.update(house.clinic, made.id, {**permit, "status": "inactive"})

    assert await house.read(house.kitchen, f"Provenance/{origin}") is None
    task = await house.document(asked)
    assert (task["status"], reason(task)) == ("cancelled", "consent-withdrawn")
    mine = await house.document(sent.task)
    assert (mine["status"], reason(mine)) == ("cancelled", "consent-withdrawn")
    assert mine["statusReason"]["text"] == KEPT_BACK
    assert mine["businessStatus"]["coding"][0]["code"] == "withdrawn"
    assert await states(house, house.kitchen) == ["suppressed"], "at once, without an attempt"
    # It never reached the kitchen, so there it was never asked
    for reference in (asked, task["focus"]["reference"], sent.patient):
        assert await house.read(house.kitchen, reference) is None
    await house.relay()
    await post.deliver()
    assert post.partner.bundles == []
    assert set(await states(house, house.kitchen)) == {"suppressed"}
    assert await states(house, house.clinic) == ["delivered"] * len(
        await states(house, house.clinic)
    )


async def test_given_no_consent_for_who_does_not_treat_when_referred_then_it_is_not_asked(
    house: House,
) -> None:
    await make_social(house, house.kitchen)
    sent = await house.asking(house.kitchen.service)
    assert await sent.tasks() == {}
    mine = await house.document(sent.task)
    assert (mine["status"], reason(mine)) == ("rejected", "consent-missing")
    assert await house.rows("select from delivery where organization = $1", house.kitchen.rid) == []

    # Of several, those are asked who may be told
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    assert set(await sent.tasks()) == {"pantry"}


async def test_given_what_was_delivered_when_withdrawn_then_its_end_is_told_and_nothing_else(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    assert sent.patient in post.partner.named()
    asked = (await sent.tasks())["kitchen"]
    shown = await house.rows("select rids from audit where interaction = 'disclosure'")

    await withdraws(sent, house.kitchen)
    await house.relay()
    await post.deliver()

    told = post.partner.named()
    assert told[asked]["status"] == "cancelled"
    assert {kind.partition("/")[0] for kind in told} <= {"Task", "HealthcareService"}
    assert await house.read(house.kitchen, asked) is not None
    assert (
        await house.read(house.kitchen, (await house.document(asked))["focus"]["reference"]) is None
    )
    # What was disclosed before stays on record
    kept = await house.rows("select rids from audit where interaction = 'disclosure'")
    assert kept[: len(shown)] == shown


@pytest.mark.parametrize("status", ["accepted", "in-progress"])
async def test_given_work_that_was_taken_on_when_withdrawn_then_its_owner_is_asked_to_stop(
    post: Post, status: str
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    await sent.answer(house.kitchen, "accepted")
    if status != "accepted":
        await sent.answer(house.kitchen, status)
    asked = (await sent.tasks())["kitchen"]

    await withdraws(sent, house.kitchen)
    await house.relay()
    await post.deliver()

    task = await house.document(asked)
    assert (task["status"], reason(task)) == (status, "consent-withdrawn"), "its owner ends it"
    bundles = [post.partner.named(number) for number in range(len(post.partner.bundles))]
    [abort] = [
        resource
        for bundle in bundles
        for resource in bundle.values()
        if resource.get("code", {}).get("coding", [{}])[0].get("code") == "abort"
    ]
    assert abort["status"] == "requested"
    assert abort["focus"] == {"reference": asked}
    assert abort["owner"]["reference"] == house.kitchen.service
    assert "for" not in abort
    assert "Ada" not in str(bundles[1:])
    assert await house.read(house.kitchen, f"Task/{abort['id']}") is not None
    assert await house.read(house.clinic, f"Task/{abort['id']}") is None
    async with house.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.hub.clock()) == []
    compared = [one async for one in reproject.reproject(house.hub, mend=False)]
    assert [one.differences for one in compared] == [()], (
        "a Task that asks to stop is no candidate's"
    )
    mine = await house.document(sent.task)
    assert mine["status"] == "in-progress"
    assert mine["businessStatus"]["coding"][0]["code"] == "cancellation-requested"
    assert mine["statusReason"]["text"] == KEPT_BACK
    # Its owner stops
    await sent.answer(house.kitchen, "cancelled")
    mine = await house.document(sent.task)
    assert (mine["status"], mine["businessStatus"]["coding"][0]["code"]) == (
        "cancelled",
        "withdrawn",
    )


async def test_given_a_dead_letter_when_replayed_after_the_withdrawal_then_it_is_suppressed(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    post.partner.answer = ("400 Bad Request", b"")
    await post.deliver()
    assert await states(house, house.kitchen) == ["dead"]
    received = len(post.partner.bundles)
    assert received == 1

    await withdraws(sent, house.kitchen)
    await house.rows(
        "update delivery set state = 'queued', settled_at = null, next_at = $2"
        " where organization = $1",
        house.kitchen.rid, house.hub.clock(),
    )  # fmt: skip
    await post.deliver()
    assert await states(house, house.kitchen) == ["suppressed"]
    assert len(post.partner.bundles) == received


async def test_given_an_attempt_under_way_when_withdrawn_then_it_is_not_tried_again(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    post.partner.answer = ("503 Service Unavailable", b"")
    post.partner.before = lambda: withdraws(sent, house.kitchen)
    await post.deliver()
    post.partner.before = None
    post.partner.answer = ("200 OK", TAKEN)
    house.clock.ahead += timedelta(hours=2)
    await house.relay()
    await post.deliver()
    assert await states(house, house.kitchen) == ["suppressed", "delivered"]
    why = "select reason from delivery where state = 'suppressed'"
    assert await house.rows(why) == [("withdrawn by patient",)], "as of what no attempt is made of"
    # It may have arrived, so its end is told
    assert [bundle["entry"][0]["resource"]["status"] for bundle in post.partner.bundles] == [
        "requested", "cancelled",
    ]  # fmt: skip
    assert set(map(str, post.partner.types())) <= {"Task", "HealthcareService"}


async def test_given_a_parked_delivery_when_withdrawn_then_it_does_not_wait_for_its_next_attempt(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await post.set_endpoint(status="suspended")
    await post.deliver()
    assert await states(house, house.kitchen) == ["parked"]
    await withdraws(sent, house.kitchen)
    assert await states(house, house.kitchen) == ["suppressed"]
    assert await house.rows("select distinct reason from delivery where state = 'suppressed'") == [
        (KEPT_BACK,)
    ]


async def test_given_a_result_in_the_queue_when_the_sender_is_denied_then_it_is_not_sent(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    await house.create(
        house.kitchen, observation(sent.patient, basedOn=[{"reference": sent.request}])
    )
    await house.relay()
    assert (await states(house, house.clinic))[-1] == "queued"
    await withdraws(sent, house.clinic)
    assert (await states(house, house.clinic))[-1] == "suppressed"


async def test_given_a_consent_about_others_when_written_then_the_referral_goes_on(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    before = await house.rows("select rid, version from resource where type <> 28 order by rid")
    await withdraws(sent, house.van)
    await withdraws(await house.refer(house.van.service), house.kitchen)
    for rid, version in before:
        assert await house.value("select version from resource where rid = $1", rid) == version
    await house.relay()
    await post.deliver()
    assert (await states(house, house.kitchen))[0] == "delivered"


async def test_given_several_asked_when_one_is_denied_then_it_is_out_and_the_others_go_on(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service, house.van.service)
    assert await house.read(house.kitchen, sent.patient) is None, "not before it has won"
    tasks = await sent.tasks()
    await withdraws(sent, house.kitchen)
    assert reason(await house.document(tasks["kitchen"])) == "consent-withdrawn"
    assert (await house.document(tasks["van"]))["status"] == "requested"
    await sent.answer(house.van, "accepted")
    assert await house.read(house.van, sent.patient) is not None
    # What the winner was shown by winning ends too
    await withdraws(sent, house.van)
    order = (await house.document(tasks["van"]))["focus"]["reference"]
    assert await house.read(house.van, order) is None
    assert await house.read(house.van, tasks["van"]) is not None


async def test_given_an_answer_at_the_same_moment_when_withdrawn_then_one_waits_for_the_other(
    house: House,
) -> None:
    for _ in range(5):
        sent = await house.asking(house.kitchen.service)
        await asyncio.gather(
            sent.answer(house.kitchen, "accepted"), withdraws(sent, house.kitchen),
            return_exceptions=True,
        )  # fmt: skip
        task = await house.document((await sent.tasks())["kitchen"])
        assert (task["status"], reason(task)) in (
            ("cancelled", "consent-withdrawn"), ("accepted", "consent-withdrawn"),
        )  # fmt: skip
        await house.relay()
    async with house.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.hub.clock()) == []


async def test_given_a_patient_named_by_criteria_when_withdrawn_then_it_is_noticed_all_the_same(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await house.create(house.clinic, consent("Patient?identifier=urn:test:mrn|1", house.kitchen))
    assert reason(await house.document((await sent.tasks())["kitchen"])) == "consent-withdrawn"
