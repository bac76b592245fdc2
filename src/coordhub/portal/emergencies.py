"""The privacy officer's room of emergencies: who opened a record of ours, for what, what it saw, and what we found.

https://www.ecfr.gov/current/title-42/part-2/section-2.51 (what the holder of the record writes down)

What was seen is told by kind and id. The reason in words stays in the audit of who gave it; the nature of the
emergency and who treated are what the holder has to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.portal import (
    answering,
    consented,
    disclosed,
    forms,
    guests,
    leave,
    listed,
    officer,
    provisions,
)
from coordhub.portal.guests import Guest
from coordhub.record import reviewing
from coordhub.store import accounts, disclosures, resources
from coordhub.store import emergencies as ledger
from coordhub.store.emergencies import Use
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer

MOST: Final = 100
"""Emergencies of the list."""

MOST_LOOKS: Final = 500
"""Looks of one emergency that are told: the first."""

OPEN: Final = "Not reviewed yet"
LACKS: Final = "Choose what you found, and say it in a sentence."


@dataclass(frozen=True, slots=True)
class Line:
    """id: of the notice. who: the organization. state: to be translated. person: whose record it was."""

    id: str
    who: str
    person: str
    patient: str
    state: str
    reviewed: bool
    use: Use


@dataclass(frozen=True, slots=True)
class Looked:
    """at: when. what: kinds, each with how many."""

    at: datetime
    what: tuple[str, ...]
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stated:
    """What was said when it was opened, as the audit keeps it. purpose: to be translated.

    practitioner: who treats, if the officer's organization sees it.
    """

    purpose: str = ""
    nature: str = ""
    practitioner: str = ""


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/emergencies", include_in_schema=False)
    async def every(request: Request) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        hub, view = guests.context_of(request).hub, viewer.as_organization(guest.own.rid)
        async with hub.engine.pool.acquire() as conn:
            lines = await _lines(conn, view, await ledger.uses(conn, view, MOST))
        rids = tuple(one.use.notice for one in lines)
        await guests.looked(request, guest, "search-type", None, rids, "Communication")
        return guests.room(
            request, guest, "emergencies", 200, here="privacy", lines=lines, most=MOST,
            parts=await officer.parts(request, guest), **await guests.times(request, guest),
        )  # fmt: skip

    @app.get("/portal/emergencies/{fhir_id}", include_in_schema=False)
    async def one(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        return await _page(request, guest, await _found(request, guest, fhir_id))

    @app.post("/portal/emergencies/{fhir_id}", include_in_schema=False)
    async def reviewed(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        line = await _found(request, guest, fhir_id)
        if line is None or form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        verdict = form.get("reason", "")
        said = " ".join(form.get("words", "").split())[: answering.LONGEST]
        if verdict not in reviewing.VERDICTS or not said:
            return await _page(request, guest, line, (LACKS,), 422)
        caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
        await reviewing.review(
            guests.context_of(request).hub, caller, line.use, line.id, verdict, said,
            guest.session.person.id,
        )  # fmt: skip
        return guests.go(request, f"/emergencies/{line.id}")


async def _found(request: Request, guest: Guest, fhir_id: str) -> Line | None:
    """The emergency of which this Communication told, if it is about a patient of theirs."""
    if not leave.ID.fullmatch(fhir_id):
        return None
    view = viewer.as_organization(guest.own.rid)
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        notice = await resources.read(conn, view, "Communication", fhir_id)
        if notice is None or notice.body is None:
            return None
        lines = await _lines(conn, view, await ledger.uses(conn, view, 1, notice.rid))
    return lines[0] if lines else None


async def _lines(conn: Connection, view: Viewer, uses: list[Use]) -> list[Line]:
    rids = {rid for one in uses for rid in (one.notice, one.actor, one.patient)}
    known = await resources.read_rids(conn, view, sorted(rids))
    lines = []
    for one in uses:
        patient, actor, notice = known[one.patient], known.get(one.actor), known.get(one.notice)
        if notice is None or notice.body is None:
            continue
        state = OPEN if one.verdict is None else reviewing.VERDICTS[one.verdict]
        who = consented.title(actor) if actor is not None and actor.body else ""
        person = leave.choice(patient).name
        lines.append(Line(notice.id, who, person, patient.id, state, one.verdict is not None, one))
    return lines


async def _page(
    request: Request,
    guest: Guest,
    line: Line | None,
    refused: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    if line is None:
        return guests.room(request, guest, "missing", 404)
    hub, view = guests.context_of(request).hub, viewer.as_organization(guest.own.rid)
    async with hub.engine.pool.acquire() as conn:
        stated = await _stated(conn, view, line.use)
        notes = await ledger.notes(conn, line.use.notice, guest.own.rid)
        people = {one.id: one.name for one in await accounts.of(conn, guest.own.rid)}
    looks = await _looks(request, guest, line.use)
    rids = (line.use.notice, line.use.patient)
    await guests.looked(request, guest, "read", line.id, rids, "Communication")
    return guests.room(
        request, guest, "emergency", status, here="privacy", line=line, stated=stated, looks=looks,
        notes=notes, people=people, verdicts=reviewing.VERDICTS, most=MOST_LOOKS, refused=refused,
        longest=answering.LONGEST, action=f"{guests.home(request)}/emergencies/{line.id}",
        **await guests.times(request, guest),
    )  # fmt: skip


async def _stated(conn: Connection, view: Viewer, use: Use) -> Stated:
    said = parse_qs(await ledger.stated(conn, use.notice) or "")
    [purpose], [nature], [practitioner] = (
        said.get(name, [""])[:1] for name in ("purpose", "emergency", "practitioner")
    )
    known = await listed.shown(conn, view, {practitioner}) if practitioner else {}
    return Stated(
        provisions.PURPOSES.get(purpose, ""),
        nature,
        consented.title(known[practitioner]) if practitioner in known else "",
    )


async def _looks(request: Request, guest: Guest, use: Use) -> list[Looked]:
    """What of the chart was sent to, or looked at by, who opened it, for as long as it was open."""
    view = viewer.as_organization(guest.own.rid)
    async with guests.context_of(request).hub.engine.searches.acquire() as conn:
        told = await disclosures.of_patient(
            conn, view, use.patient, use.since, use.until, MOST_LOOKS
        )
        actor = (await resources.read_rids(conn, view, [use.actor])).get(use.actor)
    looks = []
    for one in told[:MOST_LOOKS]:
        if actor is None or one.recipient != actor.reference or "break-glass" not in one.rules:
            continue
        if one.interaction == ledger.INTERACTION:  # the opening itself
            continue
        looks.append(Looked(one.at, disclosed.kinds_of(one.what, guest.t), one.what))
    return looks
