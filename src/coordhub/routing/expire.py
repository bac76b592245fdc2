"""A timer that has run out: whoever did not answer in time is not waited for any longer."""

from __future__ import annotations

from collections.abc import Callable, Collection

from coordhub.access import caller, viewer
from coordhub.record import commit, parties
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Update
from coordhub.referral import task_machine as machine
from coordhub.routing.stumble import Aside
from coordhub.store import episodes, resources, timers
from coordhub.telemetry import log


async def fire(hub: Hub, aside: Aside | None = None) -> bool:
    """Fire one due timer, once, in the transaction of what follows from it; False when none is due.

    aside: takes up the referral of a timer that fails, which then counts as fired for now; without
    it, raises.
    """
    if aside is None:
        return await _fire(hub, (), lambda _: None)
    return await aside.attempt("timer", lambda besides, told: _fire(hub, besides, told))


async def _fire(hub: Hub, besides: Collection[int], told: Callable[[int], None]) -> bool:
    """told: of the episode whose timer was claimed."""
    async with hub.engine.transaction(at_last=True) as conn:
        now = hub.clock()
        timer = await timers.claim(conn, now, besides)
        if timer is None:
            return False
        told(timer.episode)
        await timers.fired(conn, timer.id, now)
        episode = (await episodes.lock(conn, [timer.episode]))[timer.episode]
        candidate = episode.candidate_of_task(timer.subject)
        if candidate is not None and candidate.status in ("requested", "received"):
            stored = await resources.read_rids(conn, viewer.deciding(), [timer.subject])
            task = stored[timer.subject]
            document = {
                **parties.document(task),
                "status": "cancelled",
                "statusReason": machine.concept(machine.REASONS["expired"]),
                "lastModified": instant(now),
            }
            me = caller.hub(hub.organization)
            await commit.apply(
                hub, conn, me, [Update("Task", task.id, document)], interaction="update"
            )
        log("timer.fired", kind=timer.kind, episode=timer.episode, subject=timer.subject)
    hub.engine.wake()
    return True
