"""S08: a shelter has a waiting list: what is routine waits; what is urgent is asked of the next, the place kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from coordhub.admin.acts import Operator, bind_person
from coordhub.commands.clients import PERSONAL
from coordhub.referral.same_kind import SDOHCC

SHELTER = "homelessness"
NOTE = "Approximately 15 on the waitlist; estimated wait 4-6 weeks"


async def refers(house, priority: str):
    """To Northgate, and to Hillcrest if it cannot."""
    shelters = [house.northgate, house.hillcrest]
    bundle = house.referral(house.riverside, *(one.reference for one in shelters), kind=SHELTER)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "ServiceRequest":
            entry["resource"]["priority"] = priority
    return await house.riverside.refers(bundle)


async def answers_waitlist(shelter, task: str) -> None:
    document = await shelter.read(task)
    answer = {
        **document,
        "status": "accepted",
        "businessStatus": {"coding": [{"system": SDOHCC, "code": "waitlist"}]},
        "note": [{"text": NOTE}],
    }
    done = await shelter.ask("PUT", f"/{task}", answer)
    assert done.status_code == 200, done.text


def code(task: dict[str, Any], element: str) -> str:
    found = (task.get(element) or {}).get("coding") or [{"code": ""}]
    return str(found[0]["code"])


async def enrolment(house, task: dict[str, Any]) -> dict[str, Any]:
    """The Observation in the output of the sender's Task."""
    [output] = task["output"]
    assert (output["type"]["coding"][0]["system"], code(output, "type")) == (
        SDOHCC, "additional-content",
    )  # fmt: skip
    found: dict[str, Any] = await house.riverside.read(house.target(output["valueReference"]))
    return found


class Phone:
    """The app of the person that the referral is for."""

    def __init__(self, house) -> None:
        token = house.tokens.issue(
            "phone", PERSONAL, now=house.hub.clock(), lifetime=timedelta(hours=1)
        )
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/fhir+json",
        }
        self._http = house.http

    async def asked(self, person: str) -> list[dict[str, Any]]:
        found = await self._http.get(
            f"/fhir/Task?owner={person}&code=still-needed", headers=self._headers
        )
        assert found.status_code == 200, found.text
        return [entry["resource"] for entry in found.json().get("entry", [])]

    async def answers(self, task: dict[str, Any], needed: bool) -> None:
        output = [{"type": {"text": "still needed"}, "valueBoolean": needed}]
        done = await self._http.put(
            f"/fhir/Task/{task['id']}",
            json={**task, "status": "completed", "output": output},
            headers=self._headers,
        )
        assert done.status_code == 200, done.text


@pytest.mark.parametrize("needed", [True, False])
async def test_s08_given_a_routine_referral_when_a_shelter_has_a_waiting_list_then_it_waits_there(
    house, needed
):
    riverside, northgate, hillcrest = house.riverside, house.northgate, house.hillcrest
    sent = await refers(house, "routine")
    t2 = await house.until(lambda: northgate.asked(sent))
    await answers_waitlist(northgate, t2)
    await house.settled()

    # It waits, nobody else is asked, and the sender sees why
    task = await northgate.read(t2)
    assert (task["status"], code(task, "businessStatus")) == ("on-hold", "waitlisted")
    assert await hillcrest.asked(sent) is None
    mine = await riverside.read(sent.task)
    assert (mine["status"], code(mine, "businessStatus")) == ("on-hold", "waitlisted")
    place = await enrolment(house, mine)
    assert code(place, "valueCodeableConcept") == "not-enrolled-on-waitlist"
    assert place["note"] == [{"text": NOTE}]
    assert (await riverside.holds(f"Observation/{place['id']}"))["status"] == "final"

    # The person is to say within 14 days whether it still needs it
    await bind_person(house.hub, Operator("rosa"), "phone", sent.patient, PERSONAL)
    phone = Phone(house)
    [asked] = await phone.asked(sent.patient)
    assert asked["status"] == "ready"
    due = datetime.fromisoformat(asked["restriction"]["period"]["end"])
    begun = datetime.fromisoformat(asked["authoredOn"])
    assert due - begun == timedelta(days=14)
    await phone.answers(asked, needed)
    await house.settled()
    mine = await riverside.read(sent.task)
    task = await northgate.read(t2)
    if needed:
        assert (mine["status"], task["status"]) == ("on-hold", "on-hold")
    else:
        assert (task["status"], code(task, "statusReason")) == ("cancelled", "no-longer-needed")
        assert (mine["status"], code(mine, "businessStatus")) == ("cancelled", "withdrawn")
        assert (await northgate.holds(t2))["status"] == "cancelled"


async def test_s08_given_an_urgent_one_when_a_shelter_has_a_waiting_list_then_the_next_is_asked_and_the_place_kept(
    house,
):
    riverside, northgate, hillcrest = house.riverside, house.northgate, house.hillcrest
    sent = await refers(house, "urgent")
    first = await house.until(lambda: northgate.asked(sent))
    assert await hillcrest.asked(sent) is None
    await answers_waitlist(northgate, first)
    second = await house.until(lambda: hillcrest.asked(sent))

    # The place is kept, and the sender sees both
    task = await northgate.read(first)
    assert (task["status"], code(task, "statusReason")) == ("on-hold", "place-kept")
    mine = await riverside.read(sent.task)
    assert (mine["status"], code(mine, "businessStatus")) == ("in-progress", "waitlisted")
    _, asked = await riverside.whereabouts(sent)
    assert [(house.target(one["recipient"]), one["status"]) for one in asked] == [
        (northgate.reference, "on-hold"), (hillcrest.reference, "requested"),
    ]  # fmt: skip
    place = await enrolment(house, mine)
    assert code(place, "valueCodeableConcept") == "not-enrolled-on-waitlist"
    # Hillcrest is asked for somebody, not for somebody who is on a list elsewhere
    assert await hillcrest.sees(sent.patient)
    assert not await hillcrest.sees(f"Observation/{place['id']}")

    # Hillcrest takes it on: the place is kept still; it completes: the place is given back
    await hillcrest.answers(second, "accepted")
    assert (await northgate.read(first))["status"] == "on-hold"
    await hillcrest.answers(second, "in-progress")
    await hillcrest.answers(second, "completed")
    task = await northgate.read(first)
    assert (task["status"], code(task, "statusReason")) == ("cancelled", "no-longer-needed")
    mine = await riverside.read(sent.task)
    assert (mine["status"], code(mine, "businessStatus")) == ("completed", "fulfilled")
    await house.settled()
    assert (await northgate.holds(first))["status"] == "cancelled"
    assert await house.value("select count(*) from errand where closed_at is null") == 0
    assert await house.value("select state from episode") == "closed"


async def test_s08_given_an_urgent_one_when_the_next_declines_then_the_kept_place_is_what_is_left(
    house,
):
    riverside, northgate, hillcrest = house.riverside, house.northgate, house.hillcrest
    sent = await refers(house, "urgent")
    first = await house.until(lambda: northgate.asked(sent))
    await answers_waitlist(northgate, first)
    second = await house.until(lambda: hillcrest.asked(sent))
    await hillcrest.answers(second, "rejected")
    await house.settled()
    mine = await riverside.read(sent.task)
    assert (mine["status"], code(mine, "businessStatus")) == ("in-progress", "waitlisted")
    assert await house.value("select state from episode") == "open"
    # Its turn comes
    task = await northgate.read(first)
    task = {
        name: value
        for name, value in task.items()
        if name not in ("statusReason", "businessStatus")
    }
    done = await northgate.ask("PUT", f"/{first}", {**task, "status": "in-progress"})
    assert done.status_code == 200, done.text
    mine = await riverside.read(sent.task)
    assert (mine["status"], code(mine, "businessStatus")) == ("in-progress", "in-service")
