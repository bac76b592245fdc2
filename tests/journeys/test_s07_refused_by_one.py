"""S07: shelters are asked one after the other; the full one is passed over, one declines, one takes it."""

from __future__ import annotations

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record.commit import commit
from coordhub.record.operations import Update
from coordhub.referral.offered import CAPACITY_STATUS
from coordhub.referral.same_kind import SDOHCC
from coordhub.store.visibility import DIRECTORY

NO_CAPACITY = {
    "coding": [{"system": "urn:coordhub:task-status-reason", "code": "no-capacity"}],
    "text": "at capacity",
}
SHELTER = "homelessness"


async def declines(shelter, task: str) -> None:
    document = await shelter.read(task)
    done = await shelter.ask(
        "PUT", f"/{task}", {**document, "status": "rejected", "statusReason": NO_CAPACITY}
    )
    assert done.status_code == 200, done.text


async def is_full(house, service: str) -> None:
    """The directory says so of a HealthcareService."""
    status = {"coding": [{"system": SDOHCC, "code": "no-capacity"}]}
    stated = [{"url": "capacityStatus", "valueCodeableConcept": status}]
    document = await house.riverside.read(service)
    document["extension"] = [{"url": CAPACITY_STATUS, "extension": stated}]
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    update = Update("HealthcareService", document["id"], document)
    await commit(house.hub, steward, [update], interaction="update")


async def refers_to(house, recipients, shelters):
    """To these and nobody else, in this order."""
    bundle = house.referral(house.riverside, *recipients, kind=SHELTER, agreed=False)
    house.permitted(bundle, house.riverside, *(one.reference for one in shelters))
    return await house.riverside.refers(bundle)


async def business(house, sent) -> str:
    mine = await house.riverside.read(sent.task)
    return mine["businessStatus"]["coding"][0]["code"]


async def test_s07_given_three_shelters_when_one_is_full_and_one_declines_then_the_third_is_asked(
    house,
):
    riverside, hillcrest, northgate = house.riverside, house.hillcrest, house.northgate
    full = await house.joins("full-shelter")
    service = await house.offers(full, SHELTER)
    await is_full(house, service)
    shelters = [full, hillcrest, northgate]
    recipients = [service, hillcrest.reference, northgate.reference]
    sent = await refers_to(house, recipients, shelters)

    # The first has no place, by the directory: it is passed over, and is told nothing
    first = await house.until(lambda: hillcrest.asked(sent))
    assert await full.asked(sent) is None
    assert not await full.sees(sent.patient)
    # The second is asked alone, and the third not yet
    assert await northgate.asked(sent) is None
    assert not await northgate.sees(sent.patient)
    assert await business(house, sent) == "awaiting-recipient"

    # When the second declines
    await declines(hillcrest, first)
    second = await house.until(lambda: northgate.asked(sent))
    # Then the third is asked, and the sender's Task is under way, never rejected
    mine = await riverside.read(sent.task)
    assert (mine["status"], await business(house, sent)) == ("in-progress", "re-referring")
    assert "statusReason" not in mine
    assert await riverside.sees(sent.task)

    # When the third accepts
    await northgate.answers(second, "accepted")
    assert await business(house, sent) == "matched"
    await house.settled()
    assert "rejected" not in await riverside.statuses_received(sent.task)
    assert not await full.sees(sent.patient)
    assert await house.rows("select rank, verdict from prospect order by rank") == [
        {"rank": 0, "verdict": "out"}, {"rank": 1, "verdict": "in"}, {"rank": 2, "verdict": "in"},
    ]  # fmt: skip
    # And the sender sees who was asked, and what became of each
    _, asked = await riverside.whereabouts(sent)
    assert [(house.target(one["recipient"]), one["status"]) for one in asked] == [
        (hillcrest.reference, "rejected"), (northgate.reference, "accepted"),
    ]  # fmt: skip


async def test_s07_given_two_asked_at_once_when_one_declines_then_the_other_may_still_accept(house):
    riverside = house.riverside
    shelters = [house.hillcrest, house.northgate]
    bundle = house.referral(riverside, *(one.reference for one in shelters), kind=SHELTER)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Task":
            entry["resource"]["priority"] = "stat"  # tonight
    sent = await riverside.refers(bundle)
    full, free = await house.all_asked(shelters, sent)
    await declines(house.hillcrest, full)
    mine = await riverside.read(sent.task)
    assert (mine["status"], await business(house, sent)) == ("in-progress", "re-referring")
    await house.northgate.answers(free, "accepted")
    assert await business(house, sent) == "matched"
    assert (await house.hillcrest.read(full))["status"] == "rejected"
    await house.settled()
    assert "rejected" not in await riverside.statuses_received(sent.task)


async def test_s07_given_all_decline_when_the_last_does_then_the_sender_is_asked_to_find_somebody(
    house,
):
    riverside = house.riverside
    shelters = [house.hillcrest, house.northgate]
    bundle = house.referral(riverside, *(one.reference for one in shelters), kind=SHELTER)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Task":
            recipients = [{"reference": one.reference} for one in shelters]
            entry["resource"]["restriction"] = {"recipient": recipients}  # and nobody else
    sent = await riverside.refers(bundle)
    for shelter in shelters:
        task = await house.until(lambda shelter=shelter: shelter.asked(sent))
        await declines(shelter, task)
    await house.settled()

    # The referral is not over: somebody of who sent it is asked to find a provider
    mine = await riverside.read(sent.task)
    assert (mine["status"], await business(house, sent)) == ("in-progress", "no-provider-available")
    [errand] = await riverside.find("Task?code=find-provider&status=requested")
    assert house.target(errand["focus"]) == sent.order
    assert not await house.hillcrest.sees(f"Task/{errand['id']}")

    # When there is nobody
    done = await riverside.ask("PUT", f"/Task/{errand['id']}", {**errand, "status": "rejected"})
    assert done.status_code == 200, done.text
    await house.settled()
    mine = await riverside.read(sent.task)
    assert await business(house, sent) == "no-provider-available"
    assert (mine["status"], mine["statusReason"]["coding"][0]["code"]) == ("failed", "no-capacity")
    assert (await riverside.holds(sent.task))["status"] == mine["status"]
    assert await house.value("select state from episode") == "closed"
    # And it stays so
    late = await house.northgate.tries(task, "accepted")
    assert late.status_code == 409


async def test_s07_given_who_said_that_it_is_full_when_the_next_is_referred_then_it_is_passed_over(
    house,
):
    riverside, hillcrest, northgate = house.riverside, house.hillcrest, house.northgate
    shelters = [hillcrest, northgate]
    services = [await house.offers(one, SHELTER) for one in shelters]
    first = await refers_to(house, services, shelters)
    await declines(hillcrest, await house.until(lambda: hillcrest.asked(first)))
    await northgate.answers(await house.until(lambda: northgate.asked(first)), "accepted")

    second = await refers_to(house, services, shelters)
    assert await house.until(lambda: northgate.asked(second))
    assert await hillcrest.asked(second) is None
    assert not await hillcrest.sees(second.patient)
    told = await riverside.told(second.task)
    assert [house.target(one["recipient"]) for one in told.asked] == services[1:]
