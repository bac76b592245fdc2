"""The way in: who signs in, sets up a second factor, signs out, or leaves in a hurry.

https://www.rfc-editor.org/rfc/rfc9110, https://www.rfc-editor.org/rfc/rfc6265 (cookies),
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html

Nothing but the door itself is shown to who has not signed in. Every form holds a seal that no page of
another origin can know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from fastapi import FastAPI, Request, Response

from coordhub.access import totp
from coordhub.access.passkeys import Place
from coordhub.authorization.provider import Provider
from coordhub.portal import desks, forms, guests, language, pages, signing_in
from coordhub.portal.bounds import Bounds
from coordhub.portal.signing_in import Session, SignedIn

ELSEWHERE: Final = "https://www.weather.gov/"
"""Where who has to leave in a hurry is sent: a page that anybody may be looking at."""
_ONWARD: Final = re.compile(r"/apps|/allow\?[!-~]{1,8192}")
"""Where a person may be sent after having signed in: to what an app has asked for."""
TROUBLE: Final = {
    "short": "The password is too short: take 12 characters or more.",
    "differ": "The two passwords are not the same.",
    "code": "This code is not right. Type the one that your telephone shows now.",
    "gone": "This took too long. Sign in again.",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """Of the hub: the one of now, and those before, by which a second factor is still known."""

    now: bytes
    former: tuple[bytes, ...] = ()


def add(app: FastAPI) -> None:
    """Hang the door. `app.state` must hold the Context and `portal`, the Keys, when a request comes."""
    bounds = Bounds()

    @app.get("/portal", include_in_schema=False)
    async def entered(request: Request) -> Response:
        session = await guests.session_of(request)
        if session is not None and session.factor is None and session.person.roles == ("patient",):
            return guests.go(request, "/apps")
        guest = await guests.staff(request)
        if guest is None:
            return guests.go(request, "/sign-in")
        first = next(iter(desks.of(guest.session.person.roles)))
        return guests.go(request, f"/{first}")

    @app.get("/portal/style.css", include_in_schema=False)
    async def style() -> Response:
        kept = {**pages.HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(pages.style(), 200, kept, media_type="text/css; charset=utf-8")

    @app.get("/portal/language/{to}", include_in_schema=False)
    async def spoken(request: Request, to: str) -> Response:
        back = request.query_params.get("back", "")
        there = guests.go(request, back if guests.BACK.fullmatch(back) else "")
        if to in language.LANGUAGES:
            there.set_cookie(
                language.COOKIE, to, max_age=365 * 24 * 3600, path=guests.home(request),
                secure=guests.is_secure(request), httponly=True, samesite="lax",
            )  # fmt: skip
        return there

    @app.get("/portal/exit", include_in_schema=False)
    async def hurried(request: Request) -> Response:
        await signing_in.sign_out(
            guests.context_of(request).hub, request.cookies.get(guests.COOKIE, "")
        )
        left = Response(status_code=303, headers={**pages.HEADERS, "Location": ELSEWHERE})
        left.headers["Clear-Site-Data"] = '"cache"'
        left.delete_cookie(guests.COOKIE, path=guests.home(request))
        return left

    @app.get("/portal/sign-in", include_in_schema=False)
    async def asked_in(request: Request) -> Response:
        session = await guests.session_of(request)
        if session is not None and session.factor is not None:
            return guests.go(request, "/set-up")
        return sign_in(request, 200, None, to=onward(request.query_params.get("to")))

    @app.post("/portal/sign-in", include_in_schema=False)
    async def signed_in(request: Request) -> Response:
        context, admission = guests.context_of(request), guests.context_of(request).admission
        form, now = await forms.fields(request) or {}, context.hub.clock()
        to = onward(form.get("to"))
        if not passwords(request):
            return missing(request)
        if bounds.is_over(admission, request.scope, now):
            return sign_in(request, 429, "locked", to=to)
        done = await signing_in.sign_in(
            context.hub, _keys(request), form.get("email", ""), form.get("password", ""),
            form.get("code", ""),
        )  # fmt: skip
        if not isinstance(done, SignedIn):
            bounds.failed(admission, request.scope, now)
            await guests.noted(request, done.person, "unauthenticated", 401)
            status = 429 if done.why == "locked" else 401
            return sign_in(request, status, done.why, to=to, email=form.get("email", "")[:320])
        await guests.noted(request, done.person, "signed-in", 200)
        return _let_in(request, done, to if done.whole else "/set-up")

    @app.post("/portal/sign-out", include_in_schema=False)
    async def signed_out(request: Request) -> Response:
        session = await guests.session_of(request)
        form = await forms.fields(request)
        if session is None or form is None or form.get("seal") != session.seal:
            return guests.go(request, "/sign-in")
        await signing_in.sign_out(guests.context_of(request).hub, session.token)
        await guests.noted(request, session.person, "signed-out", 200)
        left = guests.go(request, "/sign-in")
        left.delete_cookie(guests.COOKIE, path=guests.home(request))
        return left

    @app.get("/portal/set-up", include_in_schema=False)
    async def to_set_up(request: Request) -> Response:
        session = await guests.session_of(request)
        if session is None or session.factor is None:
            return guests.go(request, "")
        return setting_up(request, session, None)

    @app.post("/portal/set-up", include_in_schema=False)
    async def set_up(request: Request) -> Response:
        session = await guests.session_of(request)
        form = await forms.fields(request)
        if session is None or session.factor is None:
            return guests.go(request, "")
        if form is None or form.get("seal") != session.seal:
            return guests.page(request, "missing", 404)
        done = await signing_in.set_up(
            guests.context_of(request).hub, _keys(request)[0], session, form.get("password", ""),
            form.get("again", ""), form.get("code", ""),
        )  # fmt: skip
        if not isinstance(done, SignedIn):
            return setting_up(request, session, TROUBLE[done])
        await guests.noted(request, session.person, "second-factor-set-up", 200)
        return _let_in(request, done, "")


def _keys(request: Request) -> tuple[bytes, ...]:
    keys: Keys = request.app.state.portal
    return (keys.now, *keys.former)


def setting_up(request: Request, session: Session, trouble: str | None) -> Response:
    assert session.factor is not None
    secret = totp.secret_of(session.factor, _keys(request)[0])
    text = totp.text_of(secret)
    return guests.page(
        request, "set_up", 200 if trouble is None else 422,
        passkeys=place(request) is not None, trouble=trouble, seal=session.seal,
        secret=" ".join(text[at : at + 4] for at in range(0, len(text), 4)),
        uri=totp.uri_of(secret, session.person.email, signing_in.ISSUER),
    )  # fmt: skip


def missing(request: Request) -> Response:
    return guests.page(request, "missing", 404)


def sign_in(
    request: Request, status: int, trouble: str | None, *, to: str = "", email: str = "",
    subject: str = "",
) -> Response:  # fmt: skip
    """The page for who is not there yet. to: page to be shown then. subject: of who is nobody's account."""
    provider: Provider | None = request.app.state.provider
    title = "" if provider is None else provider.registration.title
    return guests.page(
        request, "sign_in", status, trouble=trouble,
        email=email, to=to, subject=subject, provider=title, passwords=passwords(request),
        passkeys=place(request) is not None, onward=quote(to, safe=""),
    )  # fmt: skip


def passwords(request: Request) -> bool:
    provider: Provider | None = request.app.state.provider
    return provider is None or provider.registration.passwords


def place(request: Request) -> Place | None:
    """Of passkeys, where people sign in here and browsers have them."""
    base = guests.context_of(request).hub.base
    return Place.of(base) if passwords(request) else None


def going_on(request: Request, path: str = "", elsewhere: str = "") -> Response:
    """A page that goes on by itself to another of ours, or elsewhere."""
    onward = elsewhere or f"{guests.home(request)}{path}"
    return guests.page(request, "app_on", 200, onward=onward)


def _let_in(request: Request, done: SignedIn, path: str) -> Response:
    there = guests.go(request, path)
    guests.set_session(request, there, done)
    return there


def onward(to: str | None) -> str:
    return to if to is not None and _ONWARD.fullmatch(to) else ""
