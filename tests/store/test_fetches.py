"""What is to be read is read by one worker at a time, and again when that one dies."""

from __future__ import annotations

from datetime import timedelta

from open_hub import House

from coordhub.store import counterparts, fetches
from coordhub.store.counterparts import Told

LEASE = timedelta(seconds=60)


async def test_given_two_workers_when_they_claim_then_each_reading_is_held_by_one(
    house: House,
) -> None:
    now = house.hub.clock()
    async with (
        house.engine.pool.acquire() as one,
        house.engine.pool.acquire() as other,
    ):
        await fetches.want(one, "original", [256, 512], 1, 2, "client", now)
        async with one.transaction():
            [first] = await fetches.claim(one, now, 1, LEASE)
            [second] = await fetches.claim(other, now, 5, LEASE)
        assert {first.subject, second.subject} == {256, 512}
        assert await fetches.claim(one, now, 5, LEASE) == []


async def test_given_a_worker_that_dies_when_its_lease_is_over_then_another_goes_on_and_it_is_overtaken(
    house: House,
) -> None:
    now = house.hub.clock()
    async with house.engine.pool.acquire() as conn:
        await fetches.want(conn, "focus", [256], 1, 2, "client", now)
        [dead] = await fetches.claim(conn, now, 1, LEASE)
        later = now + LEASE
        [alive] = await fetches.claim(conn, later, 1, LEASE)
        assert (alive.attempt, alive.since) == (dead.attempt + 1, dead.since)
        assert not await fetches.settle(conn, dead, "done")
        assert await fetches.settle(conn, alive, "queued", next_at=later + LEASE, reason="away")
        assert await fetches.claim(conn, later, 1, LEASE) == []


async def test_given_a_reading_under_way_when_it_is_wanted_again_then_it_is_read_once_more(
    house: House,
) -> None:
    now = house.hub.clock()
    async with house.engine.pool.acquire() as conn:
        await fetches.want(conn, "original", [256], 1, 2, "client", now)
        [held] = await fetches.claim(conn, now, 1, LEASE)
        await fetches.want(conn, "original", [256], 1, 2, None, now)
        assert not await fetches.settle(conn, held, "done"), "what it read may be older"
        [again] = await fetches.claim(conn, now, 1, LEASE)
        assert (again.attempt, again.client) == (1, "client")
        # and what waits for its time is not put off
        await fetches.settle(conn, again, "queued", next_at=now, anew=True)
        await fetches.want(conn, "original", [256], 1, 2, None, now + timedelta(days=1))
        assert len(await fetches.claim(conn, now, 1, LEASE)) == 1


async def test_given_ids_of_a_server_when_told_anew_then_each_means_one_thing_there(
    house: House,
) -> None:
    now = house.hub.clock()
    clinic, kitchen = house.clinic.rid, house.kitchen.rid
    async with house.engine.pool.acquire() as conn:
        await counterparts.learn(
            conn, clinic, 2, [Told(256, "Patient/a"), Told(512, "Patient/b")], now
        )
        await counterparts.learn(conn, kitchen, 2, [Told(768, "Patient/a")], now)
        # It has another under that id now, and the first under a new one
        await counterparts.learn(
            conn, clinic, 2, [Told(512, "Patient/a"), Told(256, "Patient/c")], now
        )
        assert await counterparts.names_at(conn, clinic, 2, [256, 512, 768]) == {
            256: "Patient/c",
            512: "Patient/a",
        }
        assert await counterparts.names_at(conn, kitchen, 2, [768]) == {768: "Patient/a"}
        # An original stays one, and keeps its tag where none is told
        await counterparts.learn(conn, clinic, 2, [Told(256, "Patient/c", True, 'W/"1"')], now)
        await counterparts.learn(conn, clinic, 2, [Told(256, "Patient/c")], now)
        row = await conn.fetchrow("select original, seen from counterpart where rid = 256")
        assert row is not None
        assert tuple(row) == (True, 'W/"1"')
