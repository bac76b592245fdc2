"""One referral that cannot be worked on stops nothing but itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from random import Random
from uuid import uuid4

import pytest
from open_hub import House, Referral, observation

from coordhub.errors import not_found
from coordhub.record.operations import Delete
from coordhub.routing import expire, relay
from coordhub.routing.deliver import Sending
from coordhub.routing.retry import RetryPolicy
from coordhub.routing.stumble import ASIDE, Aside, Step
from coordhub.routing.worker import Pace, Worker


async def spoil(house: House, reference: str) -> str:
    """Make a stored text unreadable, as a fault of ours would; what it was."""
    fhir_id = reference.partition("/")[2]
    text: str = await house.value("select body from resource where fhir_id = $1", fhir_id)
    await house.rows("update resource set body = '{' where fhir_id = $1", fhir_id)
    return text


async def mend(house: House, reference: str, text: str) -> None:
    fhir_id = reference.partition("/")[2]
    await house.rows("update resource set body = $2 where fhir_id = $1", fhir_id, text)


async def relay_all(house: House, aside: Aside) -> None:
    while await relay.relay(house.hub, uuid4, aside):
        pass


@pytest.mark.parametrize("what", ["result", "patient"])
async def test_given_what_the_order_names_deleted_since_when_relayed_then_recipients_are_asked(
    house: House, what: str
) -> None:
    sent = await house.refer(house.kitchen.service)
    kind, _, fhir_id = str(getattr(sent, what)).partition("/")
    await house.commit(house.clinic, Delete(kind, fhir_id))
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]
    assert await sent.status() == "accepted"


async def test_given_a_referral_that_cannot_be_relayed_when_others_wait_then_they_are_asked(
    house: House,
) -> None:
    aside = Aside(house.clock)
    broken = await house.refer(house.kitchen.service)
    text = await spoil(house, broken.request)
    others = [await house.refer(house.kitchen.service) for _ in range(3)]
    await relay_all(house, aside)
    assert [list(await one.tasks()) for one in others] == [["kitchen"]] * 3
    assert await broken.tasks() == {}

    await mend(house, broken.request, text)
    await relay_all(house, aside)
    assert await broken.tasks() == {}, "it was set aside"
    house.clock.ahead += ASIDE
    await relay_all(house, aside)
    assert list(await broken.tasks()) == ["kitchen"]


async def test_given_a_timer_that_cannot_fire_when_others_are_due_then_they_fire(
    house: House,
) -> None:
    aside = Aside(house.clock)
    until = {"end": (house.clock() + timedelta(hours=1)).isoformat(timespec="seconds")}
    sent: list[Referral] = [
        await house.asking(house.kitchen.service, restriction={"period": until}) for _ in range(3)
    ]
    due = "select count(*) from timer where kind = 'accept-by'"
    assert await house.value(due) == 3
    house.clock.ahead += timedelta(hours=2)
    broken = (await sent[0].tasks())["kitchen"]
    await spoil(house, broken)
    while await expire.fire(house.hub, aside):
        pass
    assert await house.value(due) == 1
    for one in sent[1:]:
        assert await one.status((await one.tasks())["kitchen"]) == "cancelled"


async def test_given_a_timer_of_no_referral_that_cannot_fire_when_others_are_due_then_they_fire(
    house: House,
) -> None:
    aside = Aside(house.clock)
    for number in range(3):  # a result of an order that nobody knows: its writer is asked
        unknown = {"identifier": {"system": "urn:order", "value": str(number)}}
        await house.create(house.kitchen, observation(basedOn=[unknown]))
    rows = await house.rows(
        "select r.fhir_id from errand e join resource r on r.rid = e.task where e.episode is null"
        " order by e.task"
    )
    tasks = [f"Task/{row[0]}" for row in rows]
    due = "select count(*) from timer where kind = 'errand' and fired_at is null"
    assert len(tasks) == await house.value(due) == 3
    text = await spoil(house, tasks[0])
    house.clock.ahead += timedelta(days=30)
    async with asyncio.timeout(60):
        while await expire.fire(house.hub, aside):
            pass
    assert await house.value(due) == 1

    await mend(house, tasks[0], text)
    house.clock.ahead += ASIDE
    while await expire.fire(house.hub, aside):
        pass
    assert await house.value(due) == 0


async def test_given_a_fault_when_nothing_was_claimed_or_postgres_is_away_then_it_is_raised(
    house: House,
) -> None:
    aside = Aside(house.clock)

    def failing(error: Exception, *claimed: int) -> Step:
        async def step(besides: Collection[int], told: Callable[[int], None]) -> bool:
            for episode in claimed:
                told(episode)
            raise error

        return step

    with pytest.raises(ValueError, match="early"):
        await aside.attempt("relay", failing(ValueError("early")))
    with pytest.raises(ConnectionError):
        await aside.attempt("relay", failing(ConnectionError(), 7))
    assert list(aside.now()) == []
    assert await aside.attempt("relay", failing(not_found("Task/1"), 7)) is True
    assert list(aside.now()) == [7]


async def test_given_a_worker_when_one_referral_fails_then_it_runs_on_and_asks_for_others(
    house: House,
) -> None:
    broken = await house.refer(house.kitchen.service)
    await spoil(house, broken.request)
    other = await house.refer(house.kitchen.service)
    stop = asyncio.Event()
    sending = Sending(house.hub, {}, RetryPolicy(), Random(1).random)
    worker = asyncio.create_task(Worker(sending, Pace(timedelta(milliseconds=20))).run(stop))
    try:
        async with asyncio.timeout(60):
            while not await other.tasks():
                await asyncio.sleep(0.02)
        assert not worker.done()
    finally:
        stop.set()
        await worker
    assert await broken.tasks() == {}
