"""Rooms of the community: services that help, found by need and place, and the page of one.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.directory import finding
from coordhub.errors import FhirError
from coordhub.portal import (
    answering,
    candidates,
    chart,
    desks,
    forms,
    guests,
    leave,
    offering,
    patients,
    remarks,
    seeking,
)
from coordhub.portal.guests import Guest
from coordhub.portal.occurrences import Wall
from coordhub.portal.offering import Sheet
from coordhub.record import service_notes
from coordhub.referral.matching import Wanted
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.visibility import DIRECTORY, HUB

SERVICE: Final = "HealthcareService"

TABS: Final = {
    "community": "Look for a service",
    "community/map": "Map and gaps",
    "community/months": "Over the months",
}
"""By their path below the portal."""
KEEPS: Final = "To look after"


def keeps(guest: Guest) -> bool:
    """Whether it looks after the directory: an admin of whoever runs the hub, or is the steward."""
    return guest.own.rid in (HUB, DIRECTORY) and desks.ADMIN in guest.session.person.roles


def tabs(guest: Guest) -> dict[str, str]:
    return {**TABS, **({"community/steward": KEEPS} if keeps(guest) else {})}


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
            request, guest, "community", 200, here="community", tab="community", tabs=tabs(guest), sought=sought,
            found=found, kinds=candidates.kinds(), languages_known=offering.LANGUAGES, sexes=seeking.SEXES,
            distances=seeking.DISTANCES, longest=seeking.LONGEST, oldest=seeking.OLDEST, back="/community",
        )  # fmt: skip

    @app.get("/portal/services/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "community")
        if isinstance(guest, Response):
            return guest
        return await page(request, guest, fhir_id)

    @app.post("/portal/services/{fhir_id}", include_in_schema=False)
    async def noted(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "community")
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _note(request, guest, fhir_id, " ".join(form.get("words", "").split()))


async def _sheet(
    request: Request, guest: Guest, conn: Connection, fhir_id: str, wall: Wall
) -> Sheet | None:
    hub = guests.context_of(request).hub
    view = viewer.as_organization(guest.own.rid)
    version = await resources.read(conn, view, SERVICE, fhir_id)
    if version is None or version.body is None or version.source != DIRECTORY:
        return None
    anything = Wanted(kinds=frozenset(), now=wall.now)
    entries = await finding.listed(conn, [version.rid], anything, hub.zone)
    return (await offering.sheets(conn, [one for one, _ in entries], wall)).get(version.rid)


async def _note(request: Request, guest: Guest, fhir_id: str, text: str) -> Response:
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        wall = await patients.wall_of(request, guest, conn)
        sheet = await _sheet(request, guest, conn, fhir_id, wall)
        if sheet is None or not await remarks.may_write(conn, guest.own.rid):
            return guests.room(request, guest, "missing", 404)
    if not text or len(text) > service_notes.LONGEST:
        return await page(
            request, guest, fhir_id, ("Write what you have noticed, in a few words.",), 422
        )
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        written = await remarks.write(hub, caller, sheet, text)
    except FhirError as error:
        return await page(request, guest, fhir_id, guests.refused(error), error.status)
    if written is not None:
        await guests.looked(request, guest, "create", written[0], (written[1],), "Communication")
    return guests.go(request, f"/services/{fhir_id}")


async def page(
    request: Request, guest: Guest, fhir_id: str, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    """Of one service; of a victim service provider's, as of one that is not there."""
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        wall = await patients.wall_of(request, guest, conn)
        sheet = await _sheet(request, guest, conn, fhir_id, wall)
        if sheet is None:
            return guests.room(request, guest, "missing", 404)
        notes = await remarks.of(hub, conn, guest.own.rid, sheet, wall)
        writes = await remarks.may_write(conn, guest.own.rid)
    refers = "board" in desks.of(guest.session.person.roles)
    looked = " ".join(request.query_params.get("who", "").split())[:100] if refers else ""
    whom = [
        chart.listing(one)
        for one in (await leave.choices(hub, guest.own.rid, looked, hub.clock()) if looked else [])
        if not chart.is_apart(one)
    ]
    rids = (sheet.rid, *(one.rid for one in notes))
    await guests.looked(request, guest, "read", fhir_id, rids, SERVICE)
    return guests.room(
        request, guest, "service", status, here="community", sheet=sheet, notes=notes, writes=writes,
        longest=service_notes.LONGEST, refused=refused,
        refers=refers, looked=looked, whom=whom, most=leave.MOST, printed=wall.dated(wall.now),
        action=f"{guests.home(request)}/services/{fhir_id}",
    )  # fmt: skip
