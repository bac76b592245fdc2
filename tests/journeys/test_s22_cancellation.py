"""S22: the sender withdraws, before and after work has begun."""

from __future__ import annotations

import pytest

from coordhub.admin.acts import Operator, agree_on_profile

BSER = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"


def says(task):
    """Status and the codes of businessStatus."""
    codings = task.get("businessStatus", {}).get("coding", [])
    return task["status"], [one["code"] for one in codings]


async def given_begun(house, begun="in-progress"):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    await lakeside.answers(t2, begun)
    return sent, t2


async def errand_of(organization):
    [errand] = await organization.find("Task?code=abort")
    return errand


@pytest.mark.parametrize("answered", [[], ["received"], ["accepted"]])
async def test_s22_given_a_referral_that_nobody_began_when_its_sender_cancels_then_all_are_told(
    house, answered
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    for status in answered:
        await lakeside.answers(t2, status)

    done = await riverside.tries(sent.task, "cancelled")
    assert done.status_code == 200, done.text
    task = await lakeside.read(t2)
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "requester-cancelled"
    await house.settled()
    assert (await lakeside.holds(t2))["status"] == "cancelled"
    assert await house.value("select state from episode") == "closed"
    assert await house.value("select count(*) from timer where fired_at is null") == 0
    assert await lakeside.find("Task?code=abort") == []
    # It stays so
    late = await lakeside.tries(t2, "accepted")
    assert late.status_code == 409
    assert (await riverside.read(sent.task))["status"] == "cancelled"


@pytest.mark.parametrize("begun", ["in-progress", "on-hold"])
async def test_s22_given_work_that_has_begun_when_its_sender_cancels_then_its_recipient_is_asked_to_stop(
    house, begun
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await given_begun(house, begun)

    done = await riverside.tries(sent.task, "cancelled")
    # It is taken as what it can be: a request
    assert done.status_code == 200, done.text
    assert says(done.json()) == (begun, ["cancellation-requested"])
    assert "asked to stop" in done.headers["warning"]
    mine = await riverside.read(sent.task)
    assert says(mine) == (begun, ["cancellation-requested"])
    assert mine["statusReason"]["text"] == "cancelled by the requester"
    asked = await lakeside.read(t2)
    assert says(asked) == (begun, ["cancellation-requested"])
    errand = await errand_of(lakeside)
    assert (errand["status"], house.target(errand["focus"])) == ("requested", t2)
    assert "for" not in errand
    await house.settled()
    assert (await lakeside.holds(f"Task/{errand['id']}"))["status"] == "requested"
    assert says(await lakeside.holds(t2)) == (begun, ["cancellation-requested"])

    # Said again, it is not asked again, and nothing is written
    before = await house.stored()
    again = await riverside.tries(sent.task, "cancelled")
    assert again.status_code == 200, again.text
    assert {**await house.stored(), "delivery": 0} == {**before, "delivery": 0}

    # What its owner writes meanwhile is no answer to it
    document = await lakeside.read(t2)
    document.pop("businessStatus"), document.pop("statusReason")
    document["note"] = [{"text": "we look at it"}]
    noted = await lakeside.ask("PUT", f"/{t2}", document)
    assert noted.status_code == 200, noted.text
    assert says(await riverside.read(sent.task)) == (begun, ["cancellation-requested"])

    # It confirms
    await lakeside.answers(t2, "cancelled")
    await house.settled()
    mine = await riverside.read(sent.task)
    assert says(mine) == ("cancelled", ["withdrawn"])
    assert mine["statusReason"]["coding"][0]["code"] == "requester-cancelled"
    assert await house.value("select state from episode") == "closed"
    assert (await errand_of(lakeside))["status"] == "completed"
    assert (await riverside.holds(sent.task))["status"] == "cancelled"


async def test_s22_given_it_was_asked_to_stop_when_it_delivers_the_outcome_then_completed(house):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await given_begun(house)
    assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
    result = await lakeside.reports(sent.patient, house.target((await lakeside.read(t2))["focus"]))
    await lakeside.answers(t2, "completed", output=result)
    await house.settled()
    mine = await riverside.read(sent.task)
    assert says(mine) == ("completed", ["fulfilled"])
    assert await riverside.sees(result)
    assert (await errand_of(lakeside))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("answer", "expected", "reason"),
    [
        ("completed", ("cancelled", ["withdrawn"]), "requester-cancelled"),
        ("rejected", ("in-progress", ["in-service"]), "cannot-stop"),
        ("accepted", ("in-progress", ["cancellation-requested"]), "requester-cancelled"),
    ],
)
async def test_s22_given_the_request_to_stop_when_its_owner_answers_it_then_that_is_what_becomes_of_it(
    house, answer, expected, reason
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, _ = await given_begun(house)
    assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
    errand = f"Task/{(await errand_of(lakeside))['id']}"
    assert not await riverside.sees(errand), "it is between the hub and whom it asks"
    await lakeside.answers(errand, answer)
    await house.settled()
    mine = await riverside.read(sent.task)
    assert says(mine) == expected
    assert mine["statusReason"]["coding"][0]["code"] == reason
    assert says(await riverside.holds(sent.task)) == expected

    if answer == "rejected":  # what it goes on with it can still be asked to stop
        assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
        mine = await riverside.read(sent.task)
        assert says(mine) == ("in-progress", ["cancellation-requested"])
        assert len(await lakeside.find("Task?code=abort&status=requested")) == 1


@pytest.mark.parametrize("outcome", ["6.0", "7.0"])
async def test_s22_given_partners_of_bser_when_cancelled_after_start_then_5_2_and_its_two_ends(
    house, outcome
):
    riverside, lakeside = house.riverside, house.lakeside
    for one in (riverside, lakeside):
        await agree_on_profile(
            house.hub.engine, Operator("rosa"), one.reference, "bser", house.hub.clock()
        )
    sent, t2 = await house.given_asked(riverside, lakeside)
    await house.settled()
    copy = await lakeside.holds(t2)
    assert (copy["status"], copy["businessStatus"]["coding"][0]["code"]) == ("received", "2.0")

    async def answers(status, code):
        copy = await lakeside.holds(t2)
        said = {"coding": [{"system": BSER, "code": code}]}
        changed = {**copy, "status": status, "businessStatus": said}
        changed.pop("statusReason", None)
        answered = await lakeside.ask("PUT", f"/{t2}", changed)
        await house.settled()
        return answered

    assert (await answers("accepted", "3.0")).status_code == 200
    copy = await riverside.holds(sent.task)
    assert (copy["status"], copy["businessStatus"]["coding"][0]["code"]) == ("accepted", "3.0")
    # it has not begun, and still BSeR has it asked
    assert (await riverside.ask("PUT", f"/{sent.task}", {**copy, "status": "cancelled"})).json()[
        "status"
    ] == "in-progress"
    await house.settled()
    copy = await lakeside.holds(t2)
    assert (copy["status"], copy["businessStatus"]["coding"][0]["code"]) == ("in-progress", "5.2")

    declined = await answers("rejected", "4.0")
    assert declined.status_code == 409, declined.text
    said = declined.json()["issue"][0]["diagnostics"]
    assert "Legal for you now, in profile bser: cancelled (6.0), completed (7.0)." in said
    ended = await answers("cancelled" if outcome == "6.0" else "completed", outcome)
    assert ended.status_code == 200, ended.text
    mine = await riverside.holds(sent.task)
    expected = "cancelled" if outcome == "6.0" else "completed"
    assert (mine["status"], mine["businessStatus"]["coding"][0]["code"]) == (expected, outcome)


async def test_s22_given_two_asked_when_cancelled_then_both_end(
    house,
):
    riverside, shelter, pantry = house.riverside, house.northgate, house.eastside
    sent = await riverside.refers(house.referral(riverside, shelter.reference, pantry.reference))
    at_shelter, at_pantry = await house.all_asked([shelter, pantry], sent)
    await shelter.answers(at_shelter, "received")
    assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
    for one, task in ((shelter, at_shelter), (pantry, at_pantry)):
        assert (await one.read(task))["status"] == "cancelled"
    assert says(await riverside.read(sent.task))[0] == "cancelled"


async def test_s22_given_an_undelivered_referral_when_cancelled_then_its_recipient_ends_with_that(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    await lakeside.behaves({"mode": "down"})
    sent, t2 = await house.given_asked(riverside, lakeside)
    assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
    await lakeside.behaves()
    await house.settled()
    assert (await lakeside.holds(t2))["status"] == "cancelled"
