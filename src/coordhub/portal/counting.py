"""The room of figures: what came of a month, as a page and as a table.

https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from coordhub.insight import reports
from coordhub.portal import desks, figures, guests, pages
from coordhub.portal.guests import Guest


def add(app: FastAPI) -> None:
    """Hang the room."""

    @app.get("/portal/figures", include_in_schema=False)
    async def counted(request: Request) -> Response:
        guest = await guests.at(request, "figures")
        if isinstance(guest, Response):
            return guest
        chosen, found = await _figures(request, guest)
        return guests.room(
            request, guest, "figures", 200, here="figures", chosen=chosen,
            groups=figures.lines(found, guest.t),
            leads=[group for group, desk in figures.DESK_OF.items() if desk in desks.of(guest.session.person.roles)],
            mature=found.is_mature,
        )  # fmt: skip

    @app.get("/portal/figures/rows", include_in_schema=False)
    async def behind(request: Request) -> Response:
        guest = await guests.at(request, "figures")
        if isinstance(guest, Response):
            return guest
        hub = guests.context_of(request).hub
        chosen = figures.month(hub, request.query_params.get("month", ""), guest.t)
        known = desks.of(guest.session.person.roles)
        key = request.query_params.get("of", "")
        found = await figures.behind(hub, guest.own.rid, chosen, key, known, guest.t)
        if found is None:
            return guests.room(request, guest, "missing", 404)
        await guests.looked(request, guest, "search-type", None, found.rids)
        return guests.room(
            request,
            guest,
            "behind",
            200,
            here="figures",
            chosen=chosen,
            found=found,
            back="/figures",
        )

    @app.get("/portal/figures.csv", include_in_schema=False)
    async def table(request: Request) -> Response:
        guest = await guests.at(request, "figures")
        if isinstance(guest, Response):
            return guest
        chosen, found = await _figures(request, guest)
        kept = {
            **pages.HEADERS,
            "Content-Disposition": f'attachment; filename="figures-{chosen.text}.csv"',
        }
        return Response(reports.as_csv(found), 200, kept, media_type="text/csv; charset=utf-8")


async def _figures(request: Request, guest: Guest) -> tuple[figures.Month, reports.Report]:
    """Of the month that the address names; that it was looked at is on record."""
    hub = guests.context_of(request).hub
    chosen = figures.month(hub, request.query_params.get("month", ""), guest.t)
    found = await figures.of(hub, guest.own.rid, chosen)
    await guests.noted(request, guest.session.person, "figures", 200)
    return chosen, found
