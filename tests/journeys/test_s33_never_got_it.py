"""S33: the food bank says that food was given, and the person that it never got any: somebody looks after it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx2
import pytest

from coordhub.referral import voice

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

FOOD = "food-insecurity"


async def helped(house, owner):
    """A referral that counts as completed."""
    riverside = house.riverside
    sent = await riverside.refers(house.referral(riverside, owner.reference, kind=FOOD))
    task = await house.until(lambda: owner.asked(sent))
    for status in ("accepted", "in-progress", "completed"):
        await owner.answers(task, status)
    await house.settled()
    return sent


async def contradictions(house, sent):
    found = await house.riverside.find("Task?code=not-received&status=requested")
    return [one for one in found if house.target(one["focus"]) == sent.task]


async def status(house, sent):
    return (await house.riverside.read(sent.task))["businessStatus"]["coding"][0]["code"]


async def test_s33_given_help_that_counts_as_given_when_the_person_says_it_was_not_then_the_loop_opens_again(
    house,
    browser,
):
    riverside, mounds = house.riverside, house.mounds
    sent = await helped(house, mounds)
    assert (await status(house, sent), await contradictions(house, sent)) == ("fulfilled", [])
    first = await joins(house, riverside, "rosa@riverside.example", "coordinator")
    await browser.sets_up("rosa@riverside.example", first)

    # Given an address that a coordinator makes, and gives to the person
    page = await browser.opens(f"/portal/referrals/{sent.task.removeprefix('Task/')}/voice")
    order = re.search(r'name="about" value="(\d+)"', page.text)[1]
    made = await browser.sends(page.url.path, about=order)
    link = re.search(r"<code>([^<]+)</code>", made.text)[1].removeprefix(
        house.hub.base.removesuffix("/fhir")
    )

    # When the person opens it, nobody is named, in either language; who looks only, uses nothing up
    async with httpx2.AsyncClient(base_url=str(house.http.base_url), timeout=30) as person:
        for language, words in (("en", "Did you get"), ("es", "¿Recibió lo que")):
            shown = await person.get(f"{link}?in={language}")
            assert words in shown.text
            for word in ("Riverside", "Mounds", "food", FOOD):
                assert word.lower() not in shown.text.lower()
        assert (await person.get(link[:-1] + "A")).text == (await person.get(link)).text
        assert (await person.post(link, data={"words": "x"})).status_code == 422
        said = await person.post(link, data={"got": "no", "words": "Never got food."})
        assert said.status_code == 200, said.text
        assert (await person.post(link, data={"got": "no"})).status_code == 404, "once"

    # Then what was completed stays so, its sender is told, and somebody has to look after it
    mine = await riverside.read(sent.task)
    assert (mine["status"], await status(house, sent)) == ("completed", "not-received")
    [errand] = await contradictions(house, sent)
    [response] = await riverside.find(f"QuestionnaireResponse?patient={sent.patient}")
    assert response["source"]["reference"] == sent.patient
    assert response["item"][1]["answer"] == [{"valueString": "Never got food."}]
    await house.settled()
    told = await riverside.holds(sent.task)
    assert told["businessStatus"]["coding"][0]["code"] == "not-received"
    assert not await mounds.sees(f"QuestionnaireResponse/{response['id']}")
    assert not await mounds.sees(f"Task/{errand['id']}")

    # Said again it is one errand; answered on its page, and what is asked for anew is another referral
    again = voice.response(sent.order, sent.patient, "partly", "", "2026-11-26T10:00:00Z")
    assert (await riverside.ask("POST", "/QuestionnaireResponse", again)).status_code == 201
    assert len(await contradictions(house, sent)) == 1
    asked = await browser.opens(f"/portal/tasks/{errand['id']}")
    [named] = (await riverside.read(sent.patient))["name"]
    assert named["family"] in asked.text
    assert f'href="/portal/referrals/{sent.task.partition("/")[2]}"' in asked.text
    await browser.sends(f"/portal/tasks/{errand['id']}", act="did")
    assert await contradictions(house, sent) == []


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_s33_given_an_answer_that_contradicts_nothing_or_may_harm_when_written_then_nothing_follows(
    house, answer
):
    """Yes to what was given; and no to what has to do with violence, where an errand could be read by anybody."""
    riverside = house.riverside
    sent = await helped(house, house.mounds)
    if answer == "no":
        order = await riverside.read(sent.order)
        act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        order["meta"] = {"security": [{"system": act, "code": "SDV"}]}
        assert (await riverside.ask("PUT", f"/{sent.order}", order)).status_code == 200
        await house.settled()
    before = await riverside.read(sent.task)
    written = voice.response(sent.order, sent.patient, answer, "", "2026-11-26T10:00:00Z")
    assert (await riverside.ask("POST", "/QuestionnaireResponse", written)).status_code == 201
    assert await contradictions(house, sent) == []
    assert await riverside.read(sent.task) == before
