"""S14, without anybody writing anything: the patient's permission ends on the day that it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from coordhub.record.hub import system_clock
from coordhub.sandbox import demo


@dataclass
class MovedClock:
    """The hub's time: the machine's, and so much later."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@pytest.fixture
def clock():
    return MovedClock()


@pytest.mark.parametrize("begun", [False, True], ids=["asked", "at work"])
async def test_s14_given_a_permission_that_ends_when_its_day_comes_then_the_referral_stops(
    house, clock, begun
):
    riverside, pantry = house.riverside, house.mounds

    # Given a permission until tomorrow, and a food bank that is asked, or at work
    bundle = house.referral(riverside, pantry.reference, agreed=False)
    permit = demo.consent(
        bundle["entry"][0]["fullUrl"],
        riverside.reference,
        [pantry.reference],
        "2026-01-05T09:00:00Z",
    )
    ends = (clock() + timedelta(days=1)).isoformat(timespec="seconds")
    permit["provision"]["period"] = {"start": "2026-01-05", "end": ends}
    bundle["entry"].append({"resource": permit, "request": {"method": "POST", "url": "Consent"}})
    sent = await riverside.refers(bundle)
    task = await house.until(lambda: pantry.asked(sent))
    if begun:
        await pantry.answers(task, "accepted")
        await pantry.answers(task, "in-progress")
    assert await pantry.sees(sent.patient)
    await house.settled()
    [consent] = await riverside.find(f"Consent?patient={sent.patient}")

    # When that day has passed
    clock.ahead = timedelta(days=1, minutes=1)
    house.hub.engine.wake()

    # Then who was asked is asked no more, who is at work is asked to stop, and the sender knows why
    async def stopped():
        mine = await riverside.read(sent.task)
        return "statusReason" in mine and mine

    mine = await house.until(stopped)
    assert mine["statusReason"]["text"] == "withdrawn by patient"
    theirs = await pantry.read(task)
    assert theirs["statusReason"]["coding"][0]["code"] == "consent-withdrawn"
    assert theirs["status"] == ("in-progress" if begun else "cancelled")
    assert mine["status"] == ("in-progress" if begun else "cancelled")
    assert not await pantry.sees(sent.patient)
    asked_to_stop = await pantry.find("Task?code=abort&status=requested")
    assert [house.target(one["focus"]) for one in asked_to_stop] == ([task] if begun else [])
    # The Consent itself is as it was written
    assert (await riverside.read(f"Consent/{consent['id']}"))["meta"]["versionId"] == "1"
    await house.settled()
