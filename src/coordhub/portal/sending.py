"""The clinician's room: a person, what is asked for, who could help and why, and one button that sends it.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.insight.told import REASONS
from coordhub.portal import agreed, answering, candidates, chart, forms, guests, patients, unhelped
from coordhub.portal.agreed import Part, Sent
from coordhub.portal.guests import Guest
from coordhub.portal.unhelped import Ended

NUMBER: Final = "urn:coordhub:order-of-portal"

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
        form = await forms.fields(request, 60)
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
    found, status, again = None, 200, None
    async with hub.engine.pool.acquire() as conn:
        patient = await chart.patient(conn, viewer.as_organization(guest.own.rid), fhir_id)
        if patient is None:
            return guests.room(request, guest, "missing", 404)
        if form.get("again"):
            again = await unhelped.ended(conn, guest.own.rid, form["again"])
        if kind is not None:
            wall = await patients.wall_of(request, guest, conn)
            found = await candidates.found(
                hub,
                conn,
                guest.own,
                patient,
                kind,
                urgent,
                wall,
                meant=form.get("to", ""),
                ending=again.orders if again is not None else (),
            )
    if again is not None and found is not None:  # who did not help is not asked for it again
        others = tuple(one for one in found.candidates if one.organization not in again.out)
        found = replace(found, candidates=others)
    if sends and found is None:
        return guests.room(request, guest, "missing", 404)
    entries = await agreed.noted(request, guest, [found] if found else [], form)
    told: tuple[str, ...] = ()
    if sends and found is not None:
        number = {"system": NUMBER, "value": _number(form)}
        words = form.get("words", "").strip()[: answering.LONGEST]
        based_on = again.task.reference if again is not None else ""
        sent = Sent(urgent, words, {found.kind.key: number}, task=number, based_on=based_on)
        parts = [agreed.part(found, form)]
        told, status = await _ended_first(request, guest, again, parts, form)
        if not told:
            done = await agreed.settle(request, guest, parts, sent, form, entries)
            if isinstance(done, Response):
                return done
            told, status = done
    rids = (patient.rid,) if found is None else found.rids
    await guests.looked(request, guest, "read", fhir_id, rids, "Patient")
    return guests.room(
        request, guest, "refer", status, here="patients", person=chart.listing(patient).name,
        fhir_id=fhir_id, kinds=candidates.kinds(), kind=kind, urgent=urgent, found=found,
        refused=told, form=form, number=_number(form), longest=answering.LONGEST, sends=sends,
        again=again.task.id if again is not None else "",
        instead=again is not None and again.is_open,
        entries=entries, overrides=REASONS, action=f"{guests.home(request)}/refer/{fhir_id}",
    )  # fmt: skip


async def _ended_first(
    request: Request, guest: Guest, again: Ended | None, parts: Sequence[Part], form: dict[str, str]
) -> tuple[tuple[str, ...], int]:
    """What is asked of another instead ends before it is sent; what is refused, and with which status."""
    going = [one for one in parts if not one.is_left]
    if again is None or not again.is_open or not going or agreed.lacks(going, form) is not None:
        return (), 200
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        await unhelped.end(guests.context_of(request).hub, caller, again)
    except FhirError as error:
        return guests.refused(error), error.status
    return (), 200


def _number(form: dict[str, str]) -> str:
    """Of this form: sent twice, it is one referral."""
    stated = form.get("number", "")
    return stated if _NUMBER.fullmatch(stated) else uuid4().hex
