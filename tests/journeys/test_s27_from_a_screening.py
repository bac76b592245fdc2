"""S27: what PRAPARE found becomes one referral of three needs, sent by a person, on pages and by telephone's width."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from coordhub.referral.same_kind import SDOHCC
from coordhub.sandbox import demo

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

FOOD, RIDE, ROOF = "food-insecurity", "transportation-insecurity", "homelessness"
FAMILY = {
    "of": "prapare", "93031-3.LA30125-1": "on", "93030-5.LA30133-5": "on", "71802-3": "LA30190-5",
    "76501-6": "LA33-6", "93038-8": "LA6568-5", "93033-9": "LA30122-8",
}  # fmt: skip


async def test_s27_given_a_family_that_is_asked_when_three_needs_come_up_then_a_person_sends_what_it_agrees_to(
    house, browser
):
    riverside = house.riverside
    offering = {FOOD: house.mounds, RIDE: house.northgate, ROOF: await house.joins("shelter")}
    services = {kind: await house.offers(one, kind) for kind, one in offering.items()}
    made = await riverside.ask(
        "POST",
        "/Patient",
        {
            "resourceType": "Patient",
            "name": [{"family": "Ruiz"}],
            "generalPractitioner": [{"reference": house.lakeside.reference}],
        },
    )
    patient = f"Patient/{made.json()['id']}"
    moment = house.hub.clock().isoformat(timespec="milliseconds")
    doctor = demo.consent(patient, riverside.reference, [house.lakeside.reference], moment)
    assert (await riverside.ask("POST", "/Consent", doctor)).status_code == 201
    first = await joins(house, riverside, "rosa@riverside.example", "coordinator")
    await browser.sets_up("rosa@riverside.example", first)

    # Rosa asks, with her form, and enters what was said; without an answer nothing is saved
    page = await browser.opens("/portal/screening?who=Ruiz")
    assert f"/screening/{patient.partition('/')[2]}" in page.text
    there = f"/portal/screening/{patient.partition('/')[2]}"
    await browser.opens(f"{there}?of=prapare")
    assert (await browser.sends(there, of="prapare")).status_code == 422
    assert await riverside.find("QuestionnaireResponse") == []
    found = await browser.sends(there, **FAMILY)
    assert found.url.path.startswith("/portal/screened/"), found.text

    # It found three needs, each with who offers it, and a fourth, of which nothing is proposed
    offered = re.findall(r'name="need\.([a-z-]+)" checked', found.text)
    assert sorted(offered) == sorted(services)
    assert "offers this" in found.text
    assert "Known already" not in found.text
    assert "may not be safe" in found.text
    assert "intimate-partner-violence" not in found.text
    assert len(await riverside.find(f"Condition?patient={patient}&category=sdoh")) == 4
    assert await riverside.find("Task") == []

    # Nothing is sent before the person agrees
    here = found.url.path
    chosen = {f"need.{kind}": "on" for kind in services}
    whom = {f"whom.{kind}.{service}": "on" for kind, service in services.items()}
    refused = await browser.sends(here, **chosen, **whom)
    assert refused.status_code == 422
    assert await riverside.find("Task") == []

    # The family leaves out the ride; the others are asked by one Task, each for its own need
    del chosen[f"need.{RIDE}"]
    sent = await browser.sends(here, **chosen, **whom, agreed="on")
    assert sent.url.path.startswith("/portal/referrals/"), sent.text
    [task] = await riverside.find(f"Task?patient={patient}&intent=order&code=fulfill")
    orders = await riverside.find(f"ServiceRequest?patient={patient}&intent=order")
    assert {one["category"][0]["coding"][0]["code"] for one in orders} == {FOOD, ROOF}
    assert len({one["requisition"]["value"] for one in orders}) == 1
    consents = await riverside.find(f"Consent?patient={patient}")
    told = [
        {each["reference"]["reference"] for each in one["provision"]["actor"]} for one in consents
    ]
    assert {offering[FOOD].reference, offering[ROOF].reference} in told
    assert not any(house.northgate.reference in each for each in told)
    asked = {}
    for kind in (FOOD, ROOF):
        one = offering[kind]
        [task_of] = await house.until(lambda one=one: one.find("Task?status=requested"))
        asked[kind] = f"Task/{task_of['id']}"
        await one.answers(asked[kind], "accepted")
        reason = await one.find(f"Condition?patient={patient}")
        assert not any("intimate" in str(each) for each in reason)
    await house.settled()
    assert await house.northgate.find("Task") == []
    assert (await riverside.read(f"Task/{task['id']}"))["status"] == "in-progress"

    # Food is given, and the shelter has a waiting list: the family's doctor is told in one message, if it agrees
    await offering[FOOD].answers(asked[FOOD], "completed")
    assert await riverside.find("Communication?category=summary") == []
    at_shelter = await offering[ROOF].read(asked[ROOF])
    waits = {"coding": [{"system": SDOHCC, "code": "waitlist"}]}
    held = {**at_shelter, "status": "on-hold", "businessStatus": waits}
    answered = await offering[ROOF].ask("PUT", f"/{asked[ROOF]}", held)
    assert answered.status_code == 200, answered.text
    [summary] = await house.until(lambda: house.lakeside.find("Communication?category=summary"))
    assert summary["payload"] == [{"contentString": "1 of 2 met. Homeless: on a waiting list."}]
    await house.settled()
    assert (await house.lakeside.holds(f"Communication/{summary['id']}"))["payload"] == summary[
        "payload"
    ]
    for one in (offering[FOOD], offering[ROOF], house.northgate):
        assert await one.find("Communication?category=summary") == []

    # Now it says what is open, and sends it for a reason only; sent once more, the same is the same
    known = await browser.opens(here)
    assert known.text.count("A referral for the same is open") == 1, "the food was given"
    refused = await browser.sends(here, **chosen, **whom, agreed="on")
    assert refused.status_code == 422
    assert "although this is known" in refused.text
    chosen |= {f"because.{ROOF}": "wants-another"}
    again = await browser.sends(here, **chosen, **whom, agreed="on")
    assert len(await riverside.find(f"Task?patient={patient}&intent=order&code=fulfill")) == 1, (
        again.text
    )
