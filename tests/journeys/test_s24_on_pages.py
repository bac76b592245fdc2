"""S24 on pages: somebody asks for results of others, and a clerk there releases one of two, or nothing."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]


async def made(who, kind, **elements):
    answered = await who.ask("POST", f"/{kind}", {"resourceType": kind, **elements})
    assert answered.status_code == 201, answered.text
    return f"{kind}/{answered.json()['id']}"


async def result(house, who, patient, code, title, value):
    return await made(
        who, "Observation", status="final", subject={"reference": patient},
        code={"coding": [{"system": "http://loinc.org", "code": code}], "text": title},
        effectiveDateTime=f"{house.hub.clock():%Y-%m-%d}",
        valueQuantity={"value": value, "unit": "%"},
    )  # fmt: skip


async def test_s24_given_a_clerk_with_a_browser_when_asked_for_results_then_it_releases_what_it_ticks(
    house, browser, clock
):
    endo, hospital = house.lakeside, house.riverside
    hers = await made(endo, "Patient", name=[{"family": "Quillfeather", "given": ["Ada"]}])
    theirs = await made(hospital, "Patient", name=[{"family": "Quillfeather", "given": ["A."]}])
    given = await result(house, hospital, theirs, "4548-4", "HbA1c", 8.1)
    withheld = await result(house, hospital, theirs, "4549-2", "HbA1c by the old method", 8.3)
    other = await result(house, hospital, theirs, "2085-9", "Not asked for", 1)
    asker, clerk = "dana@lakeside.example", "rosa@riverside.example"
    first = await joins(house, endo, asker, "clinician")
    await browser.sets_up(asker, first)
    here = f"/portal/requests/{hers.partition('/')[2]}"
    assert f'href="{here}"' in (await browser.opens(here.replace("requests", "patients"))).text
    assert "Nobody was asked yet." in (await browser.opens(here)).text
    fields = {"whom": hospital.reference, "what.hba1c": "on", "why": "before a change of dose"}
    for lacking in ("whom", "what.hba1c"):
        refused = await browser.sends(here, **{**fields, lacking: ""})
        assert refused.status_code == 422
        assert await endo.find("Task?code=data-request") == []
    asked = await browser.sends(here, **fields, since="2026-05-22")
    assert asked.url.path == here, asked.text
    assert "HbA1c (2026-05-22 …)" in asked.text
    [task] = await endo.find("Task?code=data-request")
    assert "date=ge2026-05-22" in task["input"][0]["valueString"]
    mine = browser.secret
    await browser.sends("/portal/sign-out")

    # At the hospital: purpose and requester, what is asked for, and whose record it is, which a person says
    browser.http.cookies.clear()
    await browser.sets_up(clerk, await joins(house, hospital, clerk, "program-staff"))
    assert f"/portal/tasks/{task['id']}" in (await browser.opens("/portal/worklist")).text
    there = f"/portal/releases/{task['id']}"
    page = await browser.opens(f"/portal/tasks/{task['id']}")
    assert page.url.path == there
    for text in ("Lakeside", "treatment: before a change of dose", "HbA1c", "Quillfeather"):
        assert text in page.text
    assert "8.1" not in page.text
    monday = "Results will be reviewed for release on Monday"
    assert (await browser.sends(there, act="later")).status_code == 422
    told = await browser.sends(there, act="later", words=monday)
    assert monday in told.text
    assert (await endo.read(f"Task/{task['id']}"))["businessStatus"]["text"] == monday
    found = await browser.opens(f"{there}?who=Quillfeather")
    whose = theirs.partition("/")[2]
    assert f"whose={whose}" in found.text
    found = await browser.opens(f"{there}?who=Quillfeather&whose={whose}")
    assert sorted(re.findall(r'name="take\.([^"]+)"', found.text)) == sorted([given, withheld])
    chosen = {"who": "Quillfeather", "whose": whose}
    for act, said in (("release", "Tick what"), ("withhold", "Say why")):
        refused = await browser.sends(there, act=act, **chosen)
        assert refused.status_code == 422
        assert said in refused.text
    assert not await endo.sees(given)
    done = await browser.sends(
        there, act="release", **chosen, **{f"take.{given}": "on", f"take.{other}": "on"}
    )
    assert "What you have released" in done.text
    assert [await endo.sees(one) for one in (given, withheld, other)] == [True, False, False]
    assert (await browser.sends(there, act="all", **chosen)).status_code == 409
    await browser.sends("/portal/sign-out")

    # Who asked finds it on its page, and until when; taken back it is there no more
    browser.http.cookies.clear()
    browser.secret = mine
    clock.ahead += timedelta(seconds=60)  # a code is good once
    await browser.signs_in(asker)
    page = await browser.opens(here)
    assert "8.1 %" in page.text
    assert "Shown until" in page.text
    assert "8.3" not in page.text
