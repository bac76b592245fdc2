"""Changes become events: each subscription's next numbers, once and in the order of commits.

Behind the gap, as the relay; a subscription is told of what its organization may see when its event is
made, and shown what it may see when it is sent.
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.record.hub import Hub
from coordhub.store import subscriptions
from coordhub.telemetry import log


async def follow(hub: Hub) -> bool:
    """Follow the change log a little further; False when there is nothing more, or another is at it."""
    async with hub.engine.pool.acquire_at_last() as conn:
        if not await subscriptions.is_behind(conn):
            return False
    async with hub.engine.transaction(at_last=True) as conn:
        told = await subscriptions.recording(conn)
        followed = await subscriptions.follow(conn, for_nobody=not told)
        if not followed:
            return False
        events = 0
        for one in told:
            view = viewer.as_organization(one.organization)
            seqs = await subscriptions.matching(
                conn, hub.engine, view, one, followed, hub.base, hub.clock()
            )
            if seqs:
                await subscriptions.record(conn, one.rid, seqs, hub.clock())
                events += len(seqs)
    if events:
        log("subscription.events_recorded", changes=len(followed), events=events)
    return True
