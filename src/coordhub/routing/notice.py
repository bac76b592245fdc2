"""Changes become events: each subscription's next numbers, once and in the order of commits.

Behind the gap, as the relay; a subscription is told of what who asked for it may see when its event is
made, and shown what it may see when it is sent.
"""

from __future__ import annotations

from coordhub.record.hub import Hub
from coordhub.record.notifying import by_eyes, viewer_of
from coordhub.routing import notify
from coordhub.store import subscription_events
from coordhub.store.engine import SERIALIZATION_RETRY, Connection
from coordhub.store.outage import is_outage
from coordhub.store.subscription_events import Followed
from coordhub.store.subscriptions import Subscribed
from coordhub.telemetry import log


class _Unanswerable(Exception):
    """What one of these asks for cannot be asked."""

    def __init__(self, held: list[Subscribed], followed: list[Followed]) -> None:
        super().__init__()
        self.held, self.followed = held, followed


async def follow(hub: Hub) -> bool:
    """Follow the change log a little further; False when there is nothing more, or another is at it.

    A subscription whose criteria cannot be asked any more is off, and says so: all others go on.
    """
    async with hub.engine.pool.acquire_at_last() as conn:
        if not await subscription_events.is_behind(conn):
            return False
    try:
        return await _follow(hub)
    except _Unanswerable as failed:
        cause = failed.__cause__
        assert cause is not None
        if not _is_of_what_is_asked(cause) or not await _turn_off(hub, failed):
            raise cause from None
        return True


async def _follow(hub: Hub) -> bool:
    async with hub.engine.transaction(at_last=True) as conn:
        told = await subscription_events.recording(conn)
        followed = await subscription_events.follow(conn, for_nobody=not told)
        if followed is None:
            return False
        since = {one.rid: one.since for one in told}
        order = {one.seq: one for one in followed}
        found = [
            (rid, seq)
            for rid, seq in await subscription_events.deleted(conn, followed)
            if (began := since.get(rid)) is not None and order[seq].at >= began
        ]
        for held in by_eyes(told):
            try:
                seqs = await _matching(hub, conn, held, followed)
            except Exception as error:
                raise _Unanswerable(held, followed) from error
            found += [(rid, seq) for rid, many in seqs.items() for seq in many]
        if found:
            places = {seq: place for place, seq in enumerate(order)}
            found.sort(key=lambda one: (one[0], places[one[1]]))
            await subscription_events.record(conn, found, hub.clock())
    if found:
        log("subscription.events_recorded", changes=len(followed), events=len(found))
    return True


async def _matching(
    hub: Hub, conn: Connection, held: list[Subscribed], followed: list[Followed]
) -> dict[int, list[int]]:
    return await subscription_events.matching(
        conn, hub.engine, viewer_of(held[0]), held, followed, hub.base, hub.clock()
    )


async def _turn_off(hub: Hub, failed: _Unanswerable) -> bool:
    """Those of them that cannot be asked, each by itself; False if each can."""
    is_off = False
    for one in failed.held:
        try:
            async with hub.engine.pool.acquire_at_last() as conn:
                await _matching(hub, conn, [one], failed.followed)
        except Exception as error:
            if not _is_of_what_is_asked(error):
                raise
            log(
                "subscription.stumbled",
                level="error",
                subscription=one.rid,
                error=type(error).__name__,
            )
            await notify.set_status(hub, one, "off", "its criteria cannot be asked here any more")
            is_off = True
    return is_off


def _is_of_what_is_asked(error: BaseException) -> bool:
    return not is_outage(error) and not isinstance(error, SERIALIZATION_RETRY)
