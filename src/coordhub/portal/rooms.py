"""Rooms for people who have signed in: which address shows which page.

https://www.rfc-editor.org/rfc/rfc9110, https://www.rfc-editor.org/rfc/rfc6265 (cookies),
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html

Nothing but the door itself is shown to who has not signed in. Every form holds a seal that no page of
another origin can know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response

from coordhub.access import totp, viewer
from coordhub.authorization.provider import Provider
from coordhub.directory import calendars
from coordhub.errors import FhirError
from coordhub.fhir.context import Context
from coordhub.insight import reports
from coordhub.portal import (
    answering,
    figures,
    forms,
    language,
    moments,
    pages,
    sheets,
    signing_in,
    worklist,
)
from coordhub.portal.bounds import Bounds
from coordhub.portal.language import Words
from coordhub.portal.sheets import Sheet
from coordhub.portal.signing_in import Session, SignedIn
from coordhub.record import errands, parties
from coordhub.store import resources
from coordhub.store.accounts import Person
from coordhub.store.links import Visit
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow

COOKIE: Final = "coordhub_session"
HTML: Final = "text/html; charset=utf-8"
ELSEWHERE: Final = "https://www.weather.gov/"
"""Where who has to leave in a hurry is sent: a page that anybody may be looking at."""

TABS: Final = {"open": "New", "active": "Taken on", "done": "Over"}

_ONWARD: Final = re.compile(r"/apps|/allow\?[!-~]{1,8192}")
"""Where a person may be sent after having signed in: to what an app has asked for."""
_BACK: Final = re.compile(r"/[a-z-]+(/[A-Za-z0-9.-]{1,64})?(\?show=[a-z-]+)?")
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


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is there, for which organization, in which language, at which request."""

    session: Session
    own: Version
    t: Words


def add(app: FastAPI) -> None:
    """Hang the door. `app.state` must hold the Context and `portal`, the Keys, when a request comes."""
    bounds = Bounds()

    @app.get("/portal", include_in_schema=False)
    async def entered(request: Request) -> Response:
        session = await _session(request)
        if session is not None and session.factor is None and session.person.role == "patient":
            return _to(request, "/apps")
        guest = await _guest(request)
        if guest is None:
            return _to(request, "/sign-in")
        return _to(request, "/worklist")

    @app.get("/portal/style.css", include_in_schema=False)
    async def style() -> Response:
        kept = {**pages.HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(pages.style(), 200, kept, media_type="text/css; charset=utf-8")

    @app.get("/portal/language/{to}", include_in_schema=False)
    async def spoken(request: Request, to: str) -> Response:
        back = request.query_params.get("back", "")
        there = _to(request, back if _BACK.fullmatch(back) else "")
        if to in language.LANGUAGES:
            there.set_cookie(
                language.COOKIE, to, max_age=365 * 24 * 3600, path=home(request),
                secure=_is_secure(request), httponly=True, samesite="lax",
            )  # fmt: skip
        return there

    @app.get("/portal/exit", include_in_schema=False)
    async def hurried(request: Request) -> Response:
        await signing_in.sign_out(_context(request).hub, request.cookies.get(COOKIE, ""))
        left = Response(status_code=303, headers={**pages.HEADERS, "Location": ELSEWHERE})
        left.headers["Clear-Site-Data"] = '"cache"'
        left.delete_cookie(COOKIE, path=home(request))
        return left

    @app.get("/portal/sign-in", include_in_schema=False)
    async def asked_in(request: Request) -> Response:
        session = await _session(request)
        if session is not None and session.factor is not None:
            return _to(request, "/set-up")
        return sign_in(request, 200, None, to=onward(request.query_params.get("to")))

    @app.post("/portal/sign-in", include_in_schema=False)
    async def signed_in(request: Request) -> Response:
        context, admission = _context(request), _context(request).admission
        form, now = await forms.fields(request) or {}, context.hub.clock()
        to = onward(form.get("to"))
        if not _passwords(request):
            return missing(request)
        if bounds.is_over(admission, request.scope, now):
            return sign_in(request, 429, "locked", to=to)
        done = await signing_in.sign_in(
            context.hub, _keys(request), form.get("email", ""), form.get("password", ""),
            form.get("code", ""),
        )  # fmt: skip
        if not isinstance(done, SignedIn):
            bounds.failed(admission, request.scope, now)
            await _noted(request, done.person, "unauthenticated", 401)
            status = 429 if done.why == "locked" else 401
            return sign_in(request, status, done.why, to=to, email=form.get("email", "")[:320])
        await _noted(request, done.person, "signed-in", 200)
        return _let_in(request, done, to if done.whole else "/set-up")

    @app.post("/portal/sign-out", include_in_schema=False)
    async def signed_out(request: Request) -> Response:
        session = await _session(request)
        form = await forms.fields(request)
        if session is None or form is None or form.get("seal") != session.seal:
            return _to(request, "/sign-in")
        await signing_in.sign_out(_context(request).hub, session.token)
        await _noted(request, session.person, "signed-out", 200)
        left = _to(request, "/sign-in")
        left.delete_cookie(COOKIE, path=home(request))
        return left

    @app.get("/portal/set-up", include_in_schema=False)
    async def to_set_up(request: Request) -> Response:
        session = await _session(request)
        if session is None or session.factor is None:
            return _to(request, "")
        return _set_up(request, session, None)

    @app.post("/portal/set-up", include_in_schema=False)
    async def set_up(request: Request) -> Response:
        session = await _session(request)
        form = await forms.fields(request)
        if session is None or session.factor is None:
            return _to(request, "")
        if form is None or form.get("seal") != session.seal:
            return _page(request, "missing", 404)
        done = await signing_in.set_up(
            _context(request).hub, _keys(request)[0], session, form.get("password", ""),
            form.get("again", ""), form.get("code", ""),
        )  # fmt: skip
        if not isinstance(done, SignedIn):
            return _set_up(request, session, TROUBLE[done])
        await _noted(request, session.person, "second-factor-set-up", 200)
        return _let_in(request, done, "")

    @app.get("/portal/worklist", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await _guest(request)
        if guest is None:
            return _to(request, "/sign-in")
        hub = _context(request).hub
        async with hub.engine.pool.acquire() as conn:
            found = await worklist.worklist(hub, conn, guest.own.rid)
            calendar = await calendars.calendar_of(
                conn, guest.own.reference, hub.base, hub.deadlines.calendar
            )
        await _looked(request, guest, "search-type", None, found.rids)
        show = request.query_params.get("show", "open")
        show = show if show in TABS else "open"
        now = hub.clock()
        return _room(
            request, guest, "worklist", 200, show=show, here="worklist",
            back=f"/worklist?show={show}", tabs=TABS, found=found, now=now,
            counts={tab: len(found.under(tab)) for tab in TABS},
            moment=partial(moments.moment, calendar=calendar, t=guest.t),
            span=partial(moments.span, t=guest.t), most=worklist.MOST,
        )  # fmt: skip

    @app.get("/portal/tasks/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await _guest(request)
        if guest is None:
            return _to(request, "/sign-in")
        return await _task(request, guest, fhir_id)

    @app.post("/portal/tasks/{fhir_id}", include_in_schema=False)
    async def answered(request: Request, fhir_id: str) -> Response:
        guest = await _guest(request)
        form = await forms.fields(request)
        if guest is None:
            return _to(request, "/sign-in")
        if form is None or form.get("seal") != guest.session.seal:
            return _room(request, guest, "missing", 404)
        return await _answer(request, guest, fhir_id, form)

    @app.get("/portal/figures", include_in_schema=False)
    async def counted(request: Request) -> Response:
        guest = await _guest(request)
        if guest is None:
            return _to(request, "/sign-in")
        chosen, found = await _figures(request, guest)
        return _room(
            request, guest, "figures", 200, here="figures", chosen=chosen,
            groups=figures.lines(found, guest.t), mature=found.is_mature,
        )  # fmt: skip

    @app.get("/portal/figures.csv", include_in_schema=False)
    async def table(request: Request) -> Response:
        guest = await _guest(request)
        if guest is None:
            return _to(request, "/sign-in")
        chosen, found = await _figures(request, guest)
        kept = {
            **pages.HEADERS,
            "Content-Disposition": f'attachment; filename="figures-{chosen.text}.csv"',
        }
        return Response(reports.as_csv(found), 200, kept, media_type="text/csv; charset=utf-8")

    @app.get("/portal/{rest:path}", include_in_schema=False)
    async def nothing(request: Request, rest: str) -> Response:
        guest = await _guest(request)
        if guest is None:
            return _page(request, "missing", 404)
        return _room(request, guest, "missing", 404)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _keys(request: Request) -> tuple[bytes, ...]:
    keys: Keys = request.app.state.portal
    return (keys.now, *keys.former)


def home(request: Request) -> str:
    """The path that browsers know of the portal."""
    return f"{urlsplit(_context(request).hub.base).path.removesuffix('/fhir')}/portal"


def _is_secure(request: Request) -> bool:
    return _context(request).hub.base.startswith("https:")


def _to(request: Request, path: str) -> Response:
    there = {**pages.HEADERS, "Location": f"{home(request)}{path}"}
    return Response(status_code=303, headers=there)


def _spoken(request: Request) -> str:
    return language.chosen(
        request.cookies.get(language.COOKIE), request.headers.get("accept-language")
    )


def _page(request: Request, name: str, status: int, **more: object) -> Response:
    """A page of the portal; of who has signed in with `guest` among `more`."""
    spoken = _spoken(request)
    path = request.url.path.removeprefix("/portal")
    shown = {
        "t": language.words(spoken), "language": spoken, "languages": language.LANGUAGES,
        "home": home(request), "guest": None, "here": "", "seal": "",
        "back": path if _BACK.fullmatch(path) else "", **more,
    }  # fmt: skip
    return Response(pages.page(f"rooms/{name}", **shown), status, pages.HEADERS, media_type=HTML)


def _room(request: Request, guest: Guest, name: str, status: int, **more: object) -> Response:
    return _page(
        request, name, status,
        **{
            "guest": guest.session.person,
            "organization": parties.document(guest.own).get("name", ""),
            "seal": guest.session.seal, **more,
        },
    )  # fmt: skip


def _set_up(request: Request, session: Session, trouble: str | None) -> Response:
    assert session.factor is not None
    secret = totp.secret_of(session.factor, _keys(request)[0])
    text = totp.text_of(secret)
    return _page(
        request, "set_up", 200 if trouble is None else 422, trouble=trouble, seal=session.seal,
        secret=" ".join(text[at : at + 4] for at in range(0, len(text), 4)),
        uri=totp.uri_of(secret, session.person.email, signing_in.ISSUER),
    )  # fmt: skip


def missing(request: Request) -> Response:
    return _page(request, "missing", 404)


def sign_in(
    request: Request, status: int, trouble: str | None, *, to: str = "", email: str = "",
    subject: str = "",
) -> Response:  # fmt: skip
    """The page for who is not there yet. to: page to be shown then. subject: of who is nobody's account."""
    provider: Provider | None = request.app.state.provider
    title = "" if provider is None else provider.registration.title
    return _page(
        request, "sign_in", status, trouble=trouble, email=email, to=to, subject=subject,
        provider=title, passwords=_passwords(request), onward=quote(to, safe=""),
    )  # fmt: skip


def _passwords(request: Request) -> bool:
    provider: Provider | None = request.app.state.provider
    return provider is None or provider.registration.passwords


def going_on(request: Request, path: str) -> Response:
    """A page that goes on by itself to another of ours."""
    return _page(request, "app_on", 200, onward=f"{home(request)}{path}")


def _let_in(request: Request, done: SignedIn, path: str) -> Response:
    there = _to(request, path)
    set_session(request, there, done)
    return there


def set_session(request: Request, there: Response, done: SignedIn) -> None:
    """The browser holds it from now on."""
    there.set_cookie(
        COOKIE, done.token, max_age=int(signing_in.LONGEST.total_seconds()), path=home(request),
        secure=_is_secure(request), httponly=True, samesite="strict",
    )  # fmt: skip


async def _session(request: Request) -> Session | None:
    return await signing_in.session_of(_context(request).hub, request.cookies.get(COOKIE, ""))


async def _guest(request: Request) -> Guest | None:
    """Who has signed in whole, and works for an organization that is here."""
    session = await _session(request)
    if session is None or session.factor is not None or session.person.role == "patient":
        return None
    rid = session.person.organization
    async with _context(request).hub.engine.pool.acquire() as conn:
        own = (await resources.read_rids(conn, viewer.as_organization(rid), [rid])).get(rid)
    if own is None or own.body is None:
        return None
    return Guest(session, own, language.words(_spoken(request)))


def onward(to: str | None) -> str:
    return to if to is not None and _ONWARD.fullmatch(to) else ""


async def _noted(request: Request, person: Person | None, act: str, status: int) -> None:
    client = None if person is None else answering.PERSON + person.id
    organization = None if person is None else person.organization
    row = AuditRow(client, organization, act, status, request_id=request.state.request_id)
    await _context(request).audit.record(row)


async def _figures(request: Request, guest: Guest) -> tuple[figures.Month, reports.Report]:
    """Of the month that the address names; that it was looked at is on record."""
    hub = _context(request).hub
    chosen = figures.month(hub, request.query_params.get("month", ""), guest.t)
    found = await figures.of(hub, guest.own.rid, chosen)
    await _noted(request, guest.session.person, "figures", 200)
    return chosen, found


async def _looked(
    request: Request, guest: Guest, how: str, fhir_id: str | None, rids: tuple[int, ...]
) -> None:
    client = answering.PERSON + guest.session.person.id
    await _context(request).audit.record(
        AuditRow(
            client, guest.own.rid, how, 200, "Task", fhir_id, rids,
            request_id=request.state.request_id,
        )
    )  # fmt: skip


async def _sheet(request: Request, guest: Guest, fhir_id: str) -> Sheet | None:
    """A Task that its organization is asked by; None for all others."""
    hub = _context(request).hub
    view = viewer.as_organization(guest.own.rid)
    async with hub.engine.pool.acquire() as conn:
        task = await resources.read(conn, view, "Task", fhir_id)
        if task is None or task.body is None:
            return None
        found = await sheets.sheet(hub, conn, Visit(guest.own.rid, task.rid), ended=True)
    return found if found.task is not None else None


async def _task(
    request: Request, guest: Guest, fhir_id: str, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    found = await _sheet(request, guest, fhir_id)
    if found is None or found.task is None or found.document is None:
        return _room(request, guest, "missing", 404)
    await _looked(request, guest, "read", fhir_id, found.rids)
    return _room(
        request, guest, "task", status, here="worklist", sheet=found, refused=refused,
        errand=errands.KINDS.get(found.errand, ""),
        state=worklist.state_of(found.document), seen=found.task.version,
        reasons=answering.reasons(), failures=answering.failures(), longest=answering.LONGEST,
        action=f"{home(request)}/tasks/{fhir_id}",
    )  # fmt: skip


async def _answer(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    found = await _sheet(request, guest, fhir_id)
    if found is None or found.task is None or found.document is None:
        return _room(request, guest, "missing", 404)
    what = form.get("act", "")
    if what not in found.answers:
        return await _task(request, guest, fhir_id, ("This cannot be answered so any more.",), 409)
    if (lacking := answering.lacks(what, form)) is not None:
        return await _task(request, guest, fhir_id, (lacking,), 422)
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        await answering.answer(
            _context(request).hub, caller, found.task, found.document, what,
            reason=form.get("reason", ""), words=form.get("words", ""),
            seen=forms.version(form.get("seen", "")),
        )  # fmt: skip
    except FhirError as error:
        if error.status >= 500:
            raise
        said = tuple(issue.diagnostics for issue in error.issues)
        if error.status == 412:
            said = ("It was changed while you looked at it. Look again, and answer then.",)
        return await _task(request, guest, fhir_id, said, error.status)
    return _to(request, f"/tasks/{fhir_id}")
