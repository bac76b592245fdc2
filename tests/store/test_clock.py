"""The clock of a machine beside the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordhub.store import clock
from coordhub.store.engine import Engine

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LITTLE, MINUTES = timedelta(milliseconds=20), timedelta(minutes=7)


@pytest.mark.parametrize(
    ("there", "correction"),
    [
        (NOON, timedelta()),  # the earliest and
        (NOON + 2 * LITTLE, timedelta()),  # the latest that tell nothing
        (NOON + LITTLE + MINUTES, MINUTES),
        (NOON + LITTLE - MINUTES, -MINUTES),
    ],
)
def test_given_what_the_database_says_between_two_looks_then_the_clock_is_off_by_that(
    there: datetime, correction: timedelta
) -> None:
    assert clock.correction(NOON, there, NOON + 2 * LITTLE) == correction


@pytest.mark.parametrize("off", [MINUTES, -MINUTES])
async def test_given_a_machine_whose_clock_is_off_when_it_connects_then_its_time_is_the_databases(
    database_url: str, monkeypatch: pytest.MonkeyPatch, off: timedelta
) -> None:
    monkeypatch.setattr(clock, "machine", lambda: datetime.now(UTC) + off)
    engine = await Engine.open(database_url, size=2)
    try:
        async with engine.pool.acquire() as conn:
            there = await conn.fetchval("select clock_timestamp()")
        assert abs(engine.now() - there) < timedelta(minutes=1)
    finally:
        await engine.close()
