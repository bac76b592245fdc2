"""A person signs in at another OpenID provider, and comes back.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth, https://www.rfc-editor.org/rfc/rfc9207,
https://www.rfc-editor.org/rfc/rfc9700#section-4.4

Who comes back was away with this browser, once, and not long ago; then the provider is asked who it is. Whatever is
wrong is told in the same words. Only who is proven to be somebody there, but nobody here, hears what to be bound by.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response

from coordhub.authorization.provider import Metadata, Provider, SomebodyElses
from coordhub.fhir.context import Context
from coordhub.portal import answering, entering, guests, pages, signing_in
from coordhub.portal.bounds import Bounds
from coordhub.store import accounts, elsewhere
from coordhub.store.accounts import Person
from coordhub.store.elsewhere import Trip
from coordhub.store.transact import AuditRow

COOKIE: Final = "coordhub_trip"
AWAY: Final = timedelta(minutes=10)
"""So long a person may take to sign in there."""

_LONGEST: Final = 8 * 1024


def add(app: FastAPI) -> None:
    """Hang the door. `app.state.provider` must hold the Provider, or None, when a request comes."""
    bounds = Bounds()

    @app.get("/portal/sign-in/elsewhere", include_in_schema=False)
    async def leaves(request: Request) -> Response:
        provider = _provider(request)
        if provider is None:
            return entering.missing(request)
        to = entering.onward(request.query_params.get("to"))
        at = await provider.metadata()
        if at is None:
            return entering.sign_in(request, 503, "away", to=to)
        return await _leaving(request, provider, at, to)

    @app.get("/portal/sign-in/back", include_in_schema=False)
    async def back(request: Request) -> Response:
        context, admission = _context(request), _context(request).admission
        provider, now = _provider(request), context.hub.clock()
        if provider is None:
            return entering.missing(request)
        if bounds.is_over(admission, request.scope, now):
            return entering.sign_in(request, 429, "locked")
        came = await _came_back(request, provider)
        if came is None:
            bounds.failed(admission, request.scope, now)
            await _noted(request, None, 401)
            return entering.sign_in(request, 401, "elsewhere")
        trip, who = came
        person = await _account(context, provider, who)
        if person is None:
            bounds.failed(admission, request.scope, now)
            await _noted(request, None, 401)
            return entering.sign_in(request, 401, "unbound", to=trip.onward, subject=who.subject)
        if not person.active:
            await _noted(request, person, 401)
            return entering.sign_in(request, 401, "elsewhere")
        done = await signing_in.begin(context.hub, person, signing_in.name_of(person.email), None)
        await _noted(request, person, 200)
        # The session's cookie is for this site only: the next page must be asked for from here.
        there = entering.going_on(request, trip.onward)
        guests.set_session(request, there, done)
        there.delete_cookie(COOKIE, path=f"{guests.home(request)}/sign-in")
        return there


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _provider(request: Request) -> Provider | None:
    found: Provider | None = request.app.state.provider
    return found


def _address(request: Request) -> str:
    """Where the provider sends people back to; it is registered there."""
    return f"{_context(request).hub.base.removesuffix('/fhir')}/portal/sign-in/back"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


async def _leaving(request: Request, provider: Provider, at: Metadata, to: str) -> Response:
    hub = _context(request).hub
    state, browser, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
    challenge = urlsafe_b64encode(_digest(verifier)).decode().rstrip("=")
    now = hub.clock()
    async with hub.engine.pool.acquire() as conn:
        await elsewhere.depart(
            conn, _digest(state), _digest(browser), Trip(nonce, verifier, to), now, now + AWAY
        )
    there = Response(
        status_code=303,
        headers={
            **pages.HEADERS,
            "Location": provider.request(at, _address(request), state, nonce, challenge),
        },
    )
    there.set_cookie(
        COOKIE, browser, max_age=int(AWAY.total_seconds()),
        path=f"{guests.home(request)}/sign-in", secure=hub.base.startswith("https:"), httponly=True,
        samesite="lax",
    )  # fmt: skip
    return there


async def _came_back(request: Request, provider: Provider) -> tuple[Trip, SomebodyElses] | None:
    said = _said(request)
    if said is None:
        return None
    hub, browser = _context(request).hub, request.cookies.get(COOKIE, "")
    async with hub.engine.pool.acquire() as conn:
        trip = await elsewhere.come_back(
            conn, _digest(said.get("state", "")), _digest(browser), hub.clock()
        )
    at = None if trip is None else await provider.metadata()
    if trip is None or at is None or "error" in said or "code" not in said:
        return None
    if said.get("iss", None if at.names_itself else _issuer(provider)) != _issuer(provider):
        return None  # an answer of another provider's
    who = await provider.who(at, _address(request), said["code"], trip.verifier, trip.nonce)
    return None if who is None else (trip, who)


def _issuer(provider: Provider) -> str:
    return provider.registration.issuer


def _said(request: Request) -> dict[str, str] | None:
    """What came back, each name once."""
    query: bytes = request.scope["query_string"]
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError:
        return None
    said = dict(pairs)
    return said if len(query) <= _LONGEST and len(said) == len(pairs) else None


async def _account(context: Context, provider: Provider, who: SomebodyElses) -> Person | None:
    """Of whom it is bound to; bound now by the address, where the settings have it so."""
    own, hub = provider.registration, context.hub
    async with hub.engine.transaction() as conn:
        known = await accounts.by_identity(conn, own.issuer, who.subject)
        if known is not None or not own.by_email or who.email is None:
            return known
        meant = who.email.strip().lower()
        found = await accounts.by_email(conn, meant) if meant.isprintable() else None
        if found is None or not found[0].active:
            return None
        bound = await elsewhere.bind(conn, found[0].id, own.issuer, who.subject, hub.clock())
        return found[0] if bound else None


async def _noted(request: Request, person: Person | None, status: int) -> None:
    row = AuditRow(
        None if person is None else answering.PERSON + person.id,
        None if person is None else person.organization,
        "signed-in" if status == 200 else "unauthenticated", status,
        query="at=provider", request_id=request.state.request_id,
    )  # fmt: skip
    await _context(request).audit.record(row)
