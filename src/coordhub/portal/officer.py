"""What the privacy officer's desk has for whom: marks and releases of victim service providers for few."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from coordhub.access import viewer
from coordhub.portal import guests
from coordhub.portal.guests import Guest
from coordhub.record import vsp_acts
from coordhub.store import emergencies, vsp
from coordhub.store.vsp import Act


@dataclass(frozen=True, slots=True)
class Parts:
    """waiting: emergencies that nobody has reviewed. marks: there is a page of removals, pending: what is on it.

    is_apart: its organization is marked as a victim service provider.
    """

    waiting: int
    marks: bool
    pending: tuple[Act, ...]
    is_apart: bool


async def parts(request: Request, guest: Guest) -> Parts:
    hub = guests.context_of(request).hub
    view = viewer.as_organization(guest.own.rid)
    async with hub.engine.pool.acquire() as conn:
        waiting = await emergencies.unreviewed(conn, view)
        is_apart = guest.own.rid in await vsp.marked(conn)
        runs = guest.own.reference == hub.organization
        pending: list[Act] = []
        if runs or is_apart:
            since = hub.clock() - vsp_acts.WAIT
            pending = await vsp.proposed(conn, None if runs else guest.own.rid, since)
    return Parts(waiting, runs or is_apart, tuple(pending), is_apart)
