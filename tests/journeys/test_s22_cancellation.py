"""S22: the sender withdraws, before and after work has begun."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("answered", [[], ["received"], ["accepted"]])
async def test_s22_given_a_referral_that_nobody_began_when_its_sender_cancels_then_all_are_told(
    house, answered
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    for status in answered:
        await lakeside.answers(t2, status)

    done = await riverside.tries(sent.task, "cancelled")
    assert done.status_code == 200, done.text
    task = await lakeside.read(t2)
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "requester-cancelled"
    await house.settled()
    assert (await lakeside.holds(t2))["status"] == "cancelled"
    assert await house.value("select state from episode") == "closed"
    assert await house.value("select count(*) from timer where fired_at is null") == 0
    # It stays so
    late = await lakeside.tries(t2, "accepted")
    assert late.status_code == 409
    assert (await riverside.read(sent.task))["status"] == "cancelled"


@pytest.mark.parametrize("begun", ["in-progress", "on-hold"])
async def test_s22_given_work_that_has_begun_when_its_sender_cancels_then_it_is_told_what_to_do(
    house, begun
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    await lakeside.answers(t2, begun)
    before = await house.stored()

    refused = await riverside.tries(sent.task, "cancelled")
    assert refused.status_code == 409, refused.text
    issue = refused.json()["issue"][0]
    assert issue["code"] == "business-rule"
    assert issue["expression"] == ["Task.status"]
    assert "begun" in issue["diagnostics"]
    assert "Ask it to stop, or wait for its outcome" in issue["diagnostics"]
    assert await house.stored() == {
        **before,
        "delivery": await house.value("select count(*) from delivery"),
    }
    assert (await lakeside.read(t2))["status"] == begun

    # Its recipient may end it, and the sender hears of it
    await lakeside.answers(t2, "cancelled")
    await house.settled()
    mine = await riverside.read(sent.task)
    assert mine["status"] == "cancelled"
    assert await house.value("select state from episode") == "closed"


async def test_s22_given_an_undelivered_referral_when_cancelled_then_its_recipient_ends_with_that(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    await lakeside.behaves({"mode": "down"})
    sent, t2 = await house.given_asked(riverside, lakeside)
    assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
    await lakeside.behaves()
    await house.settled()
    assert (await lakeside.holds(t2))["status"] == "cancelled"
