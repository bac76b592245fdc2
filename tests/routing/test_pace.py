"""The rate agreed with a partner, obeyed by all workers together."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from open_post import LEASE, Post

from coordhub.admin.acts import NothingDone, Operator, agree_on_pace
from coordhub.routing import deliver
from coordhub.store import deliveries
from coordhub.store.deliveries import Claimed

BY = Operator("operator")


async def agreed(post: Post, per_second: float | None, at_once: int | None = None) -> None:
    house = post.house
    now = house.hub.clock()
    await agree_on_pace(house.engine, BY, house.kitchen.reference, per_second, at_once, now)


async def claimed(post: Post, now: datetime) -> list[Claimed]:
    async with post.house.engine.pool.acquire() as conn:
        return await deliveries.claim(conn, now, 99, LEASE)


async def sent(post: Post, now: datetime) -> tuple[int, int]:
    """What two workers claim at the same time, and send: to the kitchen, to others."""
    claims = await asyncio.gather(claimed(post, now), claimed(post, now))
    held = [one for claim in claims for one in claim]
    await asyncio.gather(*(deliver.deliver(post.sending, one) for one in held))
    kitchen = sum(one.organization == post.house.kitchen.rid for one in held)
    return kitchen, len(held) - kitchen


async def test_given_an_agreed_rate_when_more_is_due_then_all_workers_together_obey_it(
    post: Post,
) -> None:
    house = post.house
    for _ in range(8):
        await house.asking(house.kitchen.service)
    await agreed(post, 2)
    begin = house.hub.clock() + timedelta(hours=1)  # a clock that stands still meanwhile
    tempo = [
        await sent(post, begin + timedelta(seconds=seconds))
        for seconds in (0.0, 0.0, 0.5, 0.5, 1.0, 61.0)
    ]
    # two at once, then one each half second; a pause does not add up to more than a second's
    assert [kitchen for kitchen, _ in tempo] == [2, 0, 1, 0, 1, 2]
    assert sum(others for _, others in tempo) == 8, "who has no rate waits for nobody"
    await agreed(post, None)
    assert await sent(post, begin + timedelta(seconds=61)) == (2, 0)


async def test_given_an_agreed_number_at_once_when_so_many_are_under_way_then_the_rest_waits(
    post: Post,
) -> None:
    house = post.house
    for _ in range(4):
        await house.asking(house.kitchen.service)
    await agreed(post, 100, 2)
    now = house.hub.clock() + timedelta(hours=1)
    first = [one for one in await claimed(post, now) if one.organization == house.kitchen.rid]
    assert len(first) == 2
    assert await sent(post, now) == (0, 0)
    await deliver.deliver(post.sending, first[0])
    assert await sent(post, now) == (1, 0)


async def test_given_a_rate_that_makes_no_sense_when_agreed_then_it_is_refused(post: Post) -> None:
    for per_second, at_once in ((-1.0, None), (1.0, 0)):
        with pytest.raises(NothingDone):
            await agreed(post, per_second, at_once)


async def test_given_several_workers_when_they_claim_at_once_then_never_more_is_under_way_than_agreed(
    post: Post,
) -> None:
    house = post.house
    for _ in range(4):
        await house.asking(house.kitchen.service)
    taken = []
    for hour in range(80):
        await agreed(post, 1000, 2)
        now = house.hub.clock() + timedelta(hours=1 + hour)
        claims = await asyncio.gather(*(claimed(post, now) for _ in range(4)))
        taken.append(
            sum(one.organization == house.kitchen.rid for claim in claims for one in claim)
        )
    assert max(taken) == 2
