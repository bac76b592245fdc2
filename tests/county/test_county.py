"""A month of a county: every referral ends, or stands with a named next step of somebody.

`make county` runs it in full (200 services, 10,000 referrals, in two processes, the invariants after every
simulated hour), `make test` a small count.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta

from tests.county import told
from tests.county.play import DAYS, Part, play, side_by_side

REFERRALS = int(os.environ.get("COORDHUB_COUNTY_REFERRALS", "200"))
SERVICES = int(os.environ.get("COORDHUB_COUNTY_SERVICES", "40"))
SEED = int(os.environ.get("COORDHUB_COUNTY_SEED", "1"))
PARTS = int(os.environ.get("COORDHUB_COUNTY_PARTS", "1"))
"""In how many processes, each with its share of services and referrals."""
CHECKS = int(os.environ.get("COORDHUB_COUNTY_CHECKS", "30"))
"""How often, spread over the month, all invariants of the store are asked."""


def test_given_a_county_when_a_month_passes_then_every_referral_ends_or_waits_for_somebody(
    databases,
):
    every = timedelta(days=DAYS) / CHECKS
    parts = [
        Part(databases(), SEED + number, REFERRALS // PARTS, SERVICES // PARTS, every)
        for number in range(PARTS)
    ]
    begun = time.monotonic()
    played = [asyncio.run(play(parts[0]))] if PARTS == 1 else side_by_side(parts)
    took = time.monotonic() - begun
    report = told.together(one.report for one in played)
    sent = REFERRALS // PARTS * PARTS
    late = sum((one.refused for one in played), start=type(played[0].refused)())
    print(
        f"\n{sent} referrals to {sum(one.services for one in played)} services in {DAYS} days took"
        f" {took:.0f} s, {sum(one.cpu for one in played) / sent:.3f} s of Python's CPU each; all invariants asked"
        f" {sum(one.checked for one in played)} times; came too late: {dict(late)}\n{report}"
    )
    assert report.adrift == []
    assert sum(one.sent for one in report.kinds.values()) == sent
    assert sum(one.ended["completed"] for one in report.kinds.values()) > sent / 3
