"""A person's own page: who it is here, and by what it signs in.

https://pages.nist.gov/800-63-4/sp800-63b.html#sec4 (binding authenticators)

A passkey is a way in for good: one is added soon after having signed in only, so that a browser that was left open does
not become one. It may be taken away at any time, but for the last way in.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.portal import entering, forms, guests
from coordhub.portal.signing_in import Session
from coordhub.store import passkeys

FRESH: Final = timedelta(minutes=10)
"""After having signed in."""

NOT_MADE: Final = "No passkey was added. Try again, and let this device check that it is you."
ONLY_WAY: Final = (
    "This is your only way in. Add another passkey first, or ask for a new first password."
)


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/you", include_in_schema=False)
    async def shown(request: Request) -> Response:
        session = await guests.session_of(request)
        if session is None or session.factor is not None:
            return guests.go(request, "/sign-in")
        return await page(request, session)

    @app.post("/portal/you/remove", include_in_schema=False)
    async def removed(request: Request) -> Response:
        session, form = await guests.session_of(request), await forms.fields(request)
        if session is None or session.factor is not None:
            return guests.go(request, "/sign-in")
        if form is None or form.get("seal") != session.seal:
            return entering.missing(request)
        try:
            which = bytes.fromhex(form.get("passkey", ""))
        except ValueError:
            return entering.missing(request)
        hub, person = guests.context_of(request).hub, session.person
        async with hub.engine.transaction() as conn:
            known = {one.id for one in await passkeys.of(conn, person.id)}
            gone = which in known and await passkeys.remove(conn, person.id, which)
        if not gone and which in known:
            return await page(request, session, ONLY_WAY, 409)
        if gone:
            await guests.noted(request, person, "passkey-removed", 200)
        return guests.go(request, "/you")


def is_fresh(request: Request, session: Session) -> bool:
    return guests.context_of(request).hub.clock() - session.since < FRESH


async def page(
    request: Request, session: Session, trouble: str | None = None, status: int = 200
) -> Response:
    guest = await guests.anyone(request)
    if guest is None:
        return guests.go(request, "/sign-in")
    hub, person = guests.context_of(request).hub, session.person
    async with hub.engine.pool.acquire() as conn:
        mine = await passkeys.of(conn, person.id)
    shown = {
        "person": person, "passkeys": mine, "offered": entering.place(request) is not None, "trouble": trouble,
        "fresh": is_fresh(request, session), "more": len(mine) < passkeys.MOST,
        **await guests.times(request, guest),
    }  # fmt: skip
    if guest.is_patient:
        return guests.page(
            request, "you", status, None, guest=person, organization="", here="you",
            seal=session.seal, **shown,
        )  # fmt: skip
    return guests.room(request, guest, "you", status, here="you", **shown)
