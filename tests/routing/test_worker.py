"""The worker that has nothing to do asks for little, and writes nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import ip_network
from random import Random

from open_hub import House, connect_all, counted

from coordhub.outbound.client import Outbound
from coordhub.routing.deliver import Sending
from coordhub.routing.herald import Herald
from coordhub.routing.retry import RetryPolicy
from coordhub.routing.worker import Pace, Worker

LOOKS = 5


async def test_given_nothing_to_do_when_the_worker_looks_then_once_for_each_kind_of_work(
    house: House,
) -> None:
    await house.asking(house.kitchen.service)
    await connect_all(house)
    poll, stop = timedelta(milliseconds=10), asyncio.Event()
    sending = Sending(house.hub, {}, RetryPolicy(), Random(1).random)
    async with (
        Outbound(allowed_networks=[ip_network("127.0.0.0/8")]) as outbound,
        asyncio.timeout(60),
        counted(house.engine.pool) as statements,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(Worker(sending, Pace(poll)).run(stop))
        group.create_task(Herald(house.hub, outbound, poll).run(stop))
        # What was just written, it catches up with first.
        while len(last := statements.queries[-7 * LOOKS :]) < 7 * LOOKS or len({*last}) > 7:
            await asyncio.sleep(0.02)
        stop.set()
    assert len({*last}) == 7, "to relay, to deliver, to fire, to read, to link; to follow, to tell"
    assert not any(one.startswith(("BEGIN", "COMMIT")) for one in last)
