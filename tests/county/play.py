"""One part of a county, played in a process of its own: its database, its services, its month.

Nobody refers from one part to another, so that two parts are two hubs that know nothing of each other.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import get_context
from random import Random

import asyncpg
from tests.county import services, told
from tests.county.month import Clock, Month
from tests.county.told import Report

from coordhub.record.bootstrap import open_hub
from coordhub.record.hub import system_clock
from coordhub.routing.breaker import BreakerPolicy
from coordhub.routing.deliver import Sending
from coordhub.routing.resolve import SERVED
from coordhub.routing.retry import RetryPolicy
from coordhub.store import roles
from coordhub.store.engine import BY_KEY, Engine

DAYS = 30


@dataclass(frozen=True, slots=True)
class Part:
    """url: of its database. check_every: of the simulated time, after which the invariants are asked."""

    url: str
    seed: int
    referrals: int
    services: int
    check_every: timedelta


@dataclass(frozen=True, slots=True)
class Played:
    """checked: how often all invariants were asked. refused: what came too late, by status. cpu: seconds of
    the process."""

    report: Report
    services: int
    checked: int
    refused: Counter[int]
    cpu: float


async def play(part: Part) -> Played:
    """From its founding to its report."""
    begun = time.process_time()
    url = await roles.application(part.url)
    engine = await Engine.open(url, size=12, consent_policy="by-purpose")
    looking = await asyncpg.connect(url, server_settings={**BY_KEY, "jit": "off"})
    try:
        clock = Clock(system_clock().replace(minute=0, second=0) - timedelta(days=DAYS + 5))
        hub = replace(await open_hub(engine, "http://hub.example/fhir"), clock=clock)
        rnd = Random(part.seed)
        end = clock.now + timedelta(days=DAYS)
        county = await services.found(hub, part.services, max(3, part.services // 10), end, rnd)
        policy = RetryPolicy(
            timedelta(minutes=10), timedelta(hours=12), timedelta(hours=48), timedelta(hours=6)
        )
        breaker = BreakerPolicy(cap=timedelta(hours=6), mending=timedelta(hours=12))
        sending = Sending(
            hub, {SERVED: services.Partners(county, hub, rnd)}, policy, rnd.random, breaker
        )
        month = Month(hub, looking, clock, sending, county, rnd, DAYS, part.check_every)
        await month.run(part.referrals)
        report = await told.report(month)
    finally:
        await looking.close()
        await engine.close()
    cpu = time.process_time() - begun
    return Played(report, len(county.services), month.checked, month.refused, cpu)


def side_by_side(parts: Sequence[Part]) -> list[Played]:
    """Each in a process of its own."""
    with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as processes:
        return list(processes.map(_play, parts))


def _play(part: Part) -> Played:
    return asyncio.run(play(part))
