"""S27: one family needs food, a ride and a roof: one referral, three needs, each with an end of its own."""

from __future__ import annotations

import uuid

from coordhub.referral.same_kind import SDOHCC

REQUISITION = {"system": "urn:test:requisition", "value": "family-1"}
FOOD, RIDE, ROOF = "food-insecurity", "transportation-insecurity", "homelessness"


def order(first, kind: str, *recipients: str):
    """One more order of the same requisition."""
    return {
        **{name: value for name, value in first.items() if name != "identifier"},
        "category": [{"coding": [{"system": SDOHCC, "code": kind}]}],
        "code": {"text": kind},
        "performer": [{"reference": one} for one in recipients],
    }


async def refers(house, needs):
    """One Task: its focus is the first order, its inputs are the others."""
    riverside = house.riverside
    everyone = [one for recipients in needs.values() for one in recipients]
    bundle = house.referral(riverside, *everyone, kind=FOOD)
    entries = {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}
    first = entries["ServiceRequest"]["resource"]
    first["requisition"] = REQUISITION
    [of_focus, *others] = needs.items()
    entries["ServiceRequest"]["resource"] = order(first, *of_focus[:1], *of_focus[1])
    inputs = []
    for kind, recipients in others:
        address = uuid.uuid4().urn
        inputs.append({"type": {"text": kind}, "valueReference": {"reference": address}})
        bundle["entry"].append(
            {
                "fullUrl": address,
                "resource": order(first, kind, *recipients),
                "request": {"method": "POST", "url": "ServiceRequest"},
            }
        )
    entries["Task"]["resource"]["input"] = inputs
    answered = await riverside.posts(bundle)
    assert answered.status_code == 200, answered.text
    return riverside.made(answered)


async def state(house, sent):
    mine = await house.riverside.read(sent.task)
    return mine["status"], mine["businessStatus"]["coding"][0]["code"]


async def needs(house) -> dict[str, str]:
    return {
        row["kind"]: row["state"]
        for row in await house.rows("select kind, state from need order by ordinal")
    }


async def test_s27_given_three_needs_when_each_comes_to_its_own_end_then_the_referral_ends_with_the_last(
    house,
):
    pantry, shelter = house.mounds, house.northgate
    rides = [await house.joins(f"ride-{number}") for number in range(3)]
    sent = await refers(
        house,
        {
            FOOD: [pantry.reference],
            RIDE: [one.reference for one in rides],
            ROOF: [shelter.reference],
        },
    )
    at_pantry = await house.until(lambda: pantry.asked(sent))
    at_rides = await house.all_asked(rides, sent)
    at_shelter = await house.until(lambda: shelter.asked(sent))

    # One requisition, three orders of the hub, one for each need
    tasks = await house.rows(
        "select c.need, t.body::jsonb -> 'focus' ->> 'reference' as focus,"
        " s.body::jsonb -> 'requisition' ->> 'value' as requisition,"
        " t.body::jsonb -> 'groupIdentifier' ->> 'value' as shared"
        " from candidate c join resource t on t.rid = c.task join resource s on s.rid = c.request"
    )
    assert {row["need"] for row in tasks} == {0, 1, 2}
    assert len({row["focus"] for row in tasks}) == 3
    assert {row["requisition"] for row in tasks} == {sent.task.removeprefix("Task/")}
    assert {row["shared"] for row in tasks} == {sent.task.removeprefix("Task/")}
    assert await needs(house) == {FOOD: "open", RIDE: "open", ROOF: "open"}
    # Who is asked for one need does not see the orders of the others
    for one, task in ((pantry, at_pantry), (shelter, at_shelter)):
        mine = await one.read(task)
        seen = await one.find("ServiceRequest")
        assert (
            len({row["focus"] for row in tasks} & {f"ServiceRequest/{each['id']}" for each in seen})
            == 1
        )
        assert house.target(mine["focus"]) in {f"ServiceRequest/{each['id']}" for each in seen}
    assert "for" not in await rides[0].read(at_rides[0]), "one of three who compete"
    assert "for" in await pantry.read(at_pantry), "nobody competes with it for its need"

    # When one need is met and another taken, the third goes on
    await rides[1].answers(at_rides[1], "accepted")
    assert [(await ride.read(task))["status"] for ride, task in zip(rides, at_rides, strict=True)] == [
        "cancelled", "accepted", "cancelled",
    ]  # fmt: skip
    assert (await pantry.read(at_pantry))["status"] == "requested"
    await pantry.answers(at_pantry, "accepted")
    await pantry.answers(at_pantry, "completed")
    assert await needs(house) == {FOOD: "met", RIDE: "won", ROOF: "open"}
    assert (await state(house, sent))[0] == "in-progress"

    # When the roof is refused by the only one, in words, somebody of who sent it is asked whom else to ask
    words = {"text": "the roof leaks on our side"}
    at_hand = await shelter.read(at_shelter)
    refused = await shelter.ask(
        "PUT", f"/{at_shelter}", {**at_hand, "status": "rejected", "statusReason": words}
    )
    assert refused.status_code == 200, refused.text
    riverside = house.riverside
    [errand] = await house.until(lambda: riverside.find("Task?code=find-provider&status=requested"))
    assert await needs(house) == {FOOD: "met", RIDE: "won", ROOF: "queued"}
    assert (await state(house, sent))[0] == "in-progress"
    roof = await riverside.read(house.target(errand["focus"]))
    assert roof["code"]["text"] == ROOF
    assert errand["groupIdentifier"] == (await pantry.read(at_pantry))["groupIdentifier"]
    assert [house.target(one) for one in errand["basedOn"]] == [sent.task]

    # When there is nobody and the ride is done, all have ended: the referral is done in part, and says why
    done = await riverside.ask("PUT", f"/Task/{errand['id']}", {**errand, "status": "rejected"})
    assert done.status_code == 200, done.text
    assert await needs(house) == {FOOD: "met", RIDE: "won", ROOF: "unmet"}
    told = await riverside.told(sent.task)
    assert [one["state"] for one in told.needs] == ["met", "won", "unmet"]
    await rides[1].answers(at_rides[1], "completed")
    assert await needs(house) == {FOOD: "met", RIDE: "met", ROOF: "unmet"}
    assert await state(house, sent) == ("completed", "partially-fulfilled")
    mine = await riverside.read(sent.task)
    assert mine["statusReason"]["coding"][0]["code"] == "other"
    assert words["text"] not in str(mine), "what it says to the hub stays on its own Task"
    assert (await shelter.read(at_shelter))["statusReason"]["text"] == words["text"]
    assert await house.value("select state from episode") == "closed"
    await house.settled()
    assert (await house.riverside.holds(sent.task))["status"] == "completed"


async def test_s27_given_one_that_is_asked_for_two_needs_when_it_answers_both_at_once_then_each_moves(
    house,
):
    shelter = house.northgate
    sent = await refers(house, {FOOD: [shelter.reference], ROOF: [shelter.reference]})

    async def both():
        found = await shelter.find(f"Task?part-of={sent.task}")
        return found if len(found) == 2 else None

    tasks = await house.until(both)
    entries = [
        {
            "resource": {**task, "status": status},
            "request": {"method": "PUT", "url": f"Task/{task['id']}"},
        }
        for task, status in zip(tasks, ("accepted", "rejected"), strict=True)
    ]
    done = await shelter.posts({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert done.status_code == 200, done.text
    assert sorted((await needs(house)).values()) in (["open", "won"], ["queued", "won"])
    assert await state(house, sent) == ("in-progress", "matched")
    await house.riverside.read(sent.task)


async def test_s27_given_an_order_of_another_requisition_when_it_is_named_then_it_is_no_need(house):
    riverside, shelter = house.riverside, house.northgate
    bundle = house.referral(riverside, shelter.reference, kind=ROOF)
    entries = {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}
    first = entries["ServiceRequest"]["resource"]
    other = {**order(first, FOOD, shelter.reference), "requisition": REQUISITION}
    address = uuid.uuid4().urn
    bundle["entry"].append(
        {
            "fullUrl": address,
            "resource": other,
            "request": {"method": "POST", "url": "ServiceRequest"},
        }
    )
    entries["Task"]["resource"]["input"] = [
        {"type": {"text": "see also"}, "valueReference": {"reference": address}}
    ]
    sent = riverside.made(await riverside.posts(bundle))
    await house.until(lambda: shelter.asked(sent))
    assert await needs(house) == {ROOF: "open"}


async def test_s27_given_a_need_with_nobody_to_ask_when_sent_then_it_is_said_which(house):
    riverside, shelter = house.riverside, house.northgate
    bundle = house.referral(riverside, shelter.reference, kind=ROOF)
    entries = {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}
    first = entries["ServiceRequest"]["resource"]
    first["requisition"] = REQUISITION
    other = {**first, "code": {"text": "something else"}}
    for name in ("performer", "category", "identifier"):
        other.pop(name)
    address = uuid.uuid4().urn
    bundle["entry"].append(
        {
            "fullUrl": address,
            "resource": other,
            "request": {"method": "POST", "url": "ServiceRequest"},
        }
    )
    entries["Task"]["resource"]["input"] = [
        {"type": {"text": "more"}, "valueReference": {"reference": address}}
    ]
    refused = await riverside.posts(bundle)
    assert refused.status_code == 422, refused.text
    [issue] = refused.json()["issue"]
    assert issue["expression"][0].endswith("input[0].valueReference")
