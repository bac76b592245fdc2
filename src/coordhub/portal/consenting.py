"""The privacy officer's rooms of a patient's Consents: all in words, one of them, and its end after a question.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.errors import FhirError
from coordhub.portal import answering, consented, disclosed, forms, guests, leave, patients
from coordhub.portal.consented import Told
from coordhub.portal.guests import Guest
from coordhub.store.resources import Version

LACKS: Final = "Choose why it ends, or say it in your words."
OVER: Final = "It cannot be ended here: it has ended, or another organization has written it."


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/privacy/{fhir_id}/consents", include_in_schema=False)
    async def listed(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        hub = guests.context_of(request).hub
        patient = await disclosed.patient(hub, guest.own.rid, fhir_id)
        if patient is None:
            return guests.room(request, guest, "missing", 404)
        async with hub.engine.pool.acquire() as conn:
            wall = await patients.wall_of(request, guest, conn)
        told = await consented.of_patient(hub, guest.own.rid, patient, wall)
        rids = tuple(one.version.rid for one in told)
        await guests.looked(request, guest, "search-type", None, rids, "Consent")
        return guests.room(
            request, guest, "consents", 200, here="privacy", whose=leave.choice(patient), told=told,
            most=consented.MOST, printed=wall.dated(wall.now), dated=wall.dated,
        )  # fmt: skip

    @app.get("/portal/privacy/{fhir_id}/consents/{consent}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str, consent: str) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        found = await _found(request, guest, fhir_id, consent)
        return await _page(request, guest, found)

    @app.post("/portal/privacy/{fhir_id}/consents/{consent}", include_in_schema=False)
    async def ended(request: Request, fhir_id: str, consent: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        found = await _found(request, guest, fhir_id, consent)
        if found is None or form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _end(request, guest, found, form)


async def _found(
    request: Request, guest: Guest, fhir_id: str, consent: str
) -> tuple[Version, Told] | None:
    """Patient and Consent, if its organization keeps the one's record and may see the other."""
    hub = guests.context_of(request).hub
    patient = await disclosed.patient(hub, guest.own.rid, fhir_id)
    if patient is None or not leave.ID.fullmatch(consent):
        return None
    async with hub.engine.pool.acquire() as conn:
        wall = await patients.wall_of(request, guest, conn)
    told = await consented.one_of(hub, guest.own.rid, patient, consent, wall)
    return None if told is None else (patient, told)


async def _page(
    request: Request,
    guest: Guest,
    found: tuple[Version, Told] | None,
    refused: tuple[str, ...] = (),
    status: int = 200,
    reason: str = "",
) -> Response:
    """reason: why it is to end; then it is asked whether it is meant."""
    if found is None:
        return guests.room(request, guest, "missing", 404)
    patient, one = found
    await guests.looked(request, guest, "read", one.id, (one.version.rid,), "Consent")
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        wall = await patients.wall_of(request, guest, conn)
    return guests.room(
        request, guest, "consent", status, here="privacy", whose=leave.choice(patient), one=one,
        reasons=list(consented.WITHDRAWN.items()), longest=answering.LONGEST, refused=refused,
        reason=reason, may_end=_may_end(one), printed=wall.dated(wall.now), dated=wall.dated,
        action=f"{guests.home(request)}/privacy/{patient.id}/consents/{one.id}",
    )  # fmt: skip


def _may_end(one: Told) -> bool:
    """Also one that is asleep: its time may come."""
    return one.own and one.status == "active"


async def _end(
    request: Request, guest: Guest, found: tuple[Version, Told], form: dict[str, str]
) -> Response:
    patient, one = found
    words = form.get("words", "").strip()[: answering.LONGEST]
    chosen = guest.t(consented.WITHDRAWN.get(form.get("reason", ""), ""))
    reason = ": ".join(filter(None, (chosen, words)))
    if not _may_end(one):
        return await _page(request, guest, found, (OVER,), 409)
    if not reason:
        return await _page(request, guest, found, (LACKS,), 422)
    if form.get("act") != "end":
        return await _page(request, guest, found, reason=reason)
    caller = consented.caller(guest.own, request.state.request_id, guest.session.person)
    seen = forms.version(form.get("seen", ""))
    try:
        await consented.end(guests.context_of(request).hub, caller, one.version, reason, seen)
    except FhirError as error:
        again = await _found(request, guest, patient.id, one.id)
        return await _page(request, guest, again, guests.refused(error), error.status)
    return guests.go(request, f"/privacy/{patient.id}/consents/{one.id}")
