"""S09: five are asked, two accept in the same moment, one has it."""

from __future__ import annotations

import asyncio
import os

RIDES = "transportation-insecurity"
RUNS = int(os.environ.get("COORDHUB_JOURNEY_RACES", "20"))


async def test_s09_given_five_ride_services_when_two_accept_at_once_then_one_wins_and_all_are_told(
    house,
):
    async with house.another_server() as second, house.another_server() as third:
        await race(house, [house.http, second, third])


async def race(house, servers):
    """The two who are fast speak to two of the hub's servers, each with connections of its own."""
    riverside = house.riverside
    services = [await house.joins(f"ride-{number}") for number in range(5)]
    told = 0
    for run in range(RUNS):
        sent = await riverside.refers(
            house.referral(riverside, *(service.reference for service in services), kind=RIDES)
        )
        tasks = await house.all_asked(services, sent)
        racers = (run % 5, (run + 1 + run % 4) % 5)
        versions = [await services[racer].read(tasks[racer]) for racer in racers]

        # When two send what they have read, accepted, at the same time
        answers = await asyncio.gather(
            *(
                services[racer]
                .through(servers[(run + at) % len(servers)])
                .ask("PUT", f"/{tasks[racer]}", {**read, "status": "accepted"})
                for at, (racer, read) in enumerate(zip(racers, versions, strict=True))
            )
        )

        # Then one has it, and the other is told so
        assert sorted(answer.status_code for answer in answers) == [200, 409], run
        lost = next(answer for answer in answers if answer.status_code == 409)
        issue = lost.json()["issue"][0]
        assert issue["code"] == "business-rule"
        winner = racers[[answer.status_code for answer in answers].index(200)]

        # And the four others are cancelled as not selected
        for number, service in enumerate(services):
            task = await service.read(tasks[number])
            if number == winner:
                assert task["status"] == "accepted"
            else:
                assert task["status"] == "cancelled"
                assert task["statusReason"]["coding"][0]["code"] == "not-selected"
                told += 1
        mine = await riverside.read(sent.task)
        assert (mine["status"], mine["businessStatus"]["coding"][0]["code"]) == (
            "in-progress", "matched",
        )  # fmt: skip

        # And one who comes late learns no more than that it is over
        late = await services[racers[0] if winner != racers[0] else racers[1]].tries(
            tasks[racers[0] if winner != racers[0] else racers[1]], "accepted"
        )
        assert late.status_code == 409
        assert services[winner].id not in late.text
        assert services[winner].key not in late.text
    assert told == 4 * RUNS
    print(f"\n{RUNS} races, {told} told that another was selected")


async def test_s09_given_two_who_name_the_version_they_read_when_they_accept_at_once_then_one_wins(
    house,
):
    """With If-Match the slower one's version is no longer the current one: 412 instead of 409."""
    riverside = house.riverside
    services = [await house.joins(f"ride-{number}") for number in range(2)]
    for _ in range(max(3, RUNS // 10)):
        sent = await riverside.refers(
            house.referral(riverside, *(service.reference for service in services), kind=RIDES)
        )
        tasks = await house.all_asked(services, sent)
        answers = await asyncio.gather(
            *(
                service.tries(task, "accepted", match='W/"1"')
                for service, task in zip(services, tasks, strict=True)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_s09_given_two_that_are_asked_when_one_looks_then_it_sees_nothing_of_the_other(house):
    riverside = house.riverside
    services = [await house.joins(f"ride-{number}") for number in range(2)]
    sent = await riverside.refers(
        house.referral(riverside, *(service.reference for service in services), kind=RIDES)
    )
    first, second = await house.all_asked(services, sent)
    await house.rows("update candidate set seen_at = null")  # waiting for the Tasks was a look
    task = await services[0].read(first)
    order = await services[0].read(house.target(task["focus"]))
    assert not await services[0].sees(second)
    for document in (task, order):
        assert services[1].id not in str(document)
    # They share one order; who looked at it is noted of who looked
    rows = await house.rows("select ordinal, seen_at from candidate order by ordinal")
    assert [row["seen_at"] is not None for row in rows] == [True, False]


async def test_s09_given_five_that_are_asked_when_they_look_then_only_who_wins_sees_for_whom(house):
    riverside = house.riverside
    services = [await house.joins(f"ride-{number}") for number in range(5)]
    referral = house.referral(riverside, *(service.reference for service in services), kind=RIDES)
    sent = await riverside.refers(referral)
    tasks = await house.all_asked(services, sent)
    [family] = [name["family"] for name in (await riverside.read(sent.patient))["name"]]

    # Before anyone has won: what is asked, and neither for whom nor by whose order
    for service, reference in zip(services, tasks, strict=True):
        task = await service.read(reference)
        order = await service.read(house.target(task["focus"]))
        assert "for" not in task
        assert "description" not in task
        assert "input" not in task
        assert {"subject", "requester", "supportingInfo"} & order.keys() <= {"subject"}
        assert "reference" not in order.get("subject", {})
        assert order["code"]
        for hidden in (sent.patient, sent.order):
            assert not await service.sees(hidden)
        assert await service.find(f"ServiceRequest?patient={sent.patient}") == []
        assert await service.find(f"ServiceRequest?patient.family={family}") == []
        assert await service.find("Patient") == []

    # When one accepts
    await services[2].answers(tasks[2], "accepted")

    # Then it alone sees the person
    task = await services[2].read(tasks[2])
    assert (await services[2].read(house.target(task["for"])))["name"][0]["family"] == family
    order = await services[2].read(house.target(task["focus"]))
    assert house.target(order["subject"]) == sent.patient
    for number in (0, 1, 3, 4):
        assert not await services[number].sees(sent.patient)
        assert not await services[number].sees(sent.order)
