"""The room of results that came home: what nobody here has looked at yet, then what came lately.

http://hl7.org/fhir/R4/diagnosticreport.html, http://hl7.org/fhir/R4/documentreference.html

To be on this page is to be looked at: it says the values. Where the hub asks that a human says so, it leads there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.insight import prior_results
from coordhub.portal import guests, occurrences, patients
from coordhub.portal.occurrences import Paper
from coordhub.portal.sheets import name_of
from coordhub.record import parties
from coordhub.referral.results import TYPES
from coordhub.store import agenda, resources

RECENT: Final = timedelta(days=30)
MOST: Final = 200
"""Results that are looked at for the page: the newest."""


@dataclass(frozen=True, slots=True)
class Line:
    """patient: its id, "" where it is not shown. asks: id of the Task by which the hub asks to hear of it."""

    title: str
    value: str
    person: str
    patient: str
    who: str
    when: str
    seen: bool
    asks: str


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/results", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "results")
        if isinstance(guest, Response):
            return guest
        hub, view = guests.context_of(request).hub, viewer.as_organization(guest.own.rid)
        async with hub.engine.pool.acquire() as conn:
            wall = await patients.wall_of(request, guest, conn)
            found = await agenda.came(conn, view, sorted(TYPES), wall.now - RECENT, MOST)
            papers = [Paper.of(one.version) for one in found]
            makers = await prior_results.holders(conn, view, papers, hub.base)
            whose = sorted({one.version.patient for one in found if one.version.patient})
            known = await resources.read_rids(conn, view, whose)
        lines = []
        for one, paper in zip(found, papers, strict=True):
            patient = known.get(one.version.patient or 0)
            names = parties.document(patient).get("name") if patient and patient.body else None
            lines.append(
                Line(
                    occurrences.title(paper)
                    or guest.t(occurrences.KINDS.get(one.version.type, "Result")),
                    occurrences.told(paper.document) or str(paper.document.get("conclusion") or ""),
                    name_of(names[0]) if names else "",
                    patient.id if patient and patient.body else "",
                    makers.get(one.version.rid, ""),
                    wall.instant(one.at)[2],
                    one.seen,
                    one.asks.partition("/")[2],
                )
            )
        rids = tuple(one.version.rid for one in found)
        await guests.looked(request, guest, "search-type", None, rids, "Observation")
        return guests.room(request, guest, "results", 200, here="results", lines=lines)
