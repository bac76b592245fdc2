"""A referral under way changes its course: what each partner's own server gets to know of it."""

from __future__ import annotations


async def amends(organization, order, **elements):
    document = await organization.read(order)
    done = await organization.ask("PUT", f"/{order}", {**document, **elements})
    assert done.status_code == 200, done.text


async def test_given_an_accepted_referral_when_its_order_is_amended_then_its_recipient_has_it_and_confirms(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    await house.settled()
    mine = await riverside.read(sent.order)
    order = house.target((await lakeside.read(t2))["focus"])
    assert (await lakeside.holds(order))["priority"] == "routine"

    await amends(riverside, sent.order, priority="urgent", patientInstruction="bring the papers")
    await house.settled()
    held = await lakeside.holds(order)
    assert (held["priority"], held["patientInstruction"]) == ("urgent", "bring the papers")
    assert (await lakeside.holds(t2))["note"][0]["text"] == (
        "The request was changed: patientInstruction, priority."
    )
    [errand] = await lakeside.find("Task?code=re-confirm")
    assert (await lakeside.holds(f"Task/{errand['id']}"))["status"] == "requested"
    assert not await riverside.sees(f"Task/{errand['id']}")
    await lakeside.answers(f"Task/{errand['id']}", "completed")
    assert (await lakeside.read(t2))["status"] == "accepted"

    # Another service is another referral, and whoever has nothing to do with it cannot tell
    other = {**(await riverside.read(sent.order)), "code": {"text": "something else"}}
    refused = await riverside.ask("PUT", f"/{sent.order}", other)
    assert refused.status_code == 409, refused.text
    assert refused.json()["issue"][0]["expression"] == ["ServiceRequest.code"]
    assert (await house.eastside.ask("GET", f"/{sent.order}")).status_code == 404
    assert mine["code"] == (await riverside.read(sent.order))["code"]


async def test_given_a_patient_who_has_died_when_it_is_recorded_then_who_referred_looks_at_it_again(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await amends(riverside, sent.patient, deceasedDateTime="2026-11-20")
    await house.settled()
    [errand] = await riverside.find("Task?code=review")
    assert house.target(errand["focus"]) == sent.task
    assert (await riverside.holds(f"Task/{errand['id']}"))["status"] == "requested"
    assert await lakeside.find("Task?code=review") == []
    assert (await lakeside.read(t2))["status"] == "requested"
    assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
    await riverside.answers(f"Task/{errand['id']}", "completed")
    await house.settled()
    assert (await lakeside.holds(t2))["status"] == "cancelled"
