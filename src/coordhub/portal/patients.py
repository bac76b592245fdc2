"""Rooms about patients: whom an organization has to do with, and the chart of one person.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.directory import calendars
from coordhub.portal import chart, guests, leave, occurrences
from coordhub.portal.guests import Guest
from coordhub.portal.occurrences import Wall
from coordhub.store.engine import Connection

MOST: Final = 100
"""Patients of a list."""


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/patients", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "patients")
        if isinstance(guest, Response):
            return guest
        hub, organization = guests.context_of(request).hub, guest.own.rid
        looked = " ".join(request.query_params.get("who", "").split())[:100]
        if looked:
            versions = await leave.choices(hub, organization, looked, hub.clock())
            found = [chart.listing(one) for one in versions if not chart.is_apart(one)]
            rids = tuple(one.rid for one in versions)
        else:
            async with hub.engine.pool.acquire() as conn:
                wall = await wall_of(request, guest, conn)
                found, rids = await chart.mine(conn, organization, wall, MOST)
        await guests.looked(request, guest, "search-type", None, rids, "Patient")
        return guests.room(
            request, guest, "patients", 200, here="patients", found=found, looked=looked,
            most=leave.MOST if looked else MOST, back="/patients",
        )  # fmt: skip

    @app.get("/portal/patients/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "patients")
        if isinstance(guest, Response):
            return guest
        hub = guests.context_of(request).hub
        async with hub.engine.pool.acquire() as conn:
            wall = await wall_of(request, guest, conn)
            found = await chart.chart(hub, conn, guest.own.rid, fhir_id, wall)
        if found is None:
            return guests.room(request, guest, "missing", 404)
        await guests.looked(request, guest, "read", fhir_id, found.rids, "Patient")
        return guests.room(
            request, guest, "patient", 200, here="patients", chart=found, printed=wall.dated(wall.now),
            kinds=occurrences.KINDS,
            moment=lambda at: wall.instant(at)[2],
        )  # fmt: skip


async def wall_of(request: Request, guest: Guest, conn: Connection) -> Wall:
    """By which times are told to this guest."""
    hub = guests.context_of(request).hub
    calendar = await calendars.calendar_of(
        conn, guest.own.reference, hub.base, hub.deadlines.calendar
    )
    return Wall(calendar, hub.clock(), guest.t)
