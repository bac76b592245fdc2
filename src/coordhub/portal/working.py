"""Rooms of program staff: what their organization is asked, and one of these with its answers.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.portal import (
    answering,
    due_back,
    entering,
    errand,
    forms,
    guests,
    launching,
    lookout,
    sheets,
    talking,
    vacancies,
    worklist,
    written_releases,
)
from coordhub.portal.guests import Guest
from coordhub.portal.listed import LENGTH, beginning
from coordhub.portal.sheets import Sheet
from coordhub.portal.talking import Talk
from coordhub.record import errands, parties
from coordhub.referral import data_request
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.links import Visit

TABS: Final = {"open": "New", "active": "Taken on", "done": "Over"}


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/worklist", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "worklist")
        if isinstance(guest, Response):
            return guest
        return await _worklist(request, guest)

    @app.post("/portal/places/{fhir_id}", include_in_schema=False)
    async def said(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "worklist")
        if isinstance(guest, Response):
            return guest
        return await _say(request, guest, fhir_id, form or {})

    @app.get("/portal/tasks/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "worklist")
        if isinstance(guest, Response):
            return guest
        return await _task(request, guest, fhir_id)

    @app.post("/portal/tasks/{fhir_id}", include_in_schema=False)
    async def answered(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "worklist")
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _answer(request, guest, fhir_id, form)


async def _worklist(
    request: Request, guest: Guest, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    hub = guests.context_of(request).hub
    show = request.query_params.get("show", "open")
    show = show if show in TABS else "open"
    start = beginning(request.query_params.get("from", ""))
    async with hub.engine.pool.acquire() as conn:
        found = await worklist.worklist(hub, conn, guest.own.rid, show, start)
        places = await vacancies.vacancies(hub, conn, guest.own)
    await guests.looked(request, guest, "search-type", None, found.rids)
    return guests.room(
        request, guest, "worklist", status, refused=refused, here="worklist",
        back=f"/worklist?show={show}", tabs=TABS, found=found, most=worklist.MOST, length=LENGTH,
        places=places,
        states=vacancies.STATES, mark=lookout.seen(guest.session, found),
        **await guests.times(request, guest),
    )  # fmt: skip


async def _say(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    """What a service of its organization has of places."""
    hub, state = guests.context_of(request).hub, form.get("state", "")
    async with hub.engine.pool.acquire() as conn:
        places = await vacancies.vacancies(hub, conn, guest.own)
    found = next((one for one in places if one.id == fhir_id), None)
    sealed = form.get("seal") == guest.session.seal
    if not sealed or found is None or state not in vacancies.STATES:
        return guests.room(request, guest, "missing", 404)
    try:
        await vacancies.say(hub, guest, found, state, request.state.request_id)
    except FhirError as error:
        return await _worklist(request, guest, guests.refused(error), error.status)
    return guests.go(request, "/worklist")


async def _sheet(request: Request, guest: Guest, fhir_id: str) -> Sheet | None:
    """A Task that its organization is asked by; None for all others."""
    hub = guests.context_of(request).hub
    view = viewer.as_organization(guest.own.rid)
    async with hub.engine.pool.acquire() as conn:
        task = await resources.read(conn, view, "Task", fhir_id)
        if task is None or task.body is None:
            return None
        found = await sheets.sheet(hub, conn, Visit(guest.own.rid, task.rid), guest.t, ended=True)
    return found if found.task is not None else None


async def _task(
    request: Request, guest: Guest, fhir_id: str, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    found = await _sheet(request, guest, fhir_id)
    if found is None or found.task is None or found.document is None:
        return guests.room(request, guest, "missing", 404)
    if data_request.asks(found.document):
        return guests.go(request, f"/releases/{fhir_id}")
    asked, talk = await _asked(request, guest, found), await _talk(request, guest, found)
    hub, view = guests.context_of(request).hub, viewer.as_organization(guest.own.rid)
    async with hub.engine.pool.acquire() as conn:
        back = await due_back.due_back(hub, conn, view, found.task)
        referral = await _referral(request, guest, conn, found)
    rids = (*found.rids, *(one for part in (asked, talk) if part for one in part.rids))
    await guests.looked(request, guest, "read", fhir_id, rids)
    return guests.room(
        request, guest, "task", status, here="worklist", sheet=found, refused=refused, asked=asked,
        talk=talk, due_back=back, **await guests.times(request, guest),
        errand=errands.KINDS.get(found.errand, ""), referral=referral,
        state=worklist.state_of(found.document), seen=found.task.version,
        apps=await launching.offered(guests.context_of(request).hub),
        apart=await written_releases.is_apart(request, guest),
        reasons=answering.reasons(), failures=answering.failures(), longest=answering.LONGEST,
        action=f"{guests.home(request)}/tasks/{fhir_id}",
    )  # fmt: skip


async def _referral(request: Request, guest: Guest, conn: Connection, found: Sheet) -> str:
    """Where its organization reads the referral that an errand is about; empty: that is none of its own."""
    base, own = guests.context_of(request).hub.base, viewer.as_organization(guest.own.rid)
    named = (found.document or {}).get("basedOn") if found.errand else None
    for text in parties.locals_of(named, base):
        kind, _, fhir_id = text.partition("/")
        task = await resources.read(conn, own, kind, fhir_id) if kind == "Task" else None
        if task is not None and task.source == guest.own.rid:
            return f"{guests.home(request)}/referrals/{fhir_id}"
    return ""


async def _answer(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    found = await _sheet(request, guest, fhir_id)
    if found is None or found.task is None or found.document is None:
        return guests.room(request, guest, "missing", 404)
    what = form.get("act", "")
    if what == "open":
        begun = await launching.opened(
            guests.context_of(request), guest.session.person, guest.own, found,
            form.get("app", ""), request.state.request_id,
        )  # fmt: skip
        return (
            entering.missing(request)
            if begun is None
            else entering.going_on(request, elsewhere=begun)
        )
    if what == "say":
        refused, status = await talking.send(
            request, guest, await _talk(request, guest, found), form
        )  # fmt: skip
        if refused:
            return await _task(request, guest, fhir_id, refused, status)
        return guests.go(request, f"/tasks/{fhir_id}")
    asked = await _asked(request, guest, found)
    if asked is not None:
        return await _errand(request, guest, found, asked, form)
    if what not in found.answers:
        return await _task(request, guest, fhir_id, ("This cannot be answered so any more.",), 409)
    if (lacking := answering.lacks(what, form)) is not None:
        return await _task(request, guest, fhir_id, (lacking,), 422)
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        await answering.answer(
            guests.context_of(request).hub, caller, found.task, found.document, what,
            reason=form.get("reason", ""), words=form.get("words", ""),
            seen=forms.version(form.get("seen", "")),
        )  # fmt: skip
    except FhirError as error:
        return await _task(request, guest, fhir_id, guests.refused(error), error.status)
    return guests.go(request, f"/tasks/{fhir_id}")


async def _talk(request: Request, guest: Guest, found: Sheet) -> Talk | None:
    """What is said about it; None of an errand."""
    if found.task is None or found.errand:
        return None
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        return await talking.talk(conn, guest.own.rid, found.task)


async def _asked(request: Request, guest: Guest, found: Sheet) -> errand.Asked | None:
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        return await errand.asked(
            hub, conn, guest.own.rid, found, request.query_params.get("who", "")
        )


async def _errand(
    request: Request, guest: Guest, found: Sheet, asked: errand.Asked, form: dict[str, str]
) -> Response:
    assert found.task is not None
    fhir_id = found.task.id
    way = next((one for one in asked.ways if one.act == form.get("act")), None)
    if way is None:
        return await _task(request, guest, fhir_id, ("This cannot be answered so any more.",), 409)
    chosen = form.get("chosen", "")
    if (lacking := errand.lacks(asked, way, chosen)) is not None:
        return await _task(request, guest, fhir_id, (lacking,), 422)
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    said = form.get("words", "").strip()[: answering.LONGEST]
    try:
        await errand.answer(
            guests.context_of(request).hub, caller, found, way, chosen, said,
            forms.version(form.get("seen", "")),
        )  # fmt: skip
    except FhirError as error:
        return await _task(request, guest, fhir_id, guests.refused(error), error.status)
    return guests.go(request, f"/tasks/{fhir_id}")
