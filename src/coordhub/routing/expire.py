"""A timer that has run out is fired once, in the transaction of what follows from it.

Whoever fires it holds the lock of its referral, as everyone who changes something about it; what dies
in between leaves the timer as it was. What follows is by kind: one function each, in `FOLLOWS`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeAlias

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.record.hub import Hub
from coordhub.referral import timers as kinds
from coordhub.routing import consents_end, digest, overdue
from coordhub.routing.firing import Firing
from coordhub.routing.stumble import Aside
from coordhub.store import consents, episodes, reminders, resources, timers
from coordhub.store.engine import Connection
from coordhub.store.timers import Timer
from coordhub.telemetry import log

Follow: TypeAlias = Callable[[Firing], Awaitable[None]]

FOLLOWS: Final[dict[str, Follow]] = {
    kinds.RECEIPT: overdue.other_endpoint,
    kinds.ACCEPT_HALF: overdue.remind_owner,
    kinds.ACCEPT_DUE: overdue.remind_owner,
    kinds.ACCEPT_BY: overdue.expire,
    kinds.FIRST_CONTACT: overdue.remind_owner,
    kinds.PROGRESS: overdue.remind_of_progress,
    kinds.PROGRESS_OVERDUE: overdue.escalate,
    kinds.APPOINTMENT: overdue.tell_requester,
    kinds.CONSULT_NOTE: overdue.chase,
    kinds.RESULT: overdue.tell_requester,
    kinds.WAITLIST: overdue.ask_again,
    kinds.WHOLE: overdue.escalate,
    kinds.ERRAND: overdue.remind_of_errand,
    kinds.ERRAND_ESCALATION: overdue.escalate,
    kinds.CONSENT_END: consents_end.follow,
    kinds.DIGEST: digest.send,
}


async def fire(hub: Hub, aside: Aside | None = None) -> bool:
    """Fire one due timer, once, in the transaction of what follows from it; False when none is due.

    aside: takes up the referral of a timer that fails, which then counts as fired for now; without
    it, raises.
    """
    if aside is None:
        return await _fire(hub, (), lambda _: None)
    return await aside.attempt("timer", lambda besides, told: _fire(hub, besides, told))


async def _fire(hub: Hub, besides: Collection[int], told: Callable[[int], None]) -> bool:
    """told: of the episode whose timer was claimed, or of what a timer of none is about."""
    async with hub.engine.transaction(at_last=True) as conn:
        now = hub.clock()
        due = await timers.claim(conn, now, besides)
        if due is None:
            return False
        told(due.episode or due.subject)
        numbers = await _lock_first(conn, due)
        locked = await episodes.lock(conn, numbers)
        timer = await timers.hold(conn, due.id, now)
        if timer is None:  # somebody was faster
            return True
        await timers.fired(conn, timer.id, now)
        with services.within(sandbox=any(one.sandbox for one in locked.values())):
            await FOLLOWS[timer.kind](Firing(hub, conn, timer, locked, now))
        log("timer.fired", kind=timer.kind, episode=timer.episode, subject=timer.subject)
    hub.engine.wake()
    return True


async def _lock_first(conn: Connection, due: Timer) -> list[int]:
    """The referrals that what follows will change."""
    if due.episode is not None:
        return [due.episode]
    if due.kind == kinds.CONSENT_END:
        found = await resources.read_rids(conn, viewer.deciding(), [due.subject])
        patients = [one.patient for one in found.values() if one.patient is not None]
        return await consents.open_referrals(conn, patients)
    if due.kind == kinds.DIGEST:
        return await reminders.episodes_waiting(conn, due.subject)
    return []
