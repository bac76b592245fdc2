"""Load on a server: closed (each client asks again when answered) or offered (at a rate).

Offered load counts from the moment a request was due, so that a server that stalls cannot slow
down the clock that it is measured by.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

Work = Callable[[int], Awaitable[None]]
"""Does one unit of work as client number n; raises Refused."""


class Refused(Exception):
    """The server did not do what was asked; the text says what it said, in short."""


@dataclass(slots=True)
class Lap:
    """One stretch of measuring. latencies: seconds, of what succeeded. refused: how often, by reason."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Units of work per second."""
        return self.done / self.seconds if self.seconds else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` (0 to 1) of them do not exceed; nan if none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


async def closed(work: Work, clients: int, seconds: float) -> Lap:
    """`clients` at once, each working without pause until the time is over."""
    lap = Lap()
    begun = time.perf_counter()
    until = begun + seconds

    async def client(number: int) -> None:
        while (now := time.perf_counter()) < until:
            await _timed(lap, work, number, now)

    await asyncio.gather(*(client(number) for number in range(clients)))
    lap.seconds = time.perf_counter() - begun
    return lap


async def offered(work: Work, clients: int, rate: float, seconds: float) -> Lap:
    """`rate` units a second at even distances, by as many of `clients` as are needed."""
    lap = Lap()
    begun = time.perf_counter()
    total = int(rate * seconds)
    following = iter(range(total))

    async def client(number: int) -> None:
        for position in following:
            due = begun + position / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            await _timed(lap, work, number, due)

    await asyncio.gather(*(client(number) for number in range(clients)))
    lap.seconds = time.perf_counter() - begun
    return lap


async def _timed(lap: Lap, work: Work, number: int, since: float) -> None:
    try:
        await work(number)
    except Refused as refused:
        lap.refused[str(refused)] += 1
    else:
        lap.latencies.append(time.perf_counter() - since)
