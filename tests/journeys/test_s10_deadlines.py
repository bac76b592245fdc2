"""S10: nobody answers a routine request before a long weekend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.operations import Update
from coordhub.referral.hours import TIME_ZONE
from coordhub.referral.same_kind import SDOHCC
from coordhub.sandbox import demo
from coordhub.sandbox.members import SYSTEM
from coordhub.store.visibility import DIRECTORY

WEEKENDS = {
    "in autumn": ("America/Chicago", "2026-10-09"),
    "as clocks are put back in America": ("America/Chicago", "2026-10-30"),
    "where they never are": ("America/Phoenix", "2026-10-30"),
    "as they are in Europe": ("Europe/Berlin", "2026-10-23"),
    "as they are put forward in Europe": ("Europe/Berlin", "2026-03-27"),
    "and in America": ("America/New_York", "2026-03-06"),
}
"""A zone and a Friday; the Monday after it is a holiday there."""


@dataclass
class WallClock:
    """The hub's time, which stands until it is set."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=WEEKENDS.values(), ids=list(WEEKENDS))
def friday(request):
    zone, day = request.param
    return datetime.fromisoformat(f"{day} 16:00").replace(tzinfo=ZoneInfo(zone))


@pytest.fixture
def clock(friday):
    return WallClock(friday)


@pytest.fixture
async def pantry(house, friday):
    """The food bank: open from nine to five, and not on that Monday."""
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    query = f"HealthcareService?identifier={SYSTEM}%7Cmounds-service"
    [found] = await house.riverside.find(query)
    monday = (friday + timedelta(days=3)).date().isoformat()
    week = ["mon", "tue", "wed", "thu", "fri"]
    day = {"daysOfWeek": week, "availableStartTime": "09:00:00", "availableEndTime": "17:00:00"}
    service = {
        **fhir_json.parse(fhir_json.encode(found)),
        "extension": [{"url": TIME_ZONE, "valueCode": str(friday.tzinfo)}],
        "availableTime": [day],
        "notAvailable": [
            {"description": "Public holiday", "during": {"start": monday, "end": monday}}
        ],
    }
    update = Update("HealthcareService", found["id"], service)
    await commit(house.hub, steward, [update], interaction="update")
    return f"HealthcareService/{found['id']}"


async def refers(house, pantry, *others):
    """Riverside refers somebody who agrees to that; the referral, and the Task that asks the food bank."""
    bundle = house.referral(
        house.riverside, pantry, *(one.reference for one in others), agreed=False
    )
    resources = {one["resource"]["resourceType"]: one["resource"] for one in bundle["entry"]}
    order = resources["ServiceRequest"]
    order["category"] = [{"coding": [{"system": SDOHCC, "code": "food-insecurity"}]}]
    agreed = demo.consent(
        bundle["entry"][0]["fullUrl"],
        house.riverside.reference,
        [house.mounds.reference, *(one.reference for one in others)],
        "2026-01-05T09:00:00Z",
    )
    bundle["entry"].append({"resource": agreed, "request": {"method": "POST", "url": "Consent"}})
    made = await house.riverside.refers(bundle)
    return made, await house.until(lambda: house.mounds.asked(made))


async def it_is(house, clock, friday, days, hour=16, minute=0):
    """Let it be so many days after that Friday, by the clock on the wall there."""
    clock.now = (friday + timedelta(days=days)).replace(hour=hour, minute=minute)
    house.hub.engine.wake()

    async def quiet() -> bool:
        return not await house.value(
            "select exists (select from timer where fired_at is null and stood_at is null and due_at <= $1)",
            clock.now,
        )

    await house.until(quiet)
    await house.settled()


async def reminders(house):
    return await house.mounds.find("Communication?_sort=sent")


async def test_s10_given_a_holiday_when_nobody_answers_then_two_reminders_and_an_end_at_their_times(
    house, clock, friday, pantry
):
    # Given a routine request on Friday at four, and two business days to answer
    sent, task = await refers(house, pantry)
    await house.settled()
    assert await reminders(house) == []

    # On Saturday, on Monday, and on Tuesday a minute before four, nothing
    for days, hour, minute in ((1, 12, 0), (3, 16, 0), (4, 15, 59)):
        await it_is(house, clock, friday, days, hour, minute)
        assert await reminders(house) == []

    # Tuesday at four half of it is over
    await it_is(house, clock, friday, 4)
    [first] = await reminders(house)
    assert [house.target(one) for one in first["about"]] == [task]
    assert house.target(first["recipient"][0]) == house.mounds.reference
    assert "waits for your answer" in first["payload"][0]["contentString"]
    # and it says nothing of the person, or of who asks
    told = fhir_json.encode(first).decode()
    [family] = [name["family"] for name in (await house.riverside.read(sent.patient))["name"]]
    assert family not in told
    assert sent.patient.partition("/")[2] not in told
    assert house.riverside.id not in told

    # A worker that dies and comes again, and comes again, reminds of nothing twice
    for _ in range(2):
        await house.routing.die()
        house.routing.start()
        await it_is(house, clock, friday, 4, 16, 30)
    assert len(await reminders(house)) == 1

    # Wednesday at four the time is over
    await it_is(house, clock, friday, 5, 15, 59)
    assert len(await reminders(house)) == 1
    await it_is(house, clock, friday, 5)
    [_, second] = await reminders(house)
    assert "it ends soon" in second["payload"][0]["contentString"]
    assert (await house.mounds.read(task))["status"] == "requested"

    # Friday at four, after two more business days, so is the grace
    await it_is(house, clock, friday, 7, 15, 59)
    assert (await house.mounds.read(task))["status"] == "requested"
    await it_is(house, clock, friday, 7)
    ended = await house.mounds.read(task)
    assert (ended["status"], ended["statusReason"]["coding"][0]["code"]) == ("cancelled", "expired")
    assert len(await reminders(house)) == 2
    mine = await house.riverside.read(sent.task)
    assert mine["statusReason"]["coding"][0]["code"] == "expired"


@pytest.mark.parametrize("friday", [next(iter(WEEKENDS.values()))], indirect=True)
async def test_s10_given_three_requests_when_none_is_answered_then_one_reminder_a_day_tells_of_all(
    house, clock, friday, pantry
):
    tasks = []
    for _ in range(3):
        tasks.append((await refers(house, pantry))[1])
        clock.now += timedelta(minutes=1)

    def about(reminder):
        return {house.target(one) for one in reminder["about"]}

    # The first is told when it comes up; the others, a minute or two later, wait for the next morning
    await it_is(house, clock, friday, 4)
    await it_is(house, clock, friday, 4, 17)
    [first] = await reminders(house)
    assert about(first) == set(tasks[:1])
    await it_is(house, clock, friday, 5, 7, 59)
    assert len(await reminders(house)) == 1
    await it_is(house, clock, friday, 5, 8)
    [_, second] = await reminders(house)
    assert about(second) == set(tasks[1:])
    assert second["payload"][0]["contentString"].startswith("2 x: ")

    # That the time of all three is over is told the day after, for today has had its reminder
    await it_is(house, clock, friday, 5, 19)
    assert len(await reminders(house)) == 2
    await it_is(house, clock, friday, 6, 8)
    [*_, third] = await reminders(house)
    assert about(third) == set(tasks)


@pytest.mark.parametrize("friday", [next(iter(WEEKENDS.values()))], indirect=True)
async def test_s10_given_questions_back_when_they_are_answered_later_then_so_much_later_is_the_end(
    house, clock, friday, pantry
):
    _, task = await refers(house, pantry)
    await it_is(house, clock, friday, 4, 10)
    code = {"system": "urn:coordhub:business-status", "code": "awaiting-information"}
    waiting = {
        **await house.mounds.read(task),
        "status": "received",
        "businessStatus": {"coding": [code]},
    }
    asked = await house.mounds.ask("PUT", f"/{task}", waiting)
    assert asked.status_code == 200, asked.text

    # While it waits, nobody is reminded, and nothing ends
    await it_is(house, clock, friday, 14)
    assert (await house.mounds.read(task))["status"] == "received"
    assert await reminders(house) == []

    # Once it has what it asked for, as much is left as was: six hours until half, fourteen, thirty
    await it_is(house, clock, friday, 17, 10)
    going = {**await house.mounds.read(task)}
    del going["businessStatus"]
    asked = await house.mounds.ask("PUT", f"/{task}", going)
    assert asked.status_code == 200, asked.text
    due = await house.rows(
        "select kind, due_at from timer where kind like 'accept-%' order by due_at"
    )
    there = [f"{row['due_at'].astimezone(friday.tzinfo):%a %H}" for row in due]
    assert there == ["Mon 16", "Tue 16", "Thu 16"]


@pytest.mark.parametrize("consent_policy", ["opt-in"])  # so that nobody else may be asked
@pytest.mark.parametrize("friday", [next(iter(WEEKENDS.values()))], indirect=True)
async def test_s10_given_another_who_is_named_when_the_first_lets_it_run_out_then_it_then_a_person(
    house, clock, friday, pantry
):
    riverside, shelter = house.riverside, house.northgate
    sent, task = await refers(house, pantry, shelter)
    assert await shelter.asked(sent) is None, "one after the other"
    await it_is(house, clock, friday, 7, 15, 59)
    assert await shelter.asked(sent) is None
    await it_is(house, clock, friday, 7)
    assert (await house.mounds.read(task))["statusReason"]["coding"][0]["code"] == "expired"
    further = await house.until(lambda: shelter.asked(sent))
    assert (await riverside.read(sent.task))["businessStatus"]["coding"][0][
        "code"
    ] == "re-referring"

    # It does not answer either: a person at riverside is asked to find somebody
    await house.settled()
    for days in range(8, 16):
        await it_is(house, clock, friday, days)
    assert (await shelter.read(further))["statusReason"]["coding"][0]["code"] == "expired"

    async def errand():
        return await riverside.find("Task?code=urn:coordhub:errand%7Cfind-provider")

    [found] = await house.until(errand)
    assert house.target(found["owner"]) == riverside.reference
    mine = await riverside.read(sent.task)
    assert mine["businessStatus"]["coding"][0]["code"] == "no-provider-available"
    assert mine["status"] == "in-progress", "that nobody was found ends nothing"
