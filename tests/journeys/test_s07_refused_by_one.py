"""S07, as far as it stands: one of those asked declines, another one takes it."""

from __future__ import annotations

NO_CAPACITY = {
    "coding": [{"system": "urn:coordhub:task-status-reason", "code": "no-capacity"}],
    "text": "at capacity",
}


async def declines(shelter, task: str) -> None:
    document = await shelter.read(task)
    done = await shelter.ask(
        "PUT", f"/{task}", {**document, "status": "rejected", "statusReason": NO_CAPACITY}
    )
    assert done.status_code == 200, done.text


async def test_s07_given_two_shelters_when_one_is_full_then_the_other_may_still_accept(house):
    riverside = house.riverside
    shelters = [house.hillcrest, house.northgate]
    sent = await riverside.refers(
        house.referral(riverside, *(shelter.reference for shelter in shelters))
    )
    full, free = await house.all_asked(shelters, sent)

    # When one declines
    await declines(house.hillcrest, full)
    mine = await riverside.read(sent.task)
    # Then the referral goes on, and its sender knows that somebody declined
    assert mine["status"] == "in-progress"
    assert mine["businessStatus"]["coding"][0]["code"] == "re-referring"
    assert "statusReason" not in mine

    # When the other one accepts
    await house.northgate.answers(free, "accepted")
    mine = await riverside.read(sent.task)
    assert mine["businessStatus"]["coding"][0]["code"] == "matched"
    assert (await house.hillcrest.read(full))["status"] == "rejected"
    await house.settled()
    assert "rejected" not in await riverside.statuses_received(sent.task)


async def test_s07_given_all_decline_when_the_last_does_then_the_sender_hears_why(house):
    riverside = house.riverside
    shelters = [house.hillcrest, house.northgate]
    sent = await riverside.refers(
        house.referral(riverside, *(shelter.reference for shelter in shelters))
    )
    tasks = await house.all_asked(shelters, sent)
    for shelter, task in zip(shelters, tasks, strict=True):
        await declines(shelter, task)
    await house.settled()

    mine = await riverside.read(sent.task)
    # It was in progress when the first one declined, so it ends as failed, not as rejected
    assert mine["businessStatus"]["coding"][0]["code"] == "no-provider-available"
    assert (mine["status"], mine["statusReason"]["coding"][0]["code"]) == ("failed", "no-capacity")
    assert (await riverside.holds(sent.task))["status"] == mine["status"]
    assert await house.value("select state from episode") == "closed"
    # And it stays so
    late = await house.northgate.tries(tasks[1], "accepted")
    assert late.status_code == 409
