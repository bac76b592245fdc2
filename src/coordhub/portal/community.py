"""Rooms of the community: services that help, found by need and place, and the page of one.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.directory import finding
from coordhub.portal import candidates, chart, desks, guests, leave, offering, patients, seeking
from coordhub.portal.guests import Guest
from coordhub.referral.matching import Wanted
from coordhub.store import resources
from coordhub.store.visibility import DIRECTORY

SERVICE: Final = "HealthcareService"

TABS: Final = {
    "community": "Look for a service",
    "community/map": "Map and gaps",
    "community/months": "Over the months",
}
"""By their path below the portal."""


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/community", include_in_schema=False)
    async def looked(request: Request) -> Response:
        guest = await guests.at(request, "community")
        if isinstance(guest, Response):
            return guest
        hub = guests.context_of(request).hub
        sought = seeking.asked(request.query_params)
        async with hub.engine.pool.acquire() as conn:
            wall = await patients.wall_of(request, guest, conn)
            found = await seeking.found(hub, conn, guest.own.rid, sought, wall)
        rids = () if found is None else found.rids
        await guests.looked(request, guest, "$find", None, rids, SERVICE)
        return guests.room(
            request, guest, "community", 200, here="community", tab="community", tabs=TABS, sought=sought,
            found=found, kinds=candidates.kinds(), languages_known=offering.LANGUAGES, sexes=seeking.SEXES,
            distances=seeking.DISTANCES, longest=seeking.LONGEST, oldest=seeking.OLDEST, back="/community",
        )  # fmt: skip

    @app.get("/portal/services/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "community")
        if isinstance(guest, Response):
            return guest
        return await page(request, guest, fhir_id)


async def page(
    request: Request, guest: Guest, fhir_id: str, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    """Of one service; of a victim service provider's, as of one that is not there."""
    hub = guests.context_of(request).hub
    view = viewer.as_organization(guest.own.rid)
    async with hub.engine.pool.acquire() as conn:
        version = await resources.read(conn, view, SERVICE, fhir_id)
        if version is None or version.body is None or version.source != DIRECTORY:
            return guests.room(request, guest, "missing", 404)
        wall = await patients.wall_of(request, guest, conn)
        anything = Wanted(kinds=frozenset(), now=wall.now)
        entries = await finding.listed(conn, [version.rid], anything, hub.zone)
        sheets = await offering.sheets(conn, [one for one, _ in entries], wall)
    if version.rid not in sheets:
        return guests.room(request, guest, "missing", 404)
    refers = "board" in desks.of(guest.session.person.roles)
    looked = " ".join(request.query_params.get("who", "").split())[:100] if refers else ""
    whom = [
        chart.listing(one)
        for one in (await leave.choices(hub, guest.own.rid, looked, hub.clock()) if looked else [])
        if not chart.is_apart(one)
    ]
    await guests.looked(request, guest, "read", fhir_id, (version.rid,), SERVICE)
    return guests.room(
        request, guest, "service", status, here="community", sheet=sheets[version.rid], refused=refused,
        refers=refers, looked=looked, whom=whom, most=leave.MOST, printed=wall.dated(wall.now),
        action=f"{guests.home(request)}/services/{fhir_id}",
    )  # fmt: skip
