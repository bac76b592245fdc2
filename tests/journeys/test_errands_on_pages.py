"""What cannot go on without a person is answered on a page: somebody is found, or it ends."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from browser import browser, clock, joins

__all__ = ["browser", "clock"]

SHELTER = "homelessness"
FULL = {
    "coding": [{"system": "urn:coordhub:task-status-reason", "code": "no-capacity"}],
    "text": "at capacity",
}


async def nobody_left(house):
    """Riverside's referral to two shelters, which both decline; a third is permitted, too."""
    riverside, shelters = house.riverside, [house.hillcrest, house.northgate]
    bundle = house.referral(
        riverside, *(one.reference for one in shelters), kind=SHELTER, agreed=False
    )
    house.permitted(bundle, riverside, *(one.reference for one in (*shelters, house.eastside)))
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Task":
            recipients = [{"reference": one.reference} for one in shelters]
            entry["resource"]["restriction"] = {"recipient": recipients}  # and nobody else
    sent = await riverside.refers(bundle)
    for shelter in shelters:
        task = await house.until(lambda shelter=shelter: shelter.asked(sent))
        document = await shelter.read(task)
        declined = {**document, "status": "rejected", "statusReason": FULL}
        assert (await shelter.ask("PUT", f"/{task}", declined)).status_code == 200
    await house.settled()
    return sent


async def signed_in(house, browser):
    email = "chris@riverside.example.org"
    await browser.sets_up(email, await joins(house, house.riverside, email, "coordinator"))


async def test_given_nobody_is_left_when_a_coordinator_finds_a_shelter_on_the_page_then_it_is_asked(
    house, browser
):
    service = await house.offers(house.eastside, SHELTER)
    sent = await nobody_left(house)
    await signed_in(house, browser)

    # The board says that it needs somebody, and the list has what is to be done
    board = await browser.opens("/portal/board")
    assert f"/portal/referrals/{sent.task.partition('/')[2]}" in board.text
    assert "Find somebody who can help" in board.text
    listed = await browser.opens("/portal/worklist")
    page = re.search(r"/portal/tasks/[A-Za-z0-9.-]+", listed.text)[0]
    shown = await browser.opens(page)
    assert "Find somebody who can help" in shown.text

    # Nothing is chosen, or something that is not offered: said, and nothing done
    lacking = await browser.sends(page, act="did")
    assert (lacking.status_code, "Choose one of them." in lacking.text) == (422, True)
    other = await browser.sends(page, act="did", chosen="HealthcareService/nobody")
    assert other.status_code == 422
    # A name of no service finds none; its own finds it
    none = await browser.opens(f"{page}?who=%00zzz,%7C%5C")
    assert "There is nothing to choose from." in none.text
    name = (await house.riverside.read(service))["name"]
    found = await browser.opens(page, params={"who": name})
    assert f'value="{service}"' in found.text
    done = await browser.sends(f"{page}?who={name}", act="did", chosen=service, words="I called")
    assert done.status_code == 200, done.text
    await house.settled()

    # Then the third shelter is asked, and the board has nothing for the coordinator any more
    assert await house.until(lambda: house.eastside.asked(sent))
    assert "Find somebody who can help" not in (await browser.opens("/portal/board")).text
    again = await browser.sends(page, act="did", chosen=service)
    assert again.status_code in (404, 409)


@pytest.mark.parametrize("seal", [None, "of another"])
async def test_given_there_is_nobody_when_the_coordinator_says_so_then_the_referral_ends(
    house, browser, seal
):
    sent = await nobody_left(house)
    await signed_in(house, browser)
    [errand] = await house.riverside.find("Task?code=find-provider&status=requested")
    page = f"/portal/tasks/{errand['id']}"
    await browser.opens(page)
    said = await browser.sends(page, act="not", **({} if seal is None else {"seal": seal}))
    await house.settled()
    ended = (await house.riverside.read(sent.task))["status"]
    if seal is not None:
        assert (said.status_code, ended) == (404, "in-progress")
    else:
        assert ended == "failed"


async def test_given_the_only_one_declines_when_the_coordinator_looks_then_it_refers_again_or_closes_it(
    house, browser
):
    riverside, hillcrest = house.riverside, house.hillcrest
    why = {**FULL["coding"][0], "code": "needs-exceed-capability"}  # it would have a place
    sent = []
    for number in range(2):
        bundle = house.referral(riverside, hillcrest.reference, kind=SHELTER, agreed=False)
        house.permitted(bundle, riverside, hillcrest.reference)
        sent.append(await riverside.refers(bundle))
        task = await house.until(lambda number=number: hillcrest.asked(sent[number]))
        declined = {
            **await hillcrest.read(task),
            "status": "rejected",
            "statusReason": {"coding": [why]},
        }
        assert (await hillcrest.ask("PUT", f"/{task}", declined)).status_code == 200
    await house.settled()
    ids = [one.task.partition("/")[2] for one in sent]
    await signed_in(house, browser)

    # Both have ended, and need somebody all the same
    board = await browser.opens("/portal/board")
    assert board.text.count("Nobody helped: refer again, or close it") == 2
    page = await browser.opens(f"/portal/referrals/{ids[0]}")
    link = re.search(r'href="(/portal/refer/[^"]+)"', page.text)[1].replace("&amp;", "&")
    form = await browser.opens(link)
    offered = re.findall(rf'name="whom\.{SHELTER}\.([^"]+)"', form.text)
    names = [(await riverside.read(one))["name"] for one in offered]
    assert names, "others offer it"
    assert not [one for one in names if "Hillcrest" in one], "who has declined is not among these"
    assert "Hillcrest" in (await browser.opens(link.replace("again", "not"))).text
    await browser.opens(link)
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form.text))
    done = await browser.sends(
        link.partition("?")[0],
        **{**fields, f"whom.{SHELTER}.{offered[0]}": "on", "agreed": "on"},
    )
    assert done.url.path.startswith("/portal/referrals/"), done.text
    await house.settled()
    again = await riverside.read("Task/" + done.url.path.rpartition("/")[2])
    assert house.target(again["basedOn"][0]) == sent[0].task

    # Of that one another can be asked instead, which ends it first
    page = await browser.opens(done.url.path)
    assert "nobody else is asked by itself" in page.text
    [link] = [
        one.replace("&amp;", "&")
        for one in re.findall(r'href="(/portal/refer/[^"]+again=[^"]+)"', page.text)
    ]
    form = await browser.opens(link)
    assert "asked no longer as soon as you send this" in form.text
    names = re.findall(rf'name="whom\.{SHELTER}\.([^"]+)"', form.text)
    assert names
    assert offered[0] not in names
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form.text))
    for agreed, ended in (({}, "accepted"), ({"agreed": "on"}, "cancelled")):
        moved = await browser.sends(
            link.partition("?")[0], **{**fields, f"whom.{SHELTER}.{names[0]}": "on", **agreed}
        )
        assert (await riverside.read(f"Task/{again['id']}"))["status"] == ended
    newest = await riverside.read("Task/" + moved.url.path.rpartition("/")[2])
    assert house.target(newest["basedOn"][0]) == f"Task/{again['id']}"

    # The other one is closed with a word of its own, once; neither stands there any more
    page = await browser.opens(f"/portal/referrals/{ids[1]}")
    assert "Nothing: this is over." not in page.text
    closed = await browser.sends(f"/portal/referrals/{ids[1]}", act="close")
    assert "Nothing: this is over." in closed.text
    tags = (await riverside.read(sent[1].task))["meta"]["tag"]
    assert [one["code"] for one in tags] == ["laid-aside"]
    assert (await browser.sends(f"/portal/referrals/{ids[1]}", act="close")).status_code == 409
    assert "Nobody helped" not in (await browser.opens("/portal/board")).text


async def test_given_a_result_of_no_known_order_when_nothing_is_to_choose_then_it_is_looked_up_or_answers_none(
    house, browser
):
    riverside, lab = house.riverside, house.lakeside
    sent, asked = await house.given_asked(riverside, lab)
    family = (await riverside.read(sent.patient))["name"][0]["family"]
    result = {
        "resourceType": "Observation", "status": "final", "code": {"text": "HbA1c"},
        "basedOn": [{"type": "ServiceRequest", "identifier": {"system": "urn:x", "value": "nobody's"}}],
    }  # fmt: skip
    made = await lab.ask("POST", "/Observation", result)
    assert made.status_code == 201, made.text
    await house.settled()
    email = "lee@lakeside.example.org"
    await browser.sets_up(email, await joins(house, lab, email))
    [errand] = await lab.find("Task?code=match-result&status=requested")
    page = f"/portal/tasks/{errand['id']}"
    shown = await browser.opens(page)
    assert "Nobody could tell which one." in shown.text
    assert "It answers none of them" in shown.text
    none = await browser.opens(page, params={"who": "zzz"})
    assert "Nothing like it is among what you were asked." in none.text
    found = await browser.opens(page, params={"who": family.upper()})
    assert re.findall(r'name="chosen" value="([^"]+)"', found.text) == [asked]
    done = await browser.sends(f"{page}?who={family}", act="did", chosen=asked)
    assert done.status_code == 200, done.text
    await house.settled()
    assert (await riverside.told(sent.task)).events[-1]["what"] in ("result", "errand-done")
    assert await riverside.find("Observation?code:text=HbA1c")
