"""A month of a county: every referral ends, or stands with a named next step of somebody.

`make county` runs it in full (200 services, 10,000 referrals), `make test` a small count.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from random import Random

from tests.county import services, told
from tests.county.month import Clock, Month

from coordhub.record.bootstrap import open_hub
from coordhub.record.hub import system_clock
from coordhub.routing.breaker import BreakerPolicy
from coordhub.routing.deliver import Sending
from coordhub.routing.resolve import SERVED
from coordhub.routing.retry import RetryPolicy
from coordhub.store import roles
from coordhub.store.engine import Engine

REFERRALS = int(os.environ.get("COORDHUB_COUNTY_REFERRALS", "200"))
SERVICES = int(os.environ.get("COORDHUB_COUNTY_SERVICES", "40"))
SEED = int(os.environ.get("COORDHUB_COUNTY_SEED", "1"))
DAYS = 30
CHECKS = int(os.environ.get("COORDHUB_COUNTY_CHECKS", "30"))
"""How often, spread over the month, all invariants of the store are asked."""


async def test_given_a_county_when_a_month_passes_then_every_referral_ends_or_waits_for_somebody(
    database_url,
):
    url = await roles.application(database_url)
    engine = await Engine.open(url, size=12, consent_policy="by-purpose")
    try:
        clock = Clock(system_clock().replace(minute=0, second=0) - timedelta(days=DAYS + 5))
        hub = replace(await open_hub(engine, "http://hub.example/fhir"), clock=clock)
        rnd = Random(SEED)
        end = clock.now + timedelta(days=DAYS)
        county = await services.found(hub, SERVICES, max(3, SERVICES // 10), end, rnd)
        policy = RetryPolicy(
            timedelta(minutes=10), timedelta(hours=12), timedelta(hours=48), timedelta(hours=6)
        )
        breaker = BreakerPolicy(cap=timedelta(hours=6), mending=timedelta(hours=12))
        sending = Sending(
            hub, {SERVED: services.Partners(county, hub, rnd)}, policy, rnd.random, breaker
        )
        month = Month(hub, clock, sending, county, rnd, DAYS, timedelta(days=DAYS) / CHECKS)
        begun = time.monotonic()
        await month.run(REFERRALS)
        took = time.monotonic() - begun
        report = await told.report(month)
    finally:
        await engine.close()
    print(
        f"\n{REFERRALS} referrals to {len(county.services)} services in {DAYS} days took {took:.0f} s;"
        f" all invariants asked {month.checked} times; came too late: {dict(month.refused)}\n{report}"
    )
    assert report.adrift == []
    assert sum(one.sent for one in report.kinds.values()) == REFERRALS
    assert sum(one.ended["completed"] for one in report.kinds.values()) > REFERRALS / 3
