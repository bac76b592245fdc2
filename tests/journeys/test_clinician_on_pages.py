"""S27, S28: a clinician refers on a page: who could help and why, whom the person leaves out, what is known already."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

FOOD = "food-insecurity"
ABSENT = "00000000-0000-4000-8000-000000000000"


async def made(who, kind, **elements):
    answered = await who.ask("POST", f"/{kind}", {"resourceType": kind, **elements})
    assert answered.status_code == 201, answered.text
    return f"{kind}/{answered.json()['id']}"


async def test_given_a_clinician_when_it_refers_on_a_page_then_it_is_what_a_system_would_have_sent(
    house, browser
):
    riverside, mounds, rides = house.riverside, house.mounds, house.northgate
    ours, theirs = await house.offers(mounds, FOOD), await house.offers(rides, FOOD)
    patient = await made(riverside, "Patient", name=[{"family": "Quillfeather"}])
    await made(
        riverside, "Observation", status="final", subject={"reference": patient},
        code={"coding": [{"system": "http://loinc.org", "code": "4548-4"}], "text": "HbA1c"},
        effectiveDateTime=f"{house.hub.clock():%Y-%m-%d}",
        valueQuantity={"value": 8.1, "unit": "%"},
    )  # fmt: skip
    here = f"/portal/refer/{patient.partition('/')[2]}"
    await browser.sets_up(
        "rosa@riverside.example",
        await joins(house, riverside, "rosa@riverside.example", "coordinator"),
    )
    assert (await browser.opens(f"/portal/refer/{ABSENT}")).status_code == 404
    assert f'href="{here}"' in (await browser.opens(here.replace("refer", "patients"))).text

    # A specialist: who, why, and what goes along
    clinic = await browser.opens(f"{here}?kind=endocrinology")
    assert "Lakeside endocrinology clinic" in clinic.text
    assert "offers this" in clinic.text
    assert "With it goes: HbA1c." in clinic.text
    assert "Is shown the record" in clinic.text
    assert "To come back: consult note" in clinic.text

    # Food: two could help; the person leaves out one
    listed = await browser.opens(f"{here}?kind={FOOD}")
    for one in (ours, theirs):
        assert f'name="whom.{FOOD}.{one}"' in listed.text
    assert "no more than such a service is to have" in listed.text
    assert "With it goes" not in listed.text
    fields = {"kind": FOOD, f"whom.{FOOD}.{ours}": "on", "words": "three children"}
    for lacking in ({**fields, "agreed": ""}, {"kind": FOOD, "agreed": "on"}):
        refused = await browser.sends(here, **lacking)
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
    assert await riverside.find("Task") == []
    forged = await browser.http.post(here, data={**fields, "agreed": "on", "seal": "of another"})
    assert forged.status_code == 404
    number = "5" * 32
    sent = await browser.sends(here, **fields, agreed="on", number=number)
    assert sent.url.path.startswith("/portal/referrals/"), sent.text
    [order] = await riverside.find(f"ServiceRequest?patient={patient}&intent=order")
    assert [one["reference"] for one in order["performer"]] == [ours]
    assert order["reasonCode"] == [{"text": "three children"}]
    [consent] = await riverside.find(f"Consent?patient={patient}")
    assert [one["reference"]["reference"] for one in consent["provision"]["actor"]] == [
        mounds.reference
    ]
    [asked] = await house.until(lambda: mounds.find("Task?status=requested"))
    await mounds.answers(f"Task/{asked['id']}", "accepted")
    await house.settled()
    assert await rides.find("Task") == []

    # Again, it says that one is open, and is sent for a reason only
    again = await browser.opens(f"{here}?kind={FOOD}")
    assert "A referral for the same is open" in again.text
    fields |= {"agreed": "on", "number": "6" * 32}
    entry = re.search(rf'name="told.{FOOD}" value="([^"]+)"', again.text)[1]
    fields[f"told.{FOOD}"] = entry
    why = {f"because.{FOOD}": "not-enough", f"anyway.{FOOD}": "it moved"}
    assert (await browser.sends(here, **fields)).status_code == 422
    assert f'value="{entry}"' in browser.page.text
    done = await browser.sends(here, **fields, **why)
    assert done.url.path.startswith("/portal/referrals/"), done.text
    orders = await riverside.find(f"ServiceRequest?patient={patient}&intent=order")
    assert [one["note"][0]["text"] for one in orders if "note" in one] == [
        "What it has is not enough: it moved"
    ]
    # Pressed twice, a form is one referral
    await browser.opens(f"{here}?kind={FOOD}")
    await browser.sends(here, **fields, **why)
    assert len(await riverside.find(f"ServiceRequest?patient={patient}&intent=order")) == 2
    # Or it is left at that; the ledger has what came of each
    page = await browser.opens(f"{here}?kind={FOOD}")
    fields[f"told.{FOOD}"] = re.search(rf'name="told.{FOOD}" value="([^"]+)"', page.text)[1]
    left = await browser.sends(here, **fields, **{f"because.{FOOD}": "enough"})
    assert left.url.path == f"/portal/patients/{patient.partition('/')[2]}"
    assert len(await riverside.find(f"ServiceRequest?patient={patient}&intent=order")) == 2
    said = await house.rows(
        "select c.code, c.question, f.outcome, f.reason from card c"
        " join card_feedback f on f.card = c.id order by f.outcome"
    )
    assert [tuple(one.values()) for one in said] == [
        (FOOD, "open-referral", "accepted", None),
        (FOOD, "open-referral", "overridden", "not-enough"),
    ]


async def test_given_a_result_that_came_home_when_looked_at_then_it_is_new_once_and_asks_for_a_word(
    house, browser
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, asked = await house.given_asked(riverside, lakeside)
    await lakeside.answers(asked, "accepted")
    order = house.target((await lakeside.read(asked))["focus"])
    critical = {
        "resourceType": "Observation", "status": "final", "basedOn": [{"reference": order}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}], "text": "Potassium"},
        "subject": {"reference": sent.patient}, "performer": [{"reference": lakeside.reference}],
        "effectiveDateTime": f"{house.hub.clock():%Y-%m-%d}",
        "valueQuantity": {"value": 6.9, "unit": "mmol/L"},
        "interpretation": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
            "code": "HH", "display": "Critical high",
        }]}],
    }  # fmt: skip
    await made(
        lakeside, "Observation", **{k: v for k, v in critical.items() if k != "resourceType"}
    )
    await house.settled()
    email = "rosa@riverside.example"
    await browser.sets_up(email, await joins(house, riverside, email, "coordinator"))

    first = (await browser.opens("/portal/results")).text
    new, _, old = first.partition("Looked at already")
    assert "Potassium" in new
    assert "6.9 mmol/L (Critical high)" in new
    assert f"/portal/patients/{sent.patient.partition('/')[2]}" in new
    assert "Say that a human has seen it" in new
    assert old == ""
    new, _, old = (await browser.opens("/portal/results")).text.partition("Looked at already")
    assert "Nothing new" in new
    assert "Potassium" in old

    # Both sides see what is to come back, and that it has
    here = f"/portal/referrals/{sent.task.partition('/')[2]}"
    page = (await browser.opens(here)).text
    assert "<strong>Consult note</strong>" in page
    assert "still missing" in page
    await browser.sends("/portal/sign-out")
    browser.http.cookies.clear()
    email = "dana@lakeside.example"
    await browser.sets_up(email, await joins(house, lakeside, email, "clinician"))
    there = f"/portal/tasks/{asked.partition('/')[2]}"
    assert "still missing" in (await browser.opens(there)).text
    await made(
        lakeside, "DocumentReference", status="current", subject={"reference": sent.patient},
        type={"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        context={"related": [{"reference": order}]},
        content=[{"attachment": {"contentType": "text/plain", "data": "U2Vlbi4="}}],
    )  # fmt: skip
    page = (await browser.opens(there)).text
    assert "has come" in page
    assert "still missing" not in page

    await browser.sends("/portal/sign-out")
    browser.http.cookies.clear()
    email = "lee@rides.example.org"
    await browser.sets_up(email, await joins(house, house.rides, email, "coordinator"))
    page = (await browser.opens("/portal/results")).text
    assert "Potassium" not in page
    assert "Nothing new" in page
