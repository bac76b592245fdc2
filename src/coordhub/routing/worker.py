"""The worker: relay, deliver, read from partners, fire timers, look who is who, until told to stop.

Woken by every commit (LISTEN) and by the clock; either alone would do. Any number may run at once, on
any number of machines. What a dead worker held is taken up when its lease runs out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from coordhub.record import linking
from coordhub.routing import circle, deliver, expire, relay, sources
from coordhub.routing.stumble import Aside
from coordhub.store import changes, deliveries, fetches, persons, timers
from coordhub.store.deliveries import Claimed
from coordhub.store.engine import UNAVAILABLE
from coordhub.store.fetches import Fetch
from coordhub.store.outage import is_outage
from coordhub.telemetry import log

READINGS = 4
"""Readings from partners under way at the same time; each makes some requests at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """poll: how long at most until the worker looks by itself. lease: how long a delivery is held;
    longer than an attempt can last. at_once: attempts under way at the same time."""

    poll: timedelta = timedelta(seconds=1)
    lease: timedelta = timedelta(seconds=60)
    at_once: int = 16


class Worker:
    """Five loops over one database. `run` returns when `stop` is set and what was begun is settled."""

    def __init__(
        self, sending: deliver.Sending, pace: Pace, new_id: Callable[[], UUID] = uuid4
    ) -> None:
        self._sending = sending
        self._pace = pace
        self._new_id = new_id
        self._woken = [asyncio.Event() for _ in range(5)]
        self._underway: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[None]] = set()
        self._aside = Aside(sending.hub.clock)

    async def run(self, stop: asyncio.Event) -> None:
        engine = self._sending.hub.engine
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(*UNAVAILABLE):
                await stack.enter_async_context(engine.listening(self._wake))
            async with asyncio.TaskGroup() as group:
                steps = (self._relay, self._deliver, self._fire, self._read, self._link)
                for number, step in enumerate(steps):
                    group.create_task(self._loop(step, self._woken[number], stop))
                await stop.wait()
                self._wake()
            if underway := {*self._underway, *self._reading}:
                await asyncio.wait(underway, timeout=self._pace.lease.total_seconds())

    def _wake(self) -> None:
        for event in self._woken:
            event.set()

    async def _loop(
        self, step: Callable[[], Awaitable[bool]], woken: asyncio.Event, stop: asyncio.Event
    ) -> None:
        """Repeat `step` while it finds work, else wait.

        A database that is away is waited for, and so is whatever else stops a step: a worker that
        ended over one fault would leave all else undone.
        """
        while not stop.is_set():
            woken.clear()
            try:
                busy = await step()
            except Exception as error:
                log(
                    "worker.stumbled",
                    level="warning" if is_outage(error) else "error",
                    step=step.__name__.strip("_"),
                    error=type(error).__name__,
                )
                busy = False
            if not busy:
                with contextlib.suppress(TimeoutError):
                    # Not wait_for: in Python 3.11 it loses a cancellation that comes as it ends.
                    async with asyncio.timeout(self._pace.poll.total_seconds()):
                        await woken.wait()

    async def _relay(self) -> bool:
        hub = self._sending.hub
        async with hub.engine.pool.acquire_at_last() as conn:
            waiting = await changes.waiting(conn, hub.clock())
        found = waiting.referrals and await relay.relay(hub, self._new_id, self._aside)
        if waiting.patients:
            found = await circle.tell(hub, self._new_id, self._aside) or found
        if found:
            self._woken[1].set()
        return found

    async def _fire(self) -> bool:
        hub = self._sending.hub
        async with hub.engine.pool.acquire_at_last() as conn:
            if not await timers.is_due(conn, hub.clock()):
                return False
        return await expire.fire(hub, self._aside)

    async def _link(self) -> bool:
        hub = self._sending.hub
        async with hub.engine.pool.acquire_at_last() as conn:
            if not await persons.is_due(conn):
                return False
        return await linking.link(hub)

    async def _deliver(self) -> bool:
        free = self._pace.at_once - len(self._underway)
        if free <= 0:
            await asyncio.wait(self._underway, return_when=asyncio.FIRST_COMPLETED)
            return True
        hub = self._sending.hub
        async with hub.engine.pool.acquire_at_last() as conn:
            held = await deliveries.claim(
                conn, hub.clock(), free, self._pace.lease, self._sending.policy.budget
            )
        for one in held:
            task = asyncio.create_task(self._attempt(one))
            self._underway.add(task)
            task.add_done_callback(self._done)
        return bool(held)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._underway.discard(task)
        self._woken[1].set()

    async def _attempt(self, held: Claimed) -> None:
        """A failure of ours leaves the lease to run out; the delivery is tried again then."""
        try:
            await deliver.deliver(self._sending, held)
        except Exception as error:
            log(
                "delivery.stumbled",
                delivery=str(held.id),
                attempt=held.attempt,
                error=type(error).__name__,
            )

    async def _read(self) -> bool:
        free = READINGS - len(self._reading)
        if free <= 0:
            await asyncio.wait(self._reading, return_when=asyncio.FIRST_COMPLETED)
            return True
        hub = self._sending.hub
        async with hub.engine.pool.acquire_at_last() as conn:
            held = await fetches.claim(conn, hub.clock(), free, self._pace.lease)
        for one in held:
            task = asyncio.create_task(self._attempt_to_read(one))
            self._reading.add(task)
            task.add_done_callback(self._has_read)
        return bool(held)

    def _has_read(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        self._woken[3].set()

    async def _attempt_to_read(self, held: Fetch) -> None:
        """As an attempt to deliver."""
        try:
            await sources.fetch(self._sending, held)
        except Exception as error:
            log(
                "fetch.stumbled",
                kind=held.kind,
                subject=held.subject,
                attempt=held.attempt,
                error=type(error).__name__,
            )
