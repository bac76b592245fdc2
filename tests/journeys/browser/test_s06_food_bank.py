"""S06 in a browser: a food bank accepts, starts and completes, by sign-in and by the link of a mail."""

from __future__ import annotations

import re

import pytest
from browser import joins

from coordhub.admin import admitting
from coordhub.admin.acts import Operator

EMAIL = "pat@mounds.example.org"
BOX = "desk@mounds.example.org"
LINK = re.compile(r"http://\S+/links/[A-Za-z0-9_-]{43}\b")


async def family_of(house, sent):
    return (await house.riverside.read(sent.patient))["name"][0]["family"]


async def is_done(house, sent):
    """The sender has it, with what was given."""
    await house.settled()
    mine = await house.riverside.read(sent.task)
    assert mine["status"] == "completed"
    [output] = mine["output"]
    given = await house.riverside.read(house.target(output["valueReference"]))
    assert given["resourceType"] == "Procedure"


@pytest.mark.parametrize(
    ("tag", "width", "scripts"), [("en", "desk", True), ("es", "phone", False)]
)
async def test_s06_given_staff_that_signs_in_when_it_accepts_starts_and_completes_then_the_sender_has_it(
    house, windows, tag, width, scripts
):
    pat = await windows(tag, width, scripts)
    await pat.sets_up(EMAIL, await joins(house, house.mounds, EMAIL))
    assert await pat.says("Nothing new.")
    await pat.looks("nothing-yet")
    sent = await house.riverside.refers(
        house.referral(house.riverside, house.mounds.reference, kind="food-insecurity")
    )
    await house.settled()
    if scripts:  # the page that is open says so itself, and nothing moves before it is asked to
        await (
            pat.page.get_by_role("status").get_by_text(pat.t("There is something new.")).wait_for()
        )
        assert await pat.says("Nothing new.")
        await pat.looks("something-new")
        await pat.follows("Show it")
    else:
        await pat.opens("/portal/worklist")
    family = await family_of(house, sent)
    assert family in await pat.text()
    await pat.looks("worklist")
    await pat.page.locator("ol.lines a").first.click()
    await pat.looks("asked")
    await pat.presses("Accept")
    assert await pat.says("Accepted")
    await pat.looks("accepted")
    await pat.presses("Work has begun")
    assert await pat.says("At work")
    await pat.fills("What was given or done", pat.t("Food provided"))
    await pat.presses("Complete")
    assert await pat.says("Completed")
    await pat.looks("completed")
    await is_done(house, sent)
    await pat.opens("/portal/worklist?show=done")
    assert family in await pat.text()
    await pat.opens("/portal/figures")
    await pat.looks("figures")


@pytest.mark.parametrize(
    ("tag", "width", "scripts"), [("en", "phone", False), ("es", "desk", True)]
)
async def test_s06_given_a_link_by_mail_when_it_is_opened_and_answered_then_the_sender_has_it(
    house, relay, windows, tag, width, scripts
):
    await house.is_reached_at(house.mounds, BOX)
    code = await admitting.new_code(house.hub.engine, Operator("rosa"), house.mounds.reference)
    sent = await house.riverside.refers(
        house.referral(house.riverside, house.mounds.reference, kind="food-insecurity")
    )
    await house.settled()
    [link] = LINK.findall(relay.mails()[0].get_content())
    pat = await windows(tag, width, scripts)
    await pat.opens(link)
    family = await family_of(house, sent)
    assert family not in await pat.text()
    await pat.looks("link")
    await pat.fills("Access code", "0000-0000-0000")
    await pat.presses("Open")
    assert await pat.page.get_by_role("alert").count() == 1
    await pat.looks("wrong-code")
    await pat.fills("Access code", code)
    await pat.presses("Open")
    assert family in await pat.text()
    await pat.looks("asked")
    await pat.presses("Accept")
    assert await pat.says("You have accepted")
    await pat.presses("Work has begun")
    await pat.fills("What was given or done", pat.t("Food provided"))
    await pat.presses("Complete")
    assert await pat.says("This has ended")
    await pat.looks("ended")
    await is_done(house, sent)
    await pat.opens(link)
    await pat.fills("Access code", code)
    await pat.presses("Open")
    assert await pat.says("This link cannot be used")
    await pat.looks("used")
