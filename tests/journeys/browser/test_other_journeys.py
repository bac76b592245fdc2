"""S07, S08, S12, S22 and S29 in a browser, as far as pages show them."""

from __future__ import annotations

import pytest
from person import signs_in

SHELTER = "homelessness"


def edited(bundle, kind, **elements):
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == kind:
            entry["resource"].update(elements)
    return bundle


async def opens_asked(house, person, organization, sent):
    task = await house.until(lambda: organization.asked(sent))
    await person.opens(f"/portal/tasks/{task.partition('/')[2]}")
    return task


async def opens_sent(house, person, sent):
    await house.settled()
    await person.opens("/portal/board")
    await person.opens(f"/portal/referrals/{sent.task.partition('/')[2]}")


async def test_s07_and_s08_given_shelters_when_one_declines_and_one_has_a_list_then_the_sender_sees_each_step(
    house, windows
):
    shelters = [house.hillcrest, house.northgate]
    sent = await house.riverside.refers(
        house.referral(house.riverside, *(one.reference for one in shelters), kind=SHELTER)
    )
    # The first declines, without a reason at first
    full = await signs_in(house, windows, house.hillcrest, width="phone")
    await opens_asked(house, full, house.hillcrest, sent)
    await full.presses("Decline")
    assert await full.page.get_by_role("alert").count() == 1
    await full.looks("why")
    await full.shown("Decline")
    await full.chooses("at capacity")
    await full.presses("Decline")
    assert await full.says("Declined")
    await full.looks("declined")
    # The second has a waiting list
    waits = await signs_in(house, windows, house.northgate, tag="es", scripts=False)
    await opens_asked(house, waits, house.northgate, sent)
    await waits.presses("Put on the waiting list")
    assert await waits.says("On the waiting list")
    await waits.looks("waitlisted")
    # And who referred sees both, and that nobody else is asked
    chris = await signs_in(house, windows, house.riverside, "coordinator")
    await opens_sent(house, chris, sent)
    seen = await chris.text()
    names = [(await one.read(one.reference))["name"] for one in shelters]
    assert all(name in seen for name in names), seen
    assert (await house.riverside.read(sent.task))["status"] == "on-hold"
    await chris.looks("waits")
    await chris.opens("/portal/board?show=open")
    await chris.looks("board")


@pytest.mark.parametrize("answer", ["Accept", "Decline", ""])
async def test_s12_given_whatever_the_provider_does_when_the_coordinator_looks_then_its_page_is_the_same(
    house, safe, windows, answer
):
    sent = await house.riverside.refers(house.referral(house.riverside, safe.reference))
    task = await house.until(lambda: safe.asked(sent))
    chris = await signs_in(house, windows, house.riverside, "coordinator")
    await opens_sent(house, chris, sent)
    before = await chris.page.locator("main article").inner_text()
    if answer:
        advocate = await signs_in(house, windows, safe)
        await advocate.opens(f"/portal/tasks/{task.partition('/')[2]}")
        if answer == "Decline":
            await advocate.shown(answer)
            await advocate.chooses("at capacity")
        await advocate.presses(answer)
    await opens_sent(house, chris, sent)
    assert await chris.page.locator("main article").inner_text() == before
    assert (await house.riverside.read(sent.task))["status"] == "accepted"
    await chris.looks("delivered")


async def test_s22_given_work_has_begun_when_the_coordinator_cancels_by_keys_alone_then_it_is_asked_to_stop(
    house, windows
):
    sent, task = await house.given_asked(house.riverside, house.mounds)
    pat = await signs_in(house, windows, house.mounds)
    await pat.opens(f"/portal/tasks/{task.partition('/')[2]}")
    await pat.enters("Accept")
    await pat.enters("Work has begun")
    assert await pat.says("At work")
    chris = await signs_in(house, windows, house.riverside, "coordinator")
    await opens_sent(house, chris, sent)
    await chris.tabs_to("Cancel the referral")
    await chris.page.keyboard.press("Enter")
    await chris.types("Why? (who was asked reads it)", "the family has moved")
    await chris.enters("Cancel the referral")
    await house.settled()
    mine = await house.riverside.read(sent.task)
    assert mine["businessStatus"]["coding"][0]["code"] == "cancellation-requested"
    await chris.looks("asked-to-stop")
    await pat.opens(f"/portal/tasks/{task.partition('/')[2]}")
    assert await pat.says("Asked to stop")
    await pat.looks("stop")


async def test_s29_given_a_name_of_markup_and_no_end_when_it_is_shown_then_it_is_text_and_fits(
    house, windows
):
    dirty = f"<script>document.title='x'</script>{'W' * 180}"
    bundle = house.referral(house.riverside, house.mounds.reference)
    edited(bundle, "Patient", name=[{"family": dirty, "given": ["\u202eAda"]}])
    order = {"coding": [{"system": "urn:example:unknown", "code": "ZZ-" + "9" * 120}]}
    edited(bundle, "ServiceRequest", code=order)
    sent = await house.riverside.refers(bundle)
    pat = await signs_in(house, windows, house.mounds, width="phone")
    await opens_asked(house, pat, house.mounds, sent)
    assert dirty in await pat.text()
    assert await pat.page.title() != "x"
    await pat.looks("dirty")
    await pat.opens("/portal/worklist")
    assert dirty in await pat.text()
    await pat.looks("dirty-list")


async def test_given_a_page_when_printed_left_in_a_hurry_or_not_there_then_it_is_as_it_should_be(
    house, windows
):
    _, task = await house.given_asked(house.riverside, house.mounds)
    pat = await signs_in(house, windows, house.mounds)
    page = f"/portal/tasks/{task.partition('/')[2]}"
    await pat.opens(page)
    await pat.page.emulate_media(media="print")
    assert not await pat.page.get_by_role("link", name="Quick exit").is_visible()
    assert not await pat.page.get_by_role("button", name="Accept").is_visible()
    assert await pat.page.locator("h1").is_visible()
    await pat.page.emulate_media(media="screen")
    assert await pat.opens("/portal/nowhere") == 404
    await pat.looks("missing")
    # The exit leads away, and nothing that was seen comes back
    away = []

    async def elsewhere(route):
        away.append(route.request.url)
        await route.fulfill(body="weather", content_type="text/plain")

    await pat.page.route("https://www.weather.gov/**", elsewhere)
    await pat.opens(page)
    await pat.page.get_by_role("link", name="Quick exit").click()
    await pat.page.wait_for_url("https://www.weather.gov/**")
    assert away
    await pat.opens(page)
    assert pat.path.startswith("/portal/sign-in")


async def test_given_a_recipient_who_asks_when_its_coordinator_answers_in_spanish_then_it_reads_that_and_goes_on(
    house, windows
):
    sent, task = await house.given_asked(house.riverside, house.mounds)
    pat = await signs_in(house, windows, house.mounds, width="phone")
    await pat.opens(f"/portal/tasks/{task.partition('/')[2]}")
    await pat.shown("Ask for information")
    await pat.fills("Your question", "Is there anything that she must not eat?")
    await pat.presses("Send the question")
    assert await pat.says("Waits for information")
    await pat.looks("asked")
    # It stands first on the board, with its words on the page of the referral
    chris = await signs_in(house, windows, house.riverside, "coordinator", tag="es", scripts=False)
    await chris.opens("/portal/board")
    assert await chris.says("Answer what a recipient asks")
    await opens_sent(house, chris, sent)
    assert "Is there anything that she must not eat?" in await chris.text()
    await chris.looks("question")
    name = (await house.mounds.read(house.mounds.reference))["name"]
    await chris.fills(chris.t("Your answer to {who}", who=name), "Sin frutos secos")
    await chris.presses("Send the answer")
    await chris.looks("answered")
    await chris.opens("/portal/board")
    assert not await chris.says("Answer what a recipient asks")
    # Who has asked reads the answer, and goes on
    await pat.opens(f"/portal/tasks/{task.partition('/')[2]}")
    assert "Sin frutos secos" in await pat.text()
    assert await pat.says("Information has come")
    await pat.presses("Accept")
    assert not await pat.says("Information has come")
    await pat.looks("goes-on")
