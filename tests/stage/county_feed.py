"""A feed of a county, taken in as `coordhub import-hsds` does, and the kinds that its operator has named."""

from __future__ import annotations

import json

import pytest
from hsds_county import AIRS

from coordhub.record import feeds
from coordhub.referral import same_kind
from coordhub.store import feeds as store

ZONE = "America/New_York"


@pytest.fixture
def kinds():
    """The operator's file of kinds, by which a food pantry of the feed is one for food insecurity."""
    before = same_kind.in_use()
    codes = [{"kind": "food-insecurity", "codes": [f"{AIRS}|BD-1800.2000"]}]
    same_kind.use(same_kind.read(json.dumps(codes).encode()))
    yield
    same_kind.use(before)


async def reads(house, files):
    async with house.hub.engine.pool.acquire() as conn:
        await store.keep(conn, "county", "/feed", ZONE, None, None)
        feed = await store.by_name(conn, "county")
    return await feeds.take_in(house.hub, feed, files)
