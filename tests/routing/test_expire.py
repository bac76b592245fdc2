"""Whoever does not answer in time is not waited for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from open_hub import House, opened

from coordhub.routing import expire


async def test_given_no_answer_in_time_when_two_workers_look_then_the_request_expires_once(
    house: House,
) -> None:
    end = (house.hub.clock() + timedelta(hours=1)).isoformat(timespec="seconds")
    sent = await house.asking(house.kitchen.service, restriction={"period": {"end": end}})
    assert await expire.fire(house.hub) is False
    house.clock.ahead += timedelta(hours=2)
    async with opened(house.url, size=4) as other:
        other.clock.ahead = house.clock.ahead
        fired = await asyncio.gather(
            *(expire.fire(one.hub) for one in (house, other, house, other))
        )
        while await expire.fire(other.hub):
            pass
    assert fired.count(True) in (
        2,
        3,
    )  # that it has not arrived, that it is over; two meant one of them
    asked = await house.document((await sent.tasks())["kitchen"])
    assert asked["status"] == "cancelled"
    assert asked["statusReason"]["coding"][0]["code"] == "expired"
    assert await sent.status() == "rejected"
    assert await house.rows("select state from episode") == [("closed",)]
    assert await house.rows("select kind from timer") == [], "nothing is waited for any more"
    await house.relay()
    told = await house.rows(
        "select distinct organization from delivery where rid = $1 and version = 2",
        (await house.rows("select task from candidate"))[0][0],
    )
    assert told == [(house.kitchen.rid,)]


async def test_given_an_answer_in_time_when_the_timer_fires_then_nothing_changes(
    house: House,
) -> None:
    end = (house.hub.clock() + timedelta(hours=1)).isoformat(timespec="seconds")
    sent = await house.asking(house.kitchen.service, restriction={"period": {"end": end}})
    await sent.answer(house.kitchen, "accepted")
    house.clock.ahead += timedelta(hours=2)
    assert await expire.fire(house.hub) is False
    assert await sent.status((await sent.tasks())["kitchen"]) == "accepted"
