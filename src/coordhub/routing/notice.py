"""Changes become events: each subscription's next numbers, once and in the order of commits.

Behind the gap, as the relay; a subscription is told of what its organization may see when its event is
made, and shown what it may see when it is sent.
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.record.hub import Hub
from coordhub.routing import notify
from coordhub.store import subscriptions
from coordhub.store.engine import SERIALIZATION_RETRY
from coordhub.store.outage import is_outage
from coordhub.store.subscriptions import Subscribed
from coordhub.telemetry import log


class _Unanswerable(Exception):
    """What this one asks for cannot be asked."""

    def __init__(self, held: Subscribed) -> None:
        super().__init__(held.rid)
        self.held = held


async def follow(hub: Hub) -> bool:
    """Follow the change log a little further; False when there is nothing more, or another is at it.

    A subscription whose criteria cannot be asked any more is off, and says so: all others go on.
    """
    async with hub.engine.pool.acquire_at_last() as conn:
        if not await subscriptions.is_behind(conn):
            return False
    try:
        return await _follow(hub)
    except _Unanswerable as failed:
        cause, held = failed.__cause__, failed.held
        assert cause is not None
        if is_outage(cause) or isinstance(cause, SERIALIZATION_RETRY):
            raise cause from None
        log(
            "subscription.stumbled",
            level="error",
            subscription=held.rid,
            error=type(cause).__name__,
        )
        await notify.set_status(hub, held, "off", "its criteria cannot be asked here any more")
        return True


async def _follow(hub: Hub) -> bool:
    async with hub.engine.transaction(at_last=True) as conn:
        told = await subscriptions.recording(conn)
        followed = await subscriptions.follow(conn, for_nobody=not told)
        if not followed:
            return False
        events = 0
        for one in told:
            view = viewer.as_organization(one.organization)
            try:
                seqs = await subscriptions.matching(
                    conn, hub.engine, view, one, followed, hub.base, hub.clock()
                )
            except Exception as error:
                raise _Unanswerable(one) from error
            if seqs:
                await subscriptions.record(conn, one.rid, seqs, hub.clock())
                events += len(seqs)
    if events:
        log("subscription.events_recorded", changes=len(followed), events=events)
    return True
