"""Passkeys on pages: one is made by who is there, or on the first day, and used by who comes back.

https://www.w3.org/TR/webauthn-3/, https://passkeys.dev/docs/use-cases/bootstrapping/

A page asks here for a challenge, has the browser answer it, and sends the answer as a form. A challenge is answered
once, within minutes, by the browser that asked. Whatever is wrong with an answer is told in the same words. A page
whose browser runs no script does not show the button: password and code do as before.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import timedelta
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import passkeys as ceremonies
from coordhub.access.passkeys import Place
from coordhub.portal import entering, forms, guests, pages, signing_in, you
from coordhub.portal.bounds import Bounds
from coordhub.portal.signing_in import LONGEST, Session, SignedIn
from coordhub.store import passkeys
from coordhub.store.passkeys import Passkey

COOKIE: Final = "coordhub_passkey"
ASKED: Final = timedelta(minutes=3)
"""So long a challenge may be answered."""

LONGEST_NAME: Final = 60
_HELD: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def add(app: FastAPI) -> None:
    """Hang the door. `app.state` must hold what `entering` needs when a request comes."""
    bounds = Bounds()

    @app.get("/portal/passkeys.js", include_in_schema=False)
    async def script() -> Response:
        kept = {**pages.HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(
            pages.script("passkeys.js"), 200, kept, media_type="text/javascript; charset=utf-8"
        )

    @app.post("/portal/sign-in/passkey", include_in_schema=False)
    async def asked_to_use(request: Request) -> Response:
        admission, now = (
            guests.context_of(request).admission,
            guests.context_of(request).hub.clock(),
        )
        place = entering.place(request)
        if place is None:
            return entering.missing(request)
        if bounds.is_over(admission, request.scope, now):
            return Response(status_code=429, headers=pages.HEADERS)
        held = secrets.token_urlsafe(32)
        said = _json(ceremonies.to_use(place, await _challenge(request, _of_browser(held))))
        said.set_cookie(
            COOKIE, held, max_age=int(ASKED.total_seconds()), path=f"{guests.home(request)}/sign-in",
            secure=guests.is_secure(request), httponly=True, samesite="strict",
        )  # fmt: skip
        return said

    @app.post("/portal/sign-in/with-passkey", include_in_schema=False)
    async def used(request: Request) -> Response:
        context, admission = guests.context_of(request), guests.context_of(request).admission
        form, now = await forms.fields(request) or {}, context.hub.clock()
        place, to = entering.place(request), entering.onward(form.get("to"))
        if place is None:
            return entering.missing(request)
        if bounds.is_over(admission, request.scope, now):
            return entering.sign_in(request, 429, "locked", to=to)
        done = await _sign_in(request, place, form.get("credential", ""))
        if not isinstance(done, SignedIn):
            bounds.failed(admission, request.scope, now)
            return entering.sign_in(request, 401, "passkey", to=to)
        await guests.noted(request, done.person, "signed-in", 200)
        there = guests.go(request, to)
        guests.set_session(request, there, done)
        there.delete_cookie(COOKIE, path=f"{guests.home(request)}/sign-in")
        return there

    @app.post("/portal/you/passkey", include_in_schema=False)
    async def asked_to_make(request: Request) -> Response:
        place, session = entering.place(request), await guests.session_of(request)
        form = await forms.fields(request)
        if place is None or session is None or form is None or form.get("seal") != session.seal:
            return entering.missing(request)
        if not you.is_fresh(request, session):
            return Response(status_code=403, headers=pages.HEADERS)
        hub, person = guests.context_of(request).hub, session.person
        async with hub.engine.pool.acquire() as conn:
            known = [one.id for one in await passkeys.of(conn, person.id)]
        challenge = await _challenge(request, _of_session(session))
        return _json(
            ceremonies.to_make(place, challenge, person.id, person.email, person.name, known)
        )

    @app.post("/portal/you/passkeys", include_in_schema=False)
    async def made(request: Request) -> Response:
        place, session = entering.place(request), await guests.session_of(request)
        form = await forms.fields(request)
        if session is None:
            return guests.go(request, "/sign-in")
        if place is None or form is None or form.get("seal") != session.seal:
            return entering.missing(request)
        one = await _made(request, place, session, form)
        if one is None:
            return await _not_made(request, session)
        hub = guests.context_of(request).hub
        if session.factor is None:
            async with hub.engine.transaction() as conn:
                done = await passkeys.add(conn, session.person.id, one)
            if not done:
                return await _not_made(request, session)
            await guests.noted(request, session.person, "passkey-added", 200)
            return guests.go(request, "/you")
        let_in = await _set_up(request, session, one)
        if let_in is None:
            return await _not_made(request, session)
        await guests.noted(request, session.person, "passkey-added", 200)
        there = guests.go(request, "")
        guests.set_session(request, there, let_in)
        return there


def _json(text: str) -> Response:
    return Response(text, 200, pages.HEADERS, media_type="application/json")


def _of_browser(held: str) -> bytes:
    return hashlib.sha256(b"passkey to use " + held.encode()).digest()


def _of_session(session: Session) -> bytes:
    return hashlib.sha256(b"passkey to make " + session.token.encode()).digest()


async def _challenge(request: Request, hashed: bytes) -> bytes:
    """A new one, for whose browser holds that."""
    hub, challenge = guests.context_of(request).hub, secrets.token_bytes(32)
    now = hub.clock()
    async with hub.engine.pool.acquire() as conn:
        await passkeys.ask(conn, hashed, challenge, now, now + ASKED)
    return challenge


async def _sign_in(request: Request, place: Place, text: str) -> SignedIn | None:
    hub, held = guests.context_of(request).hub, request.cookies.get(COOKIE, "")
    one, now = ceremonies.shown(text), hub.clock()
    async with hub.engine.pool.acquire() as conn:
        asked = _HELD.fullmatch(held) and await passkeys.asked(conn, _of_browser(held), now)
        known = await passkeys.known(conn, one.id) if one is not None and asked else None
    if one is None or not asked or known is None:
        await guests.noted(request, None, "unauthenticated", 401)
        return None
    person, key, uses = known
    counted = ceremonies.uses_of(place, asked, one, key, uses) if one.person == person.id else None
    if counted is not None and person.active:
        async with hub.engine.pool.acquire() as conn:
            if await passkeys.use(conn, one.id, counted, now):
                return await signing_in.begin(hub, person, signing_in.name_of(person.email), None)
    await guests.noted(request, person, "unauthenticated", 401)
    return None


async def _made(
    request: Request, place: Place, session: Session, form: dict[str, str]
) -> Passkey | None:
    """What this session was asked to make."""
    hub = guests.context_of(request).hub
    now = hub.clock()
    async with hub.engine.pool.acquire() as conn:
        asked = await passkeys.asked(conn, _of_session(session), now)
    if asked is None or not you.is_fresh(request, session):
        return None
    found = ceremonies.made(place, asked, form.get("credential", ""))
    if found is None:
        return None
    said = "".join(each for each in form.get("name", "") if each.isprintable())
    name = said.strip()[:LONGEST_NAME] or guests.words(request)("Passkey")
    return Passkey(found.id, found.key, found.uses, name, now, None)


async def _set_up(request: Request, session: Session, one: Passkey) -> SignedIn | None:
    """The first day ends with it: no password is left."""
    hub, token = guests.context_of(request).hub, secrets.token_urlsafe(32)
    async with hub.engine.transaction() as conn:
        done = await passkeys.set_up(
            conn, session.person.id, signing_in.hashed(session.token), signing_in.hashed(token), one,
            one.made_at + LONGEST,
        )  # fmt: skip
    return SignedIn(token, session.person, True) if done else None


async def _not_made(request: Request, session: Session) -> Response:
    if session.factor is not None:
        return entering.setting_up(request, session, you.NOT_MADE)
    return await you.page(request, session, you.NOT_MADE, 422)
