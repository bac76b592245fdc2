"""Who is next: positions in the order of service, no wall time."""

from __future__ import annotations

import asyncio

import pytest

from coordhub.access.turns import Turns


async def served(turns: Turns, asked: list[str]) -> list[str]:
    """In which order so many requests get a place, where each is given back as soon as it was had."""
    order: list[str] = []

    async def one(client: str) -> None:
        await turns.take(client)
        order.append(client)
        for _ in range(3):  # it lasts a while: others come meanwhile
            await asyncio.sleep(0)
        turns.give(client)

    async with asyncio.TaskGroup() as group:
        for client in asked:
            group.create_task(one(client))
    return order


async def test_given_a_client_at_ten_times_its_part_when_others_come_then_they_are_served_before_its_queue() -> (
    None
):
    order = await served(Turns(4), ["noisy"] * 40 + ["a", "b", "c", "d"])
    assert {"a", "b", "c", "d"} <= set(order[:8])
    assert order[2:4] == ["a", "b"], "half of the places are left for who comes next"
    assert len(order) == 44


async def test_given_one_client_alone_when_it_asks_much_then_it_has_half_of_the_places() -> None:
    turns = Turns(5, patience=0.01)
    for _ in range(3):
        await turns.take("noisy")
    with pytest.raises(TimeoutError):
        await turns.take("noisy")
    await turns.take("other")
    turns.give("noisy")
    await turns.take("noisy")


async def test_given_two_that_wait_when_a_place_is_free_then_who_holds_fewest_has_it() -> None:
    turns = Turns(3)
    for client in ("a", "a", "b"):
        await turns.take(client)
    waiting = {name: asyncio.ensure_future(turns.take(name)) for name in ("a", "c")}
    await asyncio.sleep(0)
    turns.give("b")
    await asyncio.sleep(0)
    assert (waiting["c"].done(), waiting["a"].done()) == (True, False)
    turns.give("a")
    await asyncio.sleep(0)
    assert waiting["a"].done()


async def test_given_who_waits_no_longer_when_its_turn_comes_then_the_place_is_another_s() -> None:
    turns = Turns(1)
    await turns.take("a")
    gone = asyncio.ensure_future(turns.take("b"))
    stays = asyncio.ensure_future(turns.take("c"))
    await asyncio.sleep(0)
    turns.give("a")
    gone.cancel()  # it has the place already, and cannot use it
    await asyncio.wait([gone, stays])
    assert gone.cancelled()
    assert stays.exception() is None
    turns.give("c")
    assert (turns._held, turns._waiting, turns._free) == ({}, {}, 1)
