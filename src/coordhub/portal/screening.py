"""Rooms for a screening: whom, which, the questions, what it found, and the referral that is sent of it.

https://www.rfc-editor.org/rfc/rfc9110, docs/screening.md
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from coordhub.errors import FhirError
from coordhub.insight.told import REASONS
from coordhub.portal import agreed, answering, asking, forms, guests, leave, patients, proposing
from coordhub.portal.guests import Guest
from coordhub.record.commit import commit
from coordhub.record.hub import instant
from coordhub.record.operations import Create
from coordhub.store.resources import Version

_FIELDS = 120
"""Of a form with all its answers."""


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/screening", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        hub, looked = guests.context_of(request).hub, request.query_params.get("who", "")[:100]
        found = await leave.choices(hub, guest.own.rid, looked, hub.clock())
        rids = tuple(one.rid for one in found)
        await guests.looked(request, guest, "search-type", None, rids, "Patient")
        return guests.room(
            request, guest, "screening_whom", 200, here="board", looked=looked,
            choices=[leave.choice(one) for one in found],
        )  # fmt: skip

    @app.get("/portal/screening/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        return await _form(request, guest, fhir_id, request.query_params.get("of", ""))

    @app.post("/portal/screening/{fhir_id}", include_in_schema=False)
    async def filled(request: Request, fhir_id: str) -> Response:
        given = await forms.fields(request, _FIELDS)
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        if given is None or given.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _fill(request, guest, fhir_id, given)

    @app.get("/portal/screened/{fhir_id}", include_in_schema=False)
    async def told(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        return await _found(request, guest, fhir_id)

    @app.post("/portal/screened/{fhir_id}", include_in_schema=False)
    async def sent(request: Request, fhir_id: str) -> Response:
        given = await forms.fields(request, _FIELDS)
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        if given is None or given.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _found(request, guest, fhir_id, given)


async def _patient(request: Request, guest: Guest, fhir_id: str) -> Version | None:
    return await leave.chosen(guests.context_of(request).hub, guest.own.rid, fhir_id)


async def _form(
    request: Request,
    guest: Guest,
    fhir_id: str,
    which: str,
    refused: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    patient = await _patient(request, guest, fhir_id)
    if patient is None:
        return guests.room(request, guest, "missing", 404)
    await guests.looked(request, guest, "read", fhir_id, (patient.rid,), "Patient")
    here = f"{guests.home(request)}/screening/{fhir_id}"
    return guests.room(
        request, guest, "screening", status, here="board", person=leave.choice(patient).name,
        form=asking.forms().get(which), listed=asking.forms(), action=here, refused=refused,
    )  # fmt: skip


async def _fill(request: Request, guest: Guest, fhir_id: str, given: dict[str, str]) -> Response:
    hub = guests.context_of(request).hub
    form, patient = asking.forms().get(given.get("of", "")), await _patient(request, guest, fhir_id)
    if form is None or patient is None:
        return guests.room(request, guest, "missing", 404)
    document = asking.response(
        form, given, patient.reference, guest.own.reference, instant(hub.clock())
    )
    if document is None:
        lacking = ("Nothing is answered yet.",)
        return await _form(request, guest, fhir_id, form.id, lacking, 422)
    caller = agreed.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        done = await commit(
            hub, caller, [Create("QuestionnaireResponse", document)], interaction="create"
        )
    except FhirError as error:
        said = guests.refused(error)
        return await _form(request, guest, fhir_id, form.id, said, error.status)
    return guests.go(request, f"/screened/{done.written[0].id}")


async def _found(
    request: Request, guest: Guest, fhir_id: str, given: dict[str, str] | None = None
) -> Response:
    """given: what is to be sent, if nothing is lacking."""
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        wall = await patients.wall_of(request, guest, conn)
        found = await proposing.screened(hub, conn, guest.own, fhir_id, wall)
    if found is None:
        return guests.room(request, guest, "missing", 404)
    form = given or {}
    entries = await agreed.noted(request, guest, found.proposed, form)
    refused: tuple[str, ...] = ()
    status = 200
    if given is not None:
        parts = proposing.chosen(found, given)
        sent = await proposing.sent_of(hub, guest.own.rid, found, parts)
        done = await agreed.settle(request, guest, parts, sent, given, entries)
        if isinstance(done, Response):
            return done
        refused, status = done
    await guests.looked(request, guest, "read", fhir_id, found.rids, "QuestionnaireResponse")
    home = guests.home(request)
    return guests.room(
        request, guest, "screened", status, here="board", found=found, refused=refused, form=form,
        sends=given is not None, entries=entries, overrides=REASONS, longest=answering.LONGEST,
        action=f"{home}/screened/{fhir_id}", again=f"{home}/screening/{found.patient.id}",
    )  # fmt: skip
