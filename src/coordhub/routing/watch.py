"""The worker's eye on itself: what is owed, every few seconds; that nothing is lost, every hour.

https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from coordhub import telemetry
from coordhub.access import viewer
from coordhub.record import errands
from coordhub.record.hub import Hub
from coordhub.store import backlog, invariants, resources, traces
from coordhub.store.outage import is_outage
from coordhub.store.resources import Version
from coordhub.telemetry import log

LOOK = timedelta(seconds=15)
CHECK = timedelta(hours=1)
TRACED = timedelta(days=7)
"""How long it is kept by which request a change came: longer than deliveries are tried."""


async def watch(
    hub: Hub,
    stop: asyncio.Event,
    look: timedelta = LOOK,
    budget: timedelta = invariants.BUDGET,
) -> None:
    """Measure until told to stop; the ledger is checked hourly, by one worker at a time.

    budget: how old a delivery may become.
    """
    checked = hub.clock()
    while not stop.is_set():
        try:
            await measure(hub)
            if hub.clock() >= checked + CHECK:
                checked = hub.clock()
                await check(hub, budget)
                async with hub.engine.pool.acquire_at_last() as conn:
                    await traces.forget(conn, hub.clock() - TRACED)
        except Exception as error:  # whatever it is: a worker does not end for want of numbers
            level = "warning" if is_outage(error) else "error"
            log("watch.failed", level=level, error=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(look.total_seconds()):
                await stop.wait()


async def measure(hub: Hub) -> None:
    """Set the gauges to what is owed now."""
    now = hub.clock()
    async with hub.engine.pool.acquire_at_last() as conn:
        owed = await backlog.backlog(conn, now)
        named = await resources.read_rids(
            conn, viewer.deciding(), [one.endpoint for one in owed.waiting if one.endpoint]
        )
    telemetry.UNRELAYED.set(_age(owed.change, now))
    telemetry.OVERDUE_TIMER.set(_age(owed.timer, now))
    telemetry.DEAD.set(owed.dead)
    telemetry.LATE_TIMERS.set(owed.late)
    telemetry.PAUSED.set(owed.paused)
    for state in ("open", "probing", "recovering"):
        telemetry.CIRCUITS.labels(state).set(owed.circuits.get(state, 0))
    for kind in errands.KINDS:
        telemetry.ERRANDS.labels(kind).set(owed.errands.get(kind, 0))
    for gauge in (telemetry.OWED, telemetry.OLDEST, telemetry.OLDEST_DUE):
        gauge.clear()
    for one in owed.waiting:
        label = _label(one.endpoint, named)
        telemetry.OWED.labels(label).set(one.count)
        telemetry.OLDEST.labels(label).set(_age(one.oldest, now))
        telemetry.OLDEST_DUE.labels(label).set(_age(one.due, now))


async def check(hub: Hub, budget: timedelta = invariants.BUDGET) -> list[str]:
    """What is not as it must be, each a line of the log; empty if all is, or if another looks just now."""
    async with hub.engine.session() as conn:
        found = await invariants.violations_alone(conn, hub.clock(), budget)
    if found is None:
        return []
    telemetry.VIOLATIONS.set(len(found))
    for sentence in found:
        log("invariant.violated", level="error", what=sentence)
    return found


def _label(endpoint: int | None, named: Mapping[int, Version]) -> str:
    if endpoint is None:
        return "others"
    return named[endpoint].id if endpoint in named else "inbox"


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
