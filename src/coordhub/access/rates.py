"""How often a client may ask: requests a second with a burst, at the same time, in a day.

A bucket is one number, when it would be full again (the generic cell rate algorithm, in ITU-T I.371), so that
a client costs a process some hundred bytes and a request a comparison. A process counts for itself: of what a
client may, each of `processes` gives its part (docs/decisions/0058-limits-by-process.md). Only the day's number is
exact across processes: each takes portions of it from the database.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

from coordhub.store.clients import Allowance

MOST_CLIENTS = 10_000
"""Clients whose count a process keeps. One that is full again, and has nothing under way, is forgotten first."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a client may with which nothing else was agreed. per_day: None for any number.

    processes: how many serve; what a client may in all is spread over them.
    """

    per_second: float = 500.0
    burst: int = 1000
    at_once: int = 100
    per_day: int | None = None
    processes: int = 1

    def of(self, agreed: Allowance) -> Terms:
        rate = (agreed.per_second or self.per_second) / self.processes
        burst = agreed.burst or (ceil(agreed.per_second) if agreed.per_second else self.burst)
        return Terms(
            rate,
            max(1, burst // self.processes),
            max(1, (agreed.at_once or self.at_once) // self.processes),
            agreed.per_day or self.per_day,
        )


@dataclass(frozen=True)
class Terms:
    """What one process lets one client do; per_day of all processes together."""

    per_second: float
    burst: int
    at_once: int
    per_day: int | None

    @cached_property
    def policy(self) -> str:
        """For the header RateLimit-Policy."""
        stated = [
            f'"rate";q={self.burst};w={ceil(self.burst / self.per_second)}',
            f'"at-once";q={self.at_once};qu="concurrent-requests"',
        ]
        if self.per_day is not None:
            stated.append(f'"day";q={self.per_day};w=86400')
        return ", ".join(stated)


@dataclass(frozen=True, slots=True)
class TooMuch:
    """It is refused. what: rate, at-once or day. wait: seconds until it would be taken."""

    what: str
    wait: float


@dataclass(slots=True)
class _Count:
    """full: the second at which the bucket is full again. day: of `left` and `taken`, by number."""

    full: float = 0.0
    under_way: int = 0
    day: int = -1
    left: int = 0
    taken: int = 0


@dataclass(slots=True)
class Rates:
    """What each client has asked of this process lately. clock: seconds since the epoch."""

    clock: Callable[[], float]
    _counts: OrderedDict[str, _Count] = field(default_factory=OrderedDict)
    _latest: float = field(default=0.0, init=False)

    def _now(self) -> float:
        """Where the clock was set back, whoever has asked lately owes as much as before, and not the hours as well."""
        now = self.clock()
        if now < self._latest:
            for count in self._counts.values():
                count.full += now - self._latest
        self._latest = now
        return now

    def begin(self, client: str, terms: Terms) -> TooMuch | None:
        """Count one request that begins now, until `end`; or say why it is too much, and count nothing."""
        now = self._now()
        count = self._counts.get(client)
        if count is None:
            self._forget(now)
            count = self._counts[client] = _Count()
        if count.under_way >= terms.at_once:
            return TooMuch("at-once", 1.0)
        each = 1 / terms.per_second
        full = count.full = max(count.full, now)
        over = full - now - (terms.burst - 1) * each
        if over > 1e-9:
            return TooMuch("rate", over)
        count.full = full + each
        count.under_way += 1
        return None

    def wait(self, client: str, terms: Terms) -> float:
        """Seconds until one would be taken; 0: now."""
        count = self._counts.get(client)
        if count is None:
            return 0.0
        over = count.full - self._now() - (terms.burst - 1) / terms.per_second
        return over if over > 1e-9 else 0.0

    def owe(self, client: str, terms: Terms, further: int) -> None:
        """What was begun was as much work as so many further requests: later ones wait for it."""
        count = self._counts.get(client)
        if count is not None and further > 0:
            now = self._now()
            latest = now + terms.burst / terms.per_second + MOST_OWED
            count.full = min(max(count.full, now) + further / terms.per_second, latest)

    def end(self, client: str) -> None:
        count = self._counts.get(client)
        if count is not None and count.under_way:
            count.under_way -= 1

    def take(self, client: str, day: int) -> bool:
        """One of the day's; False if a new portion is to be had first (`portion`)."""
        count = self._counts.setdefault(client, _Count())
        if count.day != day:
            count.day, count.left, count.taken = day, 0, 0
        if count.left <= 0:
            return False
        count.left -= 1
        return True

    def portion(self, client: str, day: int, got: int, taken: int) -> None:
        """The database gave `got` of the day's; `taken` were given to all processes by then."""
        count = self._counts.setdefault(client, _Count())
        if count.day == day:
            count.left += got
            count.taken = taken

    def standing(self, client: str, terms: Terms) -> str:
        """For the header RateLimit: what is left, and in how many seconds it is whole again."""
        now = self._now()
        count = self._counts.get(client) or _Count()
        owed = max(0.0, count.full - now)
        left = max(0, int(terms.burst - owed * terms.per_second + 1e-6))
        stated = f'"rate";r={left};t={ceil(owed)}'
        if terms.per_day is not None:
            rest = max(0, terms.per_day - count.taken) + count.left
            stated += f', "day";r={rest};t={ceil(86400 - now % 86400)}'
        return stated

    def _forget(self, now: float) -> None:
        """Whose bucket is full lost nothing by being forgotten; of the others the one that came first."""
        if len(self._counts) < MOST_CLIENTS:
            return
        idle = (
            client
            for client, count in self._counts.items()
            if not count.under_way and count.full <= now and count.left <= 0
        )
        del self._counts[next(idle, next(iter(self._counts)))]


MOST_OWED = 60.0
"""Seconds that a client waits at most for what it has begun already, beyond a burst."""
