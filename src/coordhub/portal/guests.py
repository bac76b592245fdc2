"""Who has signed in, and a page of the portal for them: what all rooms stand on.

https://www.rfc-editor.org/rfc/rfc9110, https://www.rfc-editor.org/rfc/rfc6265 (cookies)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, Response

from coordhub.access import viewer
from coordhub.directory import calendars
from coordhub.errors import FhirError
from coordhub.fhir.context import Context
from coordhub.portal import answering, desks, language, moments, pages, signing_in
from coordhub.portal.language import Words
from coordhub.portal.signing_in import Session, SignedIn
from coordhub.record import parties
from coordhub.store import clients, resources
from coordhub.store.accounts import Person
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow

COOKIE: Final = "coordhub_session"
HTML: Final = "text/html; charset=utf-8"
BACK: Final = re.compile(r"/[a-z-]+(/[A-Za-z0-9][A-Za-z0-9.-]{0,63}){0,3}(\?show=[a-z-]+)?")
"""Pages that may be gone back to after the language was chosen."""

SCRIPTED: Final = frozenset({"sign_in", "set_up", "you", "worklist", "board"})
"""Pages that have a script of ours, which may ask us."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is there, in which language. own: the Organization that it works for; of a patient, itself."""

    session: Session
    own: Version
    t: Words

    @property
    def is_patient(self) -> bool:
        return self.own.type in clients.PERSONS


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def home(request: Request) -> str:
    """The path that browsers know of the portal."""
    return f"{urlsplit(context_of(request).hub.base).path.removesuffix('/fhir')}/portal"


def is_secure(request: Request) -> bool:
    return context_of(request).hub.base.startswith("https:")


def go(request: Request, path: str) -> Response:
    """On to another page of the portal."""
    there = {**pages.HEADERS, "Location": f"{home(request)}{path}"}
    return Response(status_code=303, headers=there)


def spoken(request: Request) -> str:
    return language.chosen(
        request.cookies.get(language.COOKIE), request.headers.get("accept-language")
    )


def words(request: Request) -> Words:
    return language.words(spoken(request))


def page(
    request: Request, name: str, status: int, sends_to: str | None = None, **more: object
) -> Response:
    """A page of the portal; of who has signed in with `guest` among `more`.

    sends_to: where its form may lead in the end, besides here: browsers follow what they are answered.
    """
    tag = spoken(request)
    path = request.url.path.removeprefix("/portal")
    shown = {
        "t": language.words(tag), "language": tag, "languages": language.LANGUAGES,
        "home": home(request), "guest": None, "desks": {}, "here": "", "seal": "",
        "back": path if BACK.fullmatch(path) and path != "/allow" else "", **more,
    }  # fmt: skip
    headers = dict(pages.HEADERS)
    if sends_to is not None:
        parts = urlsplit(sends_to)
        source = f"{parts.scheme}:" + (f"//{parts.netloc}" if parts.netloc else "")
        headers["Content-Security-Policy"] = headers["Content-Security-Policy"].replace(
            "form-action 'self'", f"form-action 'self' {source}"
        )
    if name in SCRIPTED:
        headers["Content-Security-Policy"] += pages.SCRIPTED
    return Response(pages.page(f"rooms/{name}", **shown), status, headers, media_type=HTML)


def room(request: Request, guest: Guest, name: str, status: int, **more: object) -> Response:
    """A page for who works for an organization."""
    return page(
        request, name, status,
        **{
            "guest": guest.session.person,
            "desks": desks.of(guest.session.person.roles),
            "organization": parties.document(guest.own).get("name", ""),
            "seal": guest.session.seal, **more,
        },
    )  # fmt: skip


async def session_of(request: Request) -> Session | None:
    return await signing_in.session_of(context_of(request).hub, request.cookies.get(COOKIE, ""))


def set_session(request: Request, there: Response, done: SignedIn) -> None:
    """The browser holds it from now on."""
    there.set_cookie(
        COOKIE, done.token, max_age=int(signing_in.LONGEST.total_seconds()), path=home(request),
        secure=is_secure(request), httponly=True, samesite="strict",
    )  # fmt: skip


async def anyone(request: Request) -> Guest | None:
    """Who has signed in whole, a patient or who works for an organization that is here."""
    session = await session_of(request)
    if session is None or session.factor is not None:
        return None
    rid = session.person.organization
    async with context_of(request).hub.engine.pool.acquire() as conn:
        own = (await resources.read_rids(conn, viewer.as_organization(rid), [rid])).get(rid)
    return None if own is None or own.body is None else Guest(session, own, words(request))


async def staff(request: Request) -> Guest | None:
    """Who has signed in whole, and works for an organization."""
    guest = await anyone(request)
    return None if guest is None or guest.is_patient else guest


async def at(request: Request, desk: str) -> Guest | Response:
    """Who works at this desk; else what is answered: the door, or that there is no such page."""
    guest = await staff(request)
    if guest is None:
        return go(request, "/sign-in")
    if desk not in desks.of(guest.session.person.roles):
        return room(request, guest, "missing", 404)
    return guest


async def times(request: Request, guest: Guest) -> dict[str, object]:
    """What a page tells times by: `now`, `span`; on its organization's wall `moment` and, with the year, `instant`."""
    hub = context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        calendar = await calendars.calendar_of(
            conn, guest.own.reference, hub.base, hub.deadlines.calendar
        )
    return {
        "now": hub.clock(),
        "moment": partial(moments.moment, calendar=calendar, t=guest.t),
        "instant": partial(moments.instant, calendar=calendar, t=guest.t),
        "span": partial(moments.span, t=guest.t),
    }


def refused(error: FhirError) -> tuple[str, ...]:
    """What a person is told of a refusal; a fault of ours is none of these."""
    if error.status >= 500:
        raise error
    if error.status == 412:
        return ("It was changed while you looked at it. Look again, and answer then.",)
    return tuple(issue.diagnostics for issue in error.issues)


async def noted(request: Request, person: Person | None, act: str, status: int) -> None:
    """On record: what somebody did, or tried."""
    client = None if person is None else answering.PERSON + person.id
    organization = None if person is None else person.organization
    row = AuditRow(client, organization, act, status, request_id=request.state.request_id)
    await context_of(request).audit.record(row)


async def looked(
    request: Request,
    guest: Guest,
    how: str,
    fhir_id: str | None,
    rids: tuple[int, ...],
    kind: str = "Task",
) -> None:
    """On record: what of a Task, or of a resource of another kind, was looked at."""
    client = answering.PERSON + guest.session.person.id
    await context_of(request).audit.record(
        AuditRow(
            client, guest.own.rid, how, 200, kind, fhir_id, rids,
            request_id=request.state.request_id,
        )
    )  # fmt: skip
