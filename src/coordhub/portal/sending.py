"""The clinician's room: a person, what is asked for, who could help and why, and one button that sends it.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.portal import answering, candidates, chart, forms, guests, patients, proposing
from coordhub.portal.candidates import Kind
from coordhub.portal.guests import Guest

_NUMBER: Final = re.compile(r"[0-9a-f]{32}")


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/refer/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        return await _page(request, guest, fhir_id, dict(request.query_params))

    @app.post("/portal/refer/{fhir_id}", include_in_schema=False)
    async def sent(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        form = await forms.fields(request, 40)
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _page(request, guest, fhir_id, form, sends=True)


async def _page(
    request: Request, guest: Guest, fhir_id: str, form: dict[str, str], *, sends: bool = False
) -> Response:
    """With what was chosen so far; `sends`: it is to be sent, if nothing is lacking."""
    hub = guests.context_of(request).hub
    kind, urgent = candidates.kinds().get(form.get("kind", "")), form.get("urgent") == "on"
    found, refused, status = None, None, 200
    async with hub.engine.pool.acquire() as conn:
        patient = await chart.patient(conn, viewer.as_organization(guest.own.rid), fhir_id)
        if patient is None:
            return guests.room(request, guest, "missing", 404)
        if kind is not None:
            wall = await patients.wall_of(request, guest, conn)
            found = await candidates.found(hub, conn, guest.own, patient, kind, urgent, wall)
    person = chart.listing(patient).name
    if sends and (found is None or kind is None):
        return guests.room(request, guest, "missing", 404)
    if sends and found is not None and kind is not None:
        done = await _send(request, guest, found, kind, form, urgent=urgent)
        if isinstance(done, Response):
            return done
        refused, status = done
    rids = (patient.rid,) if found is None else found.rids
    await guests.looked(request, guest, "read", fhir_id, rids, "Patient")
    return guests.room(
        request, guest, "refer", status, here="patients", person=person, fhir_id=fhir_id,
        kinds=candidates.kinds(), kind=kind, urgent=urgent, found=found, refused=refused or (),
        form=form, number=_number(form), longest=answering.LONGEST, sends=sends,
        action=f"{guests.home(request)}/refer/{fhir_id}",
    )  # fmt: skip


async def _send(
    request: Request,
    guest: Guest,
    found: candidates.Found,
    kind: Kind,
    form: dict[str, str],
    *,
    urgent: bool,
) -> Response | tuple[tuple[str, ...], int]:
    """On to the referral that was sent; else what is refused, and with which status."""
    chosen = [one for one in found.candidates if form.get(f"whom.{one.reference}") == "on"]
    if (lacking := candidates.lacks(found, chosen, form)) is not None:
        return (lacking,), 422
    caller = proposing.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        task = await candidates.send(
            guests.context_of(request).hub, caller, found, kind, chosen, urgent=urgent,
            words=form.get("words", "").strip()[: answering.LONGEST],
            anyway=form.get("anyway", "").strip()[: answering.LONGEST] if found.warnings else "",
            number=_number(form),
        )  # fmt: skip
    except FhirError as error:
        return guests.refused(error), error.status
    return guests.go(request, f"/referrals/{task}")


def _number(form: dict[str, str]) -> str:
    """Of this form: sent twice, it is one referral."""
    stated = form.get("number", "")
    return stated if _NUMBER.fullmatch(stated) else uuid4().hex
