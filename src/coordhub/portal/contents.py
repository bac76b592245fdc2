"""One delivery: how it stands, each attempt, and what it carries, when somebody asks for it.

http://hl7.org/fhir/R4/http.html#transaction

What it carries is what the server of its organization would be sent if it went now, and no more; that it was looked
at is a disclosure, on record before it is shown. Of others' deliveries there is nothing here.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request, Response

from coordhub.admin import http as admin
from coordhub.admin import letters
from coordhub.admin.acts import NothingDone, NotKnown, Operator
from coordhub.portal import answering, connecting, forms, guests
from coordhub.portal.guests import Guest
from coordhub.store.letters import Letter, Which

STATES: Final = {
    "queued": "Waits to be sent",
    "leased": "Is being sent",
    "parked": "Waits until something is mended",
    "delivered": "Was taken",
    "suppressed": "Is not sent",
    "dead": "Given up",
}
NOTHING: Final = (
    "Nothing of it may be shown to your organization any more, or there is nothing to send."
)


def add(app: FastAPI) -> None:
    """Hang this room. `app.state.admin` must hold the Admin when a request comes."""

    @app.get("/portal/deliveries/{delivery}", include_in_schema=False)
    async def shown(request: Request, delivery: str) -> Response:
        guest = await guests.at(request, "deliveries")
        if isinstance(guest, Response):
            return guest
        one = await _one(request, guest, delivery)
        if one is None:
            return guests.room(request, guest, "missing", 404)
        return await _page(request, guest, one)

    @app.post("/portal/deliveries/{delivery}", include_in_schema=False)
    async def looked(request: Request, delivery: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "deliveries")
        if isinstance(guest, Response):
            return guest
        one = await _one(request, guest, delivery)
        if one is None or form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _content(request, guest, one)


async def _one(request: Request, guest: Guest, delivery: str) -> Letter | None:
    known: UUID | None = connecting.delivery_id(delivery)
    if known is None:
        return None
    which = Which(tuple(STATES), (known,), organization=guest.own.id)
    found = await letters.listed(guests.context_of(request).hub.engine, which, 1)
    return found[0] if found else None


async def _page(
    request: Request, guest: Guest, one: Letter, status: int = 200, **more: object
) -> Response:
    tried = await letters.tried_so_far(guests.context_of(request).hub.engine, one.id)
    await guests.noted(request, guest.session.person, "deliveries", 200)
    shown = {"content": None, "trouble": None, **more}
    return guests.room(
        request, guest, "delivery", status, here="deliveries", one=one, state=STATES[one.state],
        tried=tried, answers=connecting.ANSWERS, **await guests.times(request, guest), **shown,
    )  # fmt: skip


async def _content(request: Request, guest: Guest, one: Letter) -> Response:
    hub = guests.context_of(request).hub
    operating: admin.Admin = request.app.state.admin
    by = Operator(answering.PERSON + guest.session.person.id)
    try:
        found = await letters.content(
            hub.engine, by, one.id, operating.rendered, hub.clock(), guest.own.rid
        )
    except NotKnown:
        return guests.room(request, guest, "missing", 404)
    except NothingDone:
        return await _page(request, guest, one, 409, trouble=NOTHING)
    text = msgspec.json.format(found.body, indent=2).decode()  # as it is written, digit for digit
    return await _page(request, guest, one, content=text)
