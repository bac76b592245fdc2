"""A recipient's question, its answer, and notes: what two who have nothing but browsers say to each other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "stage"))

import httpx2
from browser import Browser, browser, clock, joins

__all__ = ["browser", "clock"]


async def test_given_a_recipient_who_asks_when_it_is_answered_on_a_page_then_it_reads_that_and_goes_on(
    house, browser, clock
):
    riverside, mounds = house.riverside, house.mounds
    sent, asked = await house.given_asked(riverside, mounds)
    await house.settled()
    mine = f"/portal/referrals/{sent.task.partition('/')[2]}"
    theirs = f"/portal/tasks/{asked.partition('/')[2]}"
    await browser.sets_up(
        "chris@riverside.example.org",
        await joins(house, riverside, "chris@riverside.example.org", "coordinator"),
    )
    async with httpx2.AsyncClient(
        base_url=str(house.http.base_url), follow_redirects=True, timeout=30
    ) as http:
        pantry = Browser(http, clock)
        email = "pat@mounds.example.org"
        await pantry.sets_up(email, await joins(house, mounds, email))

        # Whom to call is said without naming anybody
        family = (await riverside.read(sent.patient))["name"][0]["family"]
        call = await browser.opens(f"{mine}/call")
        assert "<h2>Mounds Food Bank</h2>" in call.text
        assert "what is waited for from you: accept or decline" in call.text
        assert family not in call.text
        assert (await pantry.opens(f"{mine}/call")).status_code == 404

        # It asks; its Task waits, and the board says who is needed
        await pantry.opens(theirs)
        await pantry.sends(theirs, act="ask", words="Any <allergies>?")
        assert "Waits for information" in pantry.page.text
        assert "Any &lt;allergies&gt;?" in pantry.page.text
        board = await browser.opens("/portal/board")
        assert "Answer what a recipient asks" in board.text
        page = await browser.opens(mine)
        assert "Your answer to Mounds Food Bank" in page.text
        assert "Any &lt;allergies&gt;?" in page.text
        question = re.search(r'name="answers" value="([^"]+)"', page.text)[1]

        # Nothing is sent without words; what is sent answers, once
        lacking = await browser.sends(mine, act="say", answers=question, words=" ")
        assert (lacking.status_code, "Write what you want to say." in lacking.text) == (422, True)
        done = await browser.sends(mine, act="say", answers=question, words="None that I know of")
        assert done.status_code == 200
        again = await browser.sends(mine, act="say", answers=question, words="None that I know of")
        assert again.status_code == 409
        assert "Answer what a recipient asks" not in (await browser.opens("/portal/board")).text
        said = await mounds.find("Communication")
        [answer] = [one for one in said if "inResponseTo" in one]
        assert answer["inResponseTo"][0]["reference"].endswith(question)
        read = await pantry.opens(theirs)
        assert "None that I know of" in read.text
        assert "Information has come" in read.text

        # It goes on, and nothing waits any more; each writes to the other, and reads what was said in its order
        await pantry.sends(theirs, act="accept")
        assert "Information has come" not in pantry.page.text
        assert "businessStatus" not in await mounds.read(asked)
        await pantry.sends(theirs, act="say", words="We close early on Fridays")
        await browser.opens(mine)
        await browser.sends(mine, act="say", words="Thank you")
        for page in (browser.page, await pantry.opens(theirs)):
            texts = re.findall(r'class="words">([^<]*)<', page.text)
            assert texts == [
                "Any &lt;allergies&gt;?", "None that I know of", "We close early on Fridays", "Thank you",
            ]  # fmt: skip
        assert await house.value("select state from episode") == "open"

        # Whoever is not of it has neither page nor words
        foreign = await pantry.opens(mine)
        assert foreign.status_code == 404
        assert (await pantry.sends(mine, act="say", words="hello")).status_code == 404


async def test_given_several_asked_when_one_asks_then_nobody_is_told_for_whom_and_a_provider_has_no_place_here(
    house, browser, safe
):
    riverside, shelters = house.riverside, (house.hillcrest, house.northgate)
    sent = await riverside.refers(
        house.referral(riverside, *(one.reference for one in shelters), agreed=True)
    )
    task, _ = await house.all_asked(list(shelters), sent)
    code = {"coding": [{"system": "urn:coordhub:business-status", "code": "awaiting-information"}]}
    asks = {
        "resourceType": "Communication", "status": "completed", "topic": code,
        "about": [{"reference": task}], "payload": [{"contentString": "which language?"}],
    }  # fmt: skip
    assert (await shelters[0].ask("POST", "/Communication", asks)).status_code == 201
    mine = f"/portal/referrals/{sent.task.partition('/')[2]}"
    email = "chris@riverside.example.org"
    await browser.sets_up(email, await joins(house, riverside, email, "coordinator"))
    page = await browser.opens(mine)
    assert "which language?" in page.text
    assert "until one of them has accepted, nobody reads" in page.text
    refused = await browser.sends(mine, act="say", words="Spanish")
    assert refused.status_code == 422
    # By the API it is warned that who asked does not read it, which still waits
    answer = {
        "resourceType": "Communication", "status": "completed", "about": [{"reference": sent.task}],
        "payload": [{"contentString": "Spanish"}],
    }  # fmt: skip
    made = await riverside.ask(
        "POST", "/Communication", answer, headers={"Prefer": "return=OperationOutcome"}
    )
    assert "Who has asked does not read this" in made.text
    stands = (await shelters[0].read(task))["businessStatus"]["coding"][0]["code"]
    assert stands == "awaiting-information"

    # Of whom only a victim service provider is asked: no place to say something, on either side
    apart = await riverside.refers(house.referral(riverside, safe.reference))
    asked = await house.until(lambda: safe.asked(apart))
    await house.settled()
    page = await browser.opens(f"/portal/referrals/{apart.task.partition('/')[2]}")
    assert page.status_code == 200
    assert "What was said" not in page.text
    email = "ada@harbor.example.org"
    await browser.sends("/portal/sign-out")
    await browser.sets_up(email, await joins(house, safe, email))
    page = await browser.opens(f"/portal/tasks/{asked.partition('/')[2]}")
    assert page.status_code == 200
    assert "What was said" not in page.text
    assert "Ask for information" not in page.text
    assert (
        await browser.sends(f"/portal/tasks/{asked.partition('/')[2]}", act="say", words="hello")
    ).status_code == 409
