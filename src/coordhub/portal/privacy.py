"""The privacy officer's rooms: whose record, and the accounting of its disclosures, as a page and as a table.

https://www.rfc-editor.org/rfc/rfc9110, https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.portal import chained, disclosed, guests, leave, officer, pages, patients
from coordhub.portal.disclosed import Line, Span
from coordhub.portal.guests import Guest
from coordhub.store.resources import Version

ACT: Final = "$accounting-of-disclosures"

_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/privacy", include_in_schema=False)
    async def whose(request: Request) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        looked = " ".join(request.query_params.get("who", "").split())[:100]
        hub = guests.context_of(request).hub
        found = await disclosed.own(hub, guest.own.rid, looked) if looked else []
        await guests.looked(request, guest, "search-type", None, (), "Patient")
        return guests.room(
            request,
            guest,
            "privacy",
            200,
            here="privacy",
            looked=looked,
            found=found,
            most=leave.MOST,
            parts=await officer.parts(request, guest),
        )

    @app.get("/portal/privacy/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        there = await _told(request, guest, fhir_id)
        if there is None:
            return guests.room(request, guest, "missing", 404)
        found, asked, told = there
        return guests.room(
            request, guest, "disclosures", 200, here="privacy", whose=leave.choice(found),
            asked=asked, told=told, most=disclosed.MOST, **await guests.times(request, guest),
        )  # fmt: skip

    @app.get("/portal/privacy/{fhir_id}/disclosures/{seq}", include_in_schema=False)
    async def why(request: Request, fhir_id: str, seq: str) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        hub = guests.context_of(request).hub
        found = await disclosed.patient(hub, guest.own.rid, fhir_id)
        if found is None or not _NUMBER.fullmatch(seq):
            return guests.room(request, guest, "missing", 404)
        async with hub.engine.pool.acquire() as conn:
            wall = await patients.wall_of(request, guest, conn)
        told = await chained.told(hub, guest.own.rid, found, int(seq), wall)
        if told is None:
            return guests.room(request, guest, "missing", 404)
        await guests.looked(request, guest, "$why", fhir_id, (found.rid, *told.rids), "Patient")
        return guests.room(
            request, guest, "chain", 200, here="privacy", whose=leave.choice(found), told=told,
            **await guests.times(request, guest),
        )  # fmt: skip

    @app.get("/portal/privacy/{fhir_id}/disclosures.csv", include_in_schema=False)
    async def table(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        there = await _told(request, guest, fhir_id)
        if there is None or there[2] is None:
            return guests.room(request, guest, "missing", 404)
        kept = {
            **pages.HEADERS,
            "Content-Disposition": f'attachment; filename="disclosures-{fhir_id}.csv"',
        }
        body = disclosed.table(there[2], guest.t)
        return Response(body, 200, kept, media_type="text/csv; charset=utf-8")


async def _told(
    request: Request, guest: Guest, fhir_id: str
) -> tuple[Version, Span, list[Line] | None] | None:
    """Of a patient of its own, with the look on record; None for all others."""
    hub = guests.context_of(request).hub
    found = await disclosed.patient(hub, guest.own.rid, fhir_id)
    if found is None:
        return None
    query = request.query_params
    asked = disclosed.span(hub, query.get("start", ""), query.get("end", ""))
    told = await disclosed.lines(hub, guest.own.rid, found, asked, guest.t)
    await guests.looked(request, guest, ACT, fhir_id, (found.rid,), "Patient")
    return found, asked, told
