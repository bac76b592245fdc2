"""Services of a feed among the candidates: open on the second Monday, for whom, in which language, how full."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hsds_county import PANTRY
from open_hub import House

from coordhub.directory.matching import prospects
from coordhub.record import feeds
from coordhub.referral.same_kind import SDOHCC
from coordhub.store import feeds as store

HERE = ZoneInfo("America/New_York")
NEED = {
    "resourceType": "ServiceRequest",
    "category": [{"coding": [{"system": SDOHCC, "code": "food-insecurity"}]}],
    "priority": "urgent",
}
ADULT = {
    "resourceType": "Patient", "birthDate": "1980-01-01", "address": [{"postalCode": "01301", "state": "MA"}],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}],
}  # fmt: skip


def feed(**service: Any) -> dict[str, bytes]:
    """The pantry, in words of SDOH Clinical Care, on every second Monday of a month."""
    term = {
        "id": "t1",
        "code": "food-insecurity",
        "name": "Food",
        "taxonomy_detail": {"id": "x", "uri": SDOHCC},
    }
    one = {
        **PANTRY["services"][0],
        "organization": PANTRY["organizations"][0],
        "languages": PANTRY["languages"],
        "attributes": [{"id": "b1", "taxonomy_term": term}],
        "schedules": [
            {
                "id": "h1",
                "freq": "MONTHLY",
                "byday": "2MO",
                "opens_at": "09:00",
                "closes_at": "17:00",
            }
        ],
        "service_capacities": PANTRY["service_capacities"],
        "service_areas": [{"id": "r1", "name": "01301"}],
        **service,
    }
    return {"services.json": json.dumps([one]).encode()}


async def codes(
    house: House, now: str, patient: dict[str, Any] = ADULT, **service: Any
) -> set[str]:
    """What is found of the pantry at that time."""
    async with house.engine.pool.acquire() as conn:
        await store.keep(conn, "ward", "/feed", HERE.key, None, None)
        kept = await store.by_name(conn, "ward")
        assert kept is not None
    outcome = await feeds.take_in(house.hub, kept, feed(**service))
    assert outcome.faults == []
    moment = datetime.fromisoformat(now).replace(tzinfo=HERE)
    async with house.engine.pool.acquire() as conn, conn.transaction():
        found = await prospects(conn, NEED, patient, sender=house.clinic.rid, now=moment)
        [reference] = await conn.fetchrow(
            "select 'HealthcareService/' || fhir_id from resource r join directory_entry e on e.rid = r.rid"
            " where e.key = 'services/s1'"
        )
    [mine] = [one for one in found if one.recipient == reference]
    return {one.code for one in mine.findings if one.outcome in ("failed", "met")}


CASES: tuple[tuple[str, dict[str, Any], set[str], set[str]], ...] = (
    (
        "2026-11-09T10:00",
        {},
        {"open", "in-area", "spoken", "capacity", "age-served"},
        {"closed", "inactive"},
    ),
    ("2026-11-16T10:00", {}, {"closed"}, {"open"}),
    ("2026-11-09T10:00", {"status": "temporarily closed"}, {"inactive"}, set()),
    ("2026-11-09T10:00", {"minimum_age": 60}, {"below-minimum-age"}, set()),
    (
        "2026-11-09T10:00",
        {"service_areas": [{"id": "r1", "name": "90210"}]},
        {"out-of-area"},
        {"in-area"},
    ),
)
"""When, what the feed says instead, what is found of it, and what is not."""


async def test_given_a_service_of_a_feed_when_matched_then_what_the_feed_says_of_it_counts(
    house: House,
) -> None:
    for now, service, there, absent in CASES:
        found = await codes(house, now, **service)
        assert there <= found, (now, service, found)
        assert not absent & found
