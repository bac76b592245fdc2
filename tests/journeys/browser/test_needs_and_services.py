"""S27, S33 and S32 in a browser: from a screening to what the person says of it, and a county's feed."""

from __future__ import annotations

from county_feed import kinds, reads
from hsds_county import SECRET_PHONE, SECRET_STREET, as_json, county
from person import signs_in
from scene import FAMILY, FOOD, JANE, ROOF, made

from coordhub.sandbox import demo

__all__ = ["kinds"]

RIDE = "transportation-insecurity"


async def test_s27_and_s33_given_a_screened_family_when_it_says_that_it_got_no_food_then_the_loop_opens_again(
    house, windows
):
    riverside, mounds = house.riverside, house.mounds
    await house.offers(await house.joins("rides"), RIDE)
    patient = await made(
        riverside, "Patient", **JANE, generalPractitioner=[{"reference": house.lakeside.reference}]
    )
    doctor = demo.consent(
        patient, riverside.reference, [house.lakeside.reference], f"{house.hub.clock():%FT%TZ}"
    )
    assert (await riverside.ask("POST", "/Consent", doctor)).status_code == 201
    chris = await signs_in(house, windows, riverside, "coordinator", width="phone")

    # What the family answers is entered, and shows needs; nothing is sent before it agrees
    await chris.opens("/portal/screening")
    await chris.fills("Name", "Quillfeather")
    await chris.presses("Search")
    await chris.follows("Quillfeather")
    await chris.follows("PRAPARE")
    for name, value in FAMILY.items():
        if name != "of":
            await chris.page.locator(f'[name="{name}"][value="{value}"]').check()
    await chris.presses("Save, and see what it found")
    assert await chris.says("The person may not be safe.")
    await chris.looks("found")
    await chris.presses("Refer")
    assert await chris.page.get_by_role("alert").count() == 1
    assert await riverside.find("Task") == []
    await chris.looks("not-agreed")

    # It leaves out the ride, and chooses the shelter; one Task asks for the rest
    await chris.page.locator(f'[name="need.{RIDE}"]').uncheck()
    for one in await chris.page.locator(f'[name^="whom.{ROOF}."]').all():
        await one.uncheck()
    await chris.page.locator(".candidate", has_text="Hillcrest Shelter").locator("input").check()
    await chris.page.locator('[name="agreed"]').check()
    await chris.presses("Refer")
    page = chris.path
    await chris.looks("sent")
    [task] = await riverside.find(f"Task?patient={patient}&intent=order&code=fulfill")
    orders = await riverside.find(f"ServiceRequest?patient={patient}&intent=order")
    assert {one["category"][0]["coding"][0]["code"] for one in orders} == {FOOD, ROOF}

    # Each answers for itself: food is given, the shelter has a list; the doctor is told of both
    async def asked(one):
        [found] = await house.until(lambda: one.find("Task?status=requested"))
        return f"/portal/tasks/{found['id']}"

    pat = await signs_in(house, windows, mounds)
    await pat.opens(await asked(mounds))
    await pat.presses("Accept")
    await pat.presses("Work has begun")
    await pat.fills("What was given or done", "A box for three days")
    await pat.presses("Complete")
    waits = await signs_in(house, windows, house.hillcrest)
    await waits.opens(await asked(house.hillcrest))
    await waits.presses("Put on the waiting list")
    [told] = await house.until(lambda: house.lakeside.find("Communication?category=summary"))
    assert told["payload"] == [{"contentString": "1 of 2 met. Homeless: on a waiting list."}]
    await chris.opens(page)
    await chris.looks("one-of-two")
    at_shelter = f"Task/{waits.path.rpartition('/')[2]}"
    for status in ("in-progress", "completed"):
        await house.hillcrest.answers(at_shelter, status)
    await house.settled()
    await chris.opens(page)
    assert not await chris.says("Look after what the person says it did not get")

    # The person gets an address, opens it on its telephone, in Spanish and without scripts, and says no
    await chris.follows("Ask the person whether it got what it needed")
    await chris.looks("ask")
    await chris.presses("Make an address: Food insecurity")
    link = (await chris.page.locator(".link-to-give code").inner_text()).removeprefix(
        house.hub.base.removesuffix("/fhir")
    )
    await chris.looks("address")
    jane = await windows(tag="es", width="phone", scripts=False)
    await jane.opens(link)
    shown = await jane.text()
    assert not any(one in shown for one in ("Riverside", "Mounds", "Quillfeather"))
    await jane.looks("question")
    await jane.chooses("No")
    await jane.fills("Is there anything that you would like to say?", "No llegó nada")
    await jane.presses("Send")
    assert await jane.says("Thank you.")
    await jane.looks("thanks")
    await jane.opens(link)
    await jane.chooses("No")
    await jane.presses("Send")
    assert await jane.says("This link cannot be used any more.")

    # What was completed stays so, and somebody has to look after it, at the desk of who referred
    await house.settled()
    assert (await riverside.read(f"Task/{task['id']}"))["status"] == "completed"
    await chris.opens(page)
    assert await chris.says("Look after what the person says it did not get")
    await chris.looks("open-again")
    await chris.follows("Look after what the person says it did not get")
    responses = await riverside.find(f"QuestionnaireResponse?patient={patient}")
    [said] = [one for one in responses if "No llegó nada" in str(one)]
    assert said["source"]["reference"] == patient
    await chris.looks("contradicted")
    await chris.presses("I have looked after it")


async def test_s32_given_a_feed_of_a_county_when_it_is_read_twice_then_its_services_are_found_once_and_as_they_are(
    house, windows, kinds
):
    services = county(14)
    assert (await reads(house, as_json(services))).withheld == 2
    await made(house.riverside, "Patient", **JANE)
    chris = await signs_in(house, windows, house.riverside, "coordinator", width="phone")
    await chris.opens("/portal/community")
    await chris.page.get_by_label("What is needed").select_option(FOOD)
    await chris.fills("Postal code or town", "Milltown")
    await chris.presses("Look")
    found, query = await chris.text(), chris.path
    assert all(f"Food Pantries {number}" in found for number in (0, 3, 6, 9))
    assert found.count("temporarily closed") == 1
    await chris.looks("found")

    # Who is closed for a time is there to be read, and is not offered
    await chris.follows("Food Pantries 0")
    assert await chris.says("temporarily closed")
    assert not await chris.says("Refer somebody to it")
    await chris.looks("closed")
    await chris.opens(query)
    await chris.follows("Food Pantries 3")
    await chris.fills("Look for somebody by name or birth date (1961-04-02)", "Quillfeather")
    await chris.presses("Look")
    await chris.follows("Quillfeather")
    offered = await chris.page.locator(".candidate").all_inner_texts()
    assert "Food Pantries 3" in offered[0]
    assert not any("Food Pantries 0" in one for one in offered)
    await chris.looks("refer")

    # A provider of the feed that helps with violence is nowhere, nor is its place
    for path in ("community?name=Quiet", "community?name=Domestic", "community/map"):
        await chris.opens(f"/portal/{path}")
        told = await chris.page.content()
        secrets = ("Quiet Haven", "Domestic Violence", SECRET_STREET, SECRET_PHONE)
        assert not any(secret in told for secret in secrets), path
    await chris.looks("map")

    # The second night changes nothing
    again = await reads(house, as_json(services))
    assert (again.written, again.gone) == (0, 0)
    await chris.opens(query)
    assert await chris.text() == found
