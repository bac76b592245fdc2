"""The integration engineer's room: how its organization is reached, what did not arrive there, and sending it again.

https://www.rfc-editor.org/rfc/rfc9110, http://hl7.org/fhir/R4/endpoint.html

It tells of deliveries by their ids and by how their partner answered, and never what they are about: what is in
them may be shown to its organization no longer. Whether it may is asked again when it is sent again, and when
somebody looks into one (`contents`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.admin import letters
from coordhub.admin.acts import NothingDone, Operator
from coordhub.portal import answering, forms, guests
from coordhub.portal.guests import Guest
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.store import circuits, partners, search
from coordhub.store import letters as ledger
from coordhub.store.circuits import Reached
from coordhub.store.letters import Tried, Which

MOST: Final = 50
"""Deliveries that are listed; what was done to these makes room for more."""

ENDPOINTS: Final = 100

STATES: Final = {
    "closed": "As usual",
    "open": "Not reached; it is tried again by itself",
    "probing": "Not reached; it is being tried",
    "recovering": "Reached again; what waits is sent little by little",
}
ANSWERS: Final = {
    "delivered": "It was taken, and something was wrong with the answer",
    "refused": "Your server refused it",
    "unreachable": "Your server was not reached",
}
ACTS: Final = {
    "again": "delivery-replayed",
    "anew": "delivery-replayed-as-new",
    "discard": "delivery-discarded",
}


@dataclass(frozen=True, slots=True)
class Way:
    """An Endpoint (id) of theirs, where it is and how it goes there. state: to be translated."""

    id: str
    address: str
    state: str
    how: Reached


@dataclass(frozen=True, slots=True)
class Stuck:
    """A delivery that was given up, or waits for something to be mended. answer: to be translated; "": never tried."""

    id: UUID
    given_up: bool
    created_at: datetime
    attempts: int
    answer: str
    status: int | None


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/deliveries", include_in_schema=False)
    async def shown(request: Request) -> Response:
        guest = await guests.at(request, "deliveries")
        if isinstance(guest, Response):
            return guest
        if (wanted := request.query_params.get("id")) is not None:
            known = delivery_id(wanted.strip())
            if known is not None:
                return guests.go(request, f"/deliveries/{known}")
            return await _page(request, guest, ("This is no id of a delivery.",), 422)
        return await _page(request, guest)

    @app.post("/portal/deliveries", include_in_schema=False)
    async def done(request: Request) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "deliveries")
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _act(request, guest, form)


async def _page(
    request: Request, guest: Guest, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    hub = guests.context_of(request).hub
    which = Which(("dead", "parked"), organization=guest.own.id)
    found = await letters.listed(hub.engine, which, MOST)
    ways = await _ways(request, guest)
    async with hub.engine.pool.acquire() as conn:
        tried = await ledger.last_attempts(conn, [one.id for one in found])
        pace = await partners.pace_of(conn, guest.own.rid)
    stuck = [
        Stuck(
            one.id, one.state == "dead", one.created_at, one.attempts, *_answer(tried.get(one.id))
        )
        for one in found
    ]
    await guests.noted(request, guest.session.person, "deliveries", 200)
    return guests.room(
        request, guest, "deliveries", status, here="deliveries", ways=ways, stuck=stuck, most=MOST,
        refused=refused, pace=pace, **await guests.times(request, guest),
    )  # fmt: skip


def _answer(tried: Tried | None) -> tuple[str, int | None]:
    return ("", None) if tried is None else (ANSWERS[tried.outcome], tried.status)


async def _ways(request: Request, guest: Guest) -> list[Way]:
    """The Endpoints that its organization manages."""
    hub, view = guests.context_of(request).hub, viewer.as_organization(guest.own.rid)
    query = parse_query("Endpoint", [("organization", guest.own.reference)], base=hub.base)
    async with hub.engine.searches.acquire() as conn:
        page = await search.search(conn, hub.engine, view, query, limit=ENDPOINTS)
    async with hub.engine.pool.acquire() as conn:
        how = await circuits.reached(
            conn, guest.own.rid, [one.rid for one in page.versions], hub.clock()
        )
    return [
        Way(
            one.id, str(parties.document(one).get("address", "")), STATES[how[one.rid].state],
            how[one.rid],
        )
        for one in page.versions
    ]  # fmt: skip


async def _act(request: Request, guest: Guest, form: dict[str, str]) -> Response:
    hub = guests.context_of(request).hub
    by = Operator(answering.PERSON + guest.session.person.id)
    what, reason = form.get("act", ""), form.get("reason", "").strip()[: answering.LONGEST]
    try:
        if what == "try":
            known = {way.id for way in await _ways(request, guest)}
            if form.get("endpoint") not in known:
                return guests.room(request, guest, "missing", 404)
            await letters.probe(hub.engine, by, f"Endpoint/{form['endpoint']}", hub.clock())
            return guests.go(request, "/deliveries")
        delivery = delivery_id(form.get("delivery", ""))
        if what not in ACTS or delivery is None:
            return guests.room(request, guest, "missing", 404)
        if what == "discard" and not reason:
            return await _page(request, guest, ("Say why it is not to be sent any more.",), 422)
        which = Which(letters.STATES[ACTS[what]], (delivery,), organization=guest.own.id)
        await letters.carry_out(hub.engine, by, ACTS[what], which, hub.clock(), reason)
    except NothingDone:
        said = "This is so no longer: look at the list as it is now."
        return await _page(request, guest, (said,), 409)
    return guests.go(request, "/deliveries")


def delivery_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
