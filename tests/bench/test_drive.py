"""Load and its percentiles, as the bench counts them."""

from __future__ import annotations

import asyncio
import math

import pytest
from bench.drive import Lap, Refused, closed, offered, percentile
from bench.report import Measured, ratio


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    share: float, expected: float
) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


def test_nothing_measured_has_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


async def test_given_a_server_that_stalls_when_load_is_offered_then_what_waited_counts_as_slow() -> (
    None
):
    stalled = False

    async def work(_: int) -> None:
        nonlocal stalled
        if not stalled:
            stalled = True
            await asyncio.sleep(0.2)

    lap = await offered(work, clients=1, rate=50, seconds=0.2)
    assert lap.done == 10
    assert percentile(lap.latencies, 0.5) > 0.05  # by its own clock it answered at once


async def test_what_is_refused_is_counted_by_reason_and_not_as_done() -> None:
    async def work(client: int) -> None:
        await asyncio.sleep(0.001)
        if client == 0:
            raise Refused("422 invariant")

    lap = await closed(work, clients=2, seconds=0.05)
    assert lap.done > 0
    assert set(lap.refused) == {"422 invariant"}


def test_a_ratio_compares_laps_of_one_round_and_takes_their_median() -> None:
    hub = Measured("a", [Lap(1, [0.0] * done) for done in (10, 1, 30)])
    floor = Measured("a", [Lap(1, [0.0] * done) for done in (100, 10, 100)])
    assert ratio(hub, floor) == pytest.approx(0.1)
