"""Coming on board, from the partner's side: how far its clients are, and the check list of each, gone through again.

http://hl7.org/fhir/R4/capabilitystatement.html

It is the check that an operator has made (`coordhub onboard check`), of the server that was registered, and is on
record with the person who pressed. Approving is an operator's. Of others' clients there is nothing here.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.admin import checking
from coordhub.admin import http as admin
from coordhub.admin.acts import NothingDone, Operator
from coordhub.portal import answering, forms, guests
from coordhub.portal.guests import Guest
from coordhub.store import onboarding
from coordhub.store.onboarding import Partner, Report

STATES: Final = {
    "registered": "Registered, among test data",
    "checked": "Checked, and waits for an operator's approval",
    "approved": "Approved",
    "suspended": "Suspended",
    "ended": "Ended",
}
RESULTS: Final = {"passed": "Passed", "failed": "Failed", "not tried": "Not tried"}
ITEMS: Final = {
    "reachable": "Your server is reached",
    "tls": "Its certificate",
    "clock": "Its clock",
    "capabilities": "What it says that it can do",
    "authentication": "It lets the hub in, and nobody else",
    "takes": "It takes what is sent",
    "once": "The same twice is there once",
    "acknowledgement": "It answers in time",
    "keys": "Your keys",
    "rotation": "Your keys are changed",
    "token": "A token was had",
    "sends": "What you send",
    "safe retries": "You can send again safely",
    "sample": "A sample of what you send",
}
"""By their names in the check list (docs/onboarding.md)."""

OUT: Final = "This client is let in no longer, and is not checked."


def add(app: FastAPI) -> None:
    """Hang this room. `app.state.admin` must hold the Admin when a request comes."""

    @app.get("/portal/onboarding", include_in_schema=False)
    async def shown(request: Request) -> Response:
        guest = await guests.at(request, "deliveries")
        if isinstance(guest, Response):
            return guest
        return await _page(request, guest)

    @app.post("/portal/onboarding", include_in_schema=False)
    async def checked(request: Request) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "deliveries")
        if isinstance(guest, Response):
            return guest
        known = {one.client for one, _ in await _clients(request, guest)}
        client = (form or {}).get("client", "")
        if form is None or form.get("seal") != guest.session.seal or client not in known:
            return guests.room(request, guest, "missing", 404)
        operating: admin.Admin = request.app.state.admin
        by = Operator(answering.PERSON + guest.session.person.id)
        try:
            await checking.check(operating.hub, by, client, operating.look)
        except NothingDone:
            return await _page(request, guest, 409, OUT)
        return guests.go(request, "/onboarding")


async def _clients(request: Request, guest: Guest) -> list[tuple[Partner, Report | None]]:
    """Those that act for its organization, or are to, each with its newest report."""
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        found = await onboarding.of_organization(conn, guest.own.rid)
        return [(one, await onboarding.newest(conn, one.client)) for one in found]


async def _page(request: Request, guest: Guest, status: int = 200, trouble: str = "") -> Response:
    clients = await _clients(request, guest)
    await guests.noted(request, guest.session.person, "onboarding", 200)
    return guests.room(
        request, guest, "onboarding", status, here="deliveries", clients=clients, trouble=trouble,
        states=STATES, results=RESULTS, titles=ITEMS, out=onboarding.OUT,
        **await guests.times(request, guest),
    )  # fmt: skip
