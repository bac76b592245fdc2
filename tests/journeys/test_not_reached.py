"""Whoever is to help cannot reach the person: tried on three days by two ways, then back to who referred."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

MODE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
NOT_DONE = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason"


@dataclass
class WallClock:
    """The hub's time, which stands until it is set."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> WallClock:
    return WallClock(datetime(2026, 11, 2, 15, tzinfo=UTC))


def code(concept: dict[str, Any]) -> str:
    return str(concept["coding"][0]["code"])


async def tries(who: Any, clock: WallClock, patient: str, about: str, by: str) -> str:
    made = await who.ask(
        "POST",
        "/Communication",
        {
            "resourceType": "Communication",
            "status": "not-done",
            "statusReason": {"coding": [{"system": NOT_DONE, "code": "recipient-unavailable"}]},
            "subject": {"reference": patient},
            "recipient": [{"reference": patient}],
            "about": [{"reference": about}],
            "medium": [{"coding": [{"system": MODE, "code": by}]}],
            "sent": clock.now.isoformat(timespec="seconds"),
        },
    )
    assert made.status_code == 201, made.text
    assert "warning" not in made.headers, made.headers
    return f"Communication/{made.json()['id']}"


async def test_given_three_attempts_on_three_days_by_two_ways_when_in_vain_then_back_to_who_referred(
    house, clock
):
    riverside, mounds = house.riverside, house.mounds
    sent, task = await house.given_asked(riverside, mounds)
    await mounds.answers(task, "accepted")

    # Monday and Tuesday: who referred sees that it is being tried, and nobody is late
    first = await tries(mounds, clock, sent.patient, task, "PHONE")
    mine = await riverside.read(sent.task)
    assert (mine["status"], code(mine["businessStatus"])) == ("in-progress", "contact-attempted")
    due = "select kind from timer where subject = $1 and fired_at is null order by kind"
    rid = await house.value("select task from candidate")
    assert [row["kind"] for row in await house.rows(due, rid)] == ["progress", "progress-overdue"]
    clock.now += timedelta(days=1)
    second = await tries(mounds, clock, sent.patient, task, "PHONE")
    assert (await mounds.read(task))["status"] == "accepted"
    assert await riverside.sees(first)
    assert await riverside.sees(second)

    # Wednesday, by a text message: that is enough
    clock.now += timedelta(days=1)
    third = await tries(mounds, clock, sent.patient, task, "SMSWRIT")
    ended = await mounds.read(task)
    assert (ended["status"], code(ended["statusReason"])) == ("failed", "cannot-contact")
    mine = await riverside.read(sent.task)
    assert (mine["status"], code(mine["statusReason"])) == ("failed", "cannot-contact")
    assert await house.rows(due, rid) == []
    await house.settled()

    # Riverside knows the person: it is asked to get in touch, and told of whom it is for
    [errand] = await riverside.find("Task?code=urn:coordhub:errand|make-contact&status=requested")
    assert house.target(errand["focus"]) == sent.order
    assert house.target(errand["input"][0]["valueReference"]) == mounds.reference
    told = await riverside.told(sent.task)
    happened = [
        (one["what"], house.target(one["resource"])) for one in told.events if "resource" in one
    ]
    assert happened == [("attempted", one) for one in (first, second, third)]
    assert [(one["what"], house.target(one["from"])) for one in told.next] == [
        ("make-contact", riverside.reference)
    ]
    answer = {**errand, "status": "completed"}
    done = await riverside.ask("PUT", f"/Task/{errand['id']}", answer)
    assert done.status_code == 200, done.text
    assert (await riverside.told(sent.task)).next == []
