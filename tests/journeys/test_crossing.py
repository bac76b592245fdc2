"""What crosses on the wire: an acceptance and a cancellation, an outcome and a cancellation."""

from __future__ import annotations

import asyncio
import contextlib

import pytest


@contextlib.asynccontextmanager
async def held(house, task):
    """Nobody may change the referral: who tries waits, in the order of coming."""
    async with house.hub.engine.pool.acquire() as conn, conn.transaction():
        await conn.execute(
            "select from episode e join resource r on r.rid = e.id where r.fhir_id = $1 for update of e",
            task.removeprefix("Task/"),
        )
        yield


async def waiting(house, number):
    """As many writers wait for a lock."""

    async def look():
        return number <= await house.value(
            "select count(distinct l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid"
            " where not l.granted and a.datname = current_database()"
        )

    await house.until(look)


@pytest.mark.parametrize("first", ["accept", "cancel"])
async def test_given_an_acceptance_and_a_cancellation_that_meet_when_both_arrive_then_the_hubs_order_decides(
    house, first
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await house.settled()

    steps = [lakeside.tries(t2, "accepted"), riverside.tries(sent.task, "cancelled")]
    if first == "cancel":
        steps.reverse()
    running = []
    async with held(house, sent.task):
        for number, step in enumerate(steps, 1):
            running.append(asyncio.create_task(step))
            await waiting(house, number)
    answers = await asyncio.gather(*running)
    accepted, cancelled = answers if first == "accept" else reversed(answers)

    assert cancelled.status_code == 200, cancelled.text
    if first == "accept":
        assert accepted.status_code == 200, accepted.text
    else:
        assert accepted.status_code == 409, accepted.text
        assert "cancelled is final" in accepted.json()["issue"][0]["diagnostics"]
    # In either order it ends, and both know
    await house.settled()
    task = await lakeside.read(t2)
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "requester-cancelled"
    assert (await riverside.read(sent.task))["status"] == "cancelled"
    assert (await lakeside.holds(t2))["status"] == "cancelled"
    assert await house.value("select count(*) from episode where state = 'open'") == 0


async def test_given_many_that_meet_when_sent_at_once_then_each_ends_in_one_of_the_two_orders(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    for _ in range(12):
        sent, t2 = await house.given_asked(riverside, lakeside)
        accepted, cancelled = await asyncio.gather(
            lakeside.tries(t2, "accepted"), riverside.tries(sent.task, "cancelled")
        )
        assert cancelled.status_code == 200, cancelled.text
        assert accepted.status_code in (200, 409), accepted.text
        assert (await lakeside.read(t2))["status"] == "cancelled"
        assert (await riverside.read(sent.task))["status"] == "cancelled"


async def test_given_a_referral_that_was_cancelled_when_its_outcome_arrives_then_it_counts_as_delivered(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    order = house.target((await lakeside.read(t2))["focus"])
    result = await lakeside.reports(sent.patient, order)
    assert (await riverside.tries(sent.task, "cancelled")).status_code == 200
    assert (await lakeside.read(t2))["status"] == "cancelled"

    done = await lakeside.tries(t2, "completed", output=result)
    assert done.status_code == 200, done.text
    await house.settled()
    late = ["delivered-after-cancellation"]
    for task, status in (
        (await lakeside.read(t2), "completed"),
        (await riverside.read(sent.task), "cancelled"),
        (await riverside.holds(sent.task), "cancelled"),
    ):
        assert task["status"] == status
        assert [one["code"] for one in task["businessStatus"]["coding"]] == late
    mine = await riverside.read(sent.task)
    assert house.target(mine["output"][0]["valueReference"]) == result
    assert await riverside.sees(result)
    assert await house.rows("select state from need") == [{"state": "met"}]


@pytest.mark.parametrize("before", [[], ["received"], ["accepted", "completed"]])
async def test_given_one_who_did_not_accept_or_is_done_when_it_completes_after_the_end_then_409(
    house, before
):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    for status in before:
        await lakeside.answers(t2, status)
    cancelled = await riverside.tries(sent.task, "cancelled")
    assert cancelled.status_code == (409 if before[-1:] == ["completed"] else 200)
    again = await lakeside.tries(t2, "failed" if before[-1:] == ["completed"] else "completed")
    assert again.status_code == 409, again.text
    assert "is final" in again.json()["issue"][0]["diagnostics"]
