"""Changes become deliveries once, whoever relays them, and for those concerned only."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from uuid import uuid4

from open_hub import House, counted, opened

from coordhub.routing import relay
from coordhub.routing.deliver import Sending, deliver
from coordhub.routing.retry import RetryPolicy
from coordhub.store import deliveries


async def test_given_a_referral_when_relayed_by_two_at_once_then_it_is_asked_and_planned_once(
    house: House,
) -> None:
    async with opened(house.url, size=4) as other:
        for _ in range(8):
            await house.refer(house.kitchen.service, house.pantry.service)
            await asyncio.gather(
                *(relay.relay(one.hub, uuid4) for one in (house, other, house, other))
            )
        await house.relay()
        counts = await house.rows(
            "select e.id, (select count(*) from candidate c where c.episode = e.id),"
            " (select count(*) from delivery d where d.episode = e.id) from episode e"
        )
        assert [row[1:] for row in counts] == [(2, 3)] * 8, "two are asked, the sender is told"
        twice = "select count(*) from (select 1 from delivery group by change, organization"
        assert await house.value(f"{twice} having count(*) > 1) t") == 0
        assert await relay.relay(house.hub, uuid4) is False
        left = "select count(*) from change where relayed_at is null and episode is not null"
        assert await house.value(left) == 0


async def test_given_an_answer_when_relayed_then_the_sender_is_told_and_not_who_answered(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    before = await house.value("select max(seq) from delivery")
    await sent.answer(house.kitchen, "accepted")
    await house.relay()
    told = await house.rows(
        "select organization, rid = episode from delivery where seq > $1", before
    )
    assert told == [(house.clinic.rid, True)]


async def test_given_a_withdrawal_when_relayed_then_who_was_asked_is_told_and_not_the_sender(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    before = await house.value("select max(seq) from delivery")
    await sent.withdraw()
    await house.relay()
    told = await house.rows("select organization from delivery where seq > $1", before)
    assert told == [(house.kitchen.rid,)]


async def test_given_an_answer_when_it_is_relayed_then_few_statements_do(house: House) -> None:
    sent = await house.asking(*(one.service for one in (house.kitchen, house.pantry, house.van)))
    asked = []
    for who, status in ((house.kitchen, "received"), (house.kitchen, "accepted")):
        await sent.answer(who, status)
        async with counted(house.engine.pool) as statements:
            assert await relay.relay(house.hub, uuid4) is True
        asked.append(statements.queries)
    received, accepted = asked
    # Who is told, and through which Endpoint, is asked by one statement each, and what comes of it is written
    # by one; what waited of an earlier state is passed over by the same.
    assert len(received) <= 10, received
    assert len(accepted) <= 12, accepted
    assert sum("from unnest" in one and "join result" in one for one in accepted) == 1


async def test_given_a_referral_when_followed_then_each_step_takes_few_statements(
    house: House,
) -> None:
    await house.refer(house.kitchen.service)
    async with counted(house.engine.pool) as asking:
        assert await relay.relay(house.hub, uuid4) is True
    async with house.engine.pool.acquire() as conn:
        held = await deliveries.claim(conn, house.clock(), 10, timedelta(minutes=1))
    asked = next(one for one in held if one.organization == house.kitchen.rid)
    async with counted(house.engine.pool) as delivering:
        await deliver(Sending(house.hub, {}, RetryPolicy(), Random(1).random), asked)
    assert len(asking) <= 31, asking.queries
    # what changed, what it names and what that names, what results it is owed, how it is with its server; to settle
    assert len(delivering) <= 6, delivering.queries
