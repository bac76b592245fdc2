"""Rooms that look at the community as a whole: the map of services and gaps, and figures over the months.

https://www.rfc-editor.org/rfc/rfc9110, docs/measures.md
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from coordhub.directory import finding
from coordhub.portal import atlas, candidates, community, gaps, guests, patients, plots
from coordhub.referral.matching import Wanted


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/community/map", include_in_schema=False)
    async def drawn(request: Request) -> Response:
        guest = await guests.at(request, "community")
        if isinstance(guest, Response):
            return guest
        hub, known = guests.context_of(request).hub, candidates.kinds()
        need = request.query_params.get("need", "")
        chosen = gaps.quarter(hub, request.query_params.get("quarter", ""), guest.t)
        async with hub.engine.searches.acquire() as conn:
            wall = await patients.wall_of(request, guest, conn)
            anything = Wanted(kinds=frozenset(), now=wall.now)
            entries = [
                one
                for one, _ in await finding.listed(conn, None, anything, hub.zone)
                if one.offered.active and one.service.organization_active
            ]
            needs = await gaps.told(
                conn, guest.own.rid, chosen, need if need in known else "", guest.t
            )
        if need in known:
            codes = candidates.codes(known[need])
            entries = [one for one in entries if codes & one.offered.kinds]
        await guests.noted(request, guest.session.person, "community", 200)
        return guests.room(
            request, guest, "map", 200, here="community", tab="community/map", tabs=community.tabs(guest),
            kinds=known, need=need, chosen=chosen, drawing=atlas.drawing(entries),
            towns=atlas.towns(entries), whole=len(entries), needs=needs, printed=wall.dated(wall.now),
        )  # fmt: skip

    @app.get("/portal/community/months", include_in_schema=False)
    async def over_months(request: Request) -> Response:
        guest = await guests.at(request, "community")
        if isinstance(guest, Response):
            return guest
        found = await plots.of(guests.context_of(request).hub, guest.own.rid, guest.t)
        await guests.noted(request, guest.session.person, "figures", 200)
        return guests.room(
            request, guest, "months", 200, here="community", tab="community/months", tabs=community.tabs(guest),
            plots=found, wide=plots.WIDE, high=plots.HIGH, edge=plots.EDGE,
        )  # fmt: skip
