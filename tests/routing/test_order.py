"""Deliveries are held by one worker at a time, in order, and taken over from the dead."""

from __future__ import annotations

from datetime import timedelta

from open_hub import opened
from open_post import LEASE, TAKEN, Post

from coordhub.routing import deliver
from coordhub.store import deliveries, invariants


async def test_given_two_changes_of_one_referral_when_claimed_then_only_the_first_is_due(
    post: Post,
) -> None:
    house = post.house
    await house.agree(house.kitchen, each_state=True)
    sent = await house.asking(house.kitchen.service)
    await sent.withdraw()
    await house.relay()
    async with opened(house.url, size=3) as other:
        mine = [one for one in await post.claim() if one.organization == house.kitchen.rid]
        async with other.engine.pool.acquire() as conn:
            theirs = await deliveries.claim(conn, house.hub.clock(), 10, LEASE)
    assert [one.version for one in mine] == [1]
    assert [one for one in theirs if one.organization == house.kitchen.rid] == []
    await deliver.deliver(post.sending, mine[0])
    [second] = await post.claim()
    assert (second.rid, second.version) == (mine[0].rid, 2)


async def test_given_states_of_a_task_that_wait_when_a_newer_one_comes_then_that_alone_is_sent(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await sent.withdraw()
    await house.relay()
    await post.deliver()
    [task] = (await sent.tasks()).values()
    [bundle] = post.partner.bundles
    assert bundle["entry"][0]["request"]["url"] == task
    assert bundle["entry"][0]["resource"]["status"] == "cancelled"
    rows = "select version, state, reason from delivery where organization = $1 order by seq"
    assert await house.rows(rows, house.kitchen.rid) == [
        (1, "suppressed", deliveries.OVERTAKEN),
        (2, "delivered", None),
    ]
    async with house.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.hub.clock()) == []


async def test_given_a_state_that_was_tried_when_a_newer_one_comes_then_it_keeps_its_place(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = None  # it may have arrived
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    await sent.withdraw()
    await house.relay()
    post.partner.answer = ("200 OK", TAKEN)
    house.clock.ahead += timedelta(minutes=5)
    await post.deliver()
    told = [bundle["entry"][0]["resource"]["status"] for bundle in post.partner.bundles]
    assert told == ["requested", "requested", "cancelled"]


async def test_given_two_referrals_when_one_cannot_be_delivered_then_the_other_is(
    post: Post,
) -> None:
    house = post.house
    for _ in range(2):
        await house.asking(house.kitchen.service)
    mine = [one for one in await post.claim() if one.organization == house.kitchen.rid]
    assert len({one.episode for one in mine}) == 2


async def test_given_two_workers_when_claiming_at_once_then_each_delivery_is_held_by_one(
    post: Post,
) -> None:
    house = post.house
    for _ in range(6):
        await house.asking(house.kitchen.service, house.pantry.service)
    async with opened(house.url, size=4) as other:
        mine, theirs = [await each.engine.pool.acquire() for each in (house, other)]
        try:
            await theirs.execute("set lock_timeout = '2s'")
            async with mine.transaction():
                first = await deliveries.claim(mine, house.hub.clock(), 4, LEASE)
                second = await deliveries.claim(theirs, house.hub.clock(), 4, LEASE)
            third = await deliveries.claim(theirs, house.hub.clock(), 99, LEASE)
        finally:
            await house.engine.pool.release(mine)
            await other.engine.pool.release(theirs)
    assert [len(first), len(second)] == [4, 4]
    taken = [one.id for one in (*first, *second, *third)]
    assert len(set(taken)) == len(taken)


async def test_given_a_worker_that_died_when_its_lease_ran_out_then_another_delivers_the_same_id(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    [dead] = [one for one in await post.claim() if one.organization == house.kitchen.rid]
    assert await post.claim() == []
    house.clock.ahead += LEASE + timedelta(seconds=1)
    [again] = [one for one in await post.claim() if one.organization == house.kitchen.rid]
    assert (again.id, again.attempt) == (dead.id, dead.attempt + 1)
    await deliver.deliver(post.sending, dead)  # it was not dead, only slow: what it says is late
    assert await house.rows("select state from delivery where id = $1", dead.id) == [("leased",)]
    await deliver.deliver(post.sending, again)
    await deliver.deliver(post.sending, dead)
    assert post.partner.keys == [str(dead.key)] * 3
    rows = await house.rows("select number, outcome from attempt where delivery = $1", dead.id)
    assert rows == [(2, "delivered")]


async def test_given_a_partner_that_is_spoken_to_when_looked_at_then_no_transaction_is_open(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    open_then: list[int] = []

    async def look() -> None:
        open_then.append(
            await house.value(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and state like 'idle in transaction%'"
            )
        )

    post.partner.before = look
    await post.deliver()
    assert open_then == [0]
