"""Links over HTTP: what a browser asks for, and which page it gets.

https://www.rfc-editor.org/rfc/rfc9110, https://www.rfc-editor.org/rfc/rfc6265 (cookies)

GET of a link shows the same page for every link that could be, and looks nothing up: machines that read mail
open what is in it. Only POST with the access code opens it.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.fhir.context import Context
from coordhub.portal import answering, forms, guests, language, opening, pages, sheets
from coordhub.portal.bounds import Bounds
from coordhub.portal.opening import Closed
from coordhub.portal.sheets import Sheet
from coordhub.routing.mailing import link_base
from coordhub.store import resources
from coordhub.store.links import Visit
from coordhub.store.transact import AuditRow

COOKIE: Final = "coordhub_visit"
HTML: Final = "text/html; charset=utf-8"

_STATUS: Final = {"unusable": 404, "wrong": 403, "locked": 429, "no-code": 403}
_ENDED: Final = {"gone": 410, "filled": 410, "declined": 200, "done": 200}


def add(app: FastAPI) -> None:
    """Hang the door. `app.state.context` must hold the Context when a request comes."""
    bounds = Bounds()

    @app.get("/links/style.css", include_in_schema=False)
    async def style() -> Response:
        kept = {**pages.HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(pages.style(), 200, kept, media_type="text/css; charset=utf-8")

    @app.get("/links/task", include_in_schema=False)
    async def shown(request: Request) -> Response:
        found = await _visit(request)
        if found is None:
            return _page(request, "closed", 404)
        return await _sheet(request, found)

    @app.post("/links/task", include_in_schema=False)
    async def answered(request: Request) -> Response:
        found = await _visit(request)
        form = await forms.fields(request)
        token = request.cookies.get(COOKIE, "")
        if found is None or form is None or form.get("seal") != opening.seal(token):
            return _page(request, "closed", 404)
        if form.get("act") == "leave":
            await opening.leave(_context(request).hub, token)
            left = _page(request, "left", 200)
            left.delete_cookie(COOKIE, path=_path(request))
            return left
        return await _answer(request, found, form)

    @app.get("/links/{token}", include_in_schema=False)
    async def offered(request: Request, token: str) -> Response:
        return _page(request, "open", 200, wrong=None)

    @app.post("/links/{token}", include_in_schema=False)
    async def opened(request: Request, token: str) -> Response:
        context, admission = _context(request), _context(request).admission
        now = context.hub.clock()
        if bounds.is_over(admission, request.scope, now):
            return _page(request, "locked", 429)
        form = await forms.fields(request)
        done = await opening.open_link(context.hub, token, (form or {}).get("code", ""))
        if isinstance(done, Closed):
            bounds.failed(admission, request.scope, now)
            if done.organization is not None:
                await context.audit.record(
                    AuditRow(
                        answering.CLIENT, done.organization, "unauthenticated", _STATUS[done.why],
                        request_id=request.state.request_id,
                    )
                )  # fmt: skip
            return _closed(request, done)
        there = Response(status_code=303, headers={**pages.HEADERS, "Location": "task"})
        there.set_cookie(
            COOKIE, done.token, max_age=int(opening.VISIT.total_seconds()), path=_path(request),
            secure=context.hub.base.startswith("https:"), httponly=True, samesite="strict",
        )  # fmt: skip
        return there


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _path(request: Request) -> str:
    return urlsplit(link_base(_context(request).hub.base)).path


def _page(request: Request, name: str, status: int, **more: object) -> Response:
    """In the language that the browser prefers: a mail is read by whoever is at the desk that day."""
    tag = guests.spoken(request)
    shown = pages.page(name, t=language.words(tag), language=tag, **more)
    return Response(shown, status, {**pages.HEADERS, "Vary": "Accept-Language"}, media_type=HTML)


def _closed(request: Request, done: Closed) -> Response:
    match done.why:
        case "unusable":
            return _page(request, "closed", 404)
        case "wrong":
            return _page(request, "open", 403, wrong=done.left)
        case "locked":
            return _page(request, "locked", 429)
        case "no-code":
            return _page(request, "no_code", 403)


async def _visit(request: Request) -> Visit | None:
    return await opening.visit_of(_context(request).hub, request.cookies.get(COOKIE, ""))


async def _sheet(
    request: Request, visit: Visit, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    """The Task as it is now, and the look on record."""
    context = _context(request)
    async with context.hub.engine.pool.acquire() as conn:
        found = await sheets.sheet(context.hub, conn, visit, guests.words(request))
    if found.rids:
        await context.audit.record(
            AuditRow(
                answering.CLIENT, visit.organization, "read", 200, "Task",
                found.task.id if found.task else None, found.rids,
                request_id=request.state.request_id,
            )
        )  # fmt: skip
    return _rendered(request, found, refused, status)


def _rendered(request: Request, found: Sheet, refused: tuple[str, ...], status: int) -> Response:
    if found.state in _ENDED:
        return _page(request, "ended", _ENDED[found.state], state=found.state)
    seal = opening.seal(request.cookies.get(COOKIE, ""))
    return _page(
        request, "task", status, sheet=found, seal=seal, reasons=answering.reasons(), refused=refused,
        failures=answering.failures(), seen=found.task.version if found.task else 0,
        longest=answering.LONGEST, action="task",
    )  # fmt: skip


async def _answer(request: Request, visit: Visit, form: dict[str, str]) -> Response:
    context = _context(request)
    async with context.hub.engine.pool.acquire() as conn:
        found = await sheets.sheet(context.hub, conn, visit, guests.words(request))
        view = viewer.as_organization(visit.organization)
        own = (await resources.read_rids(conn, view, [visit.organization])).get(visit.organization)
    what, task, document = form.get("act", ""), found.task, found.document
    if what not in found.answers or task is None or document is None or own is None:
        return await _sheet(request, visit, ("This cannot be answered so any more.",), 409)
    if (lacking := answering.lacks(what, form)) is not None:
        return await _sheet(request, visit, (lacking,), 422)
    try:
        await answering.answer(
            context.hub, answering.caller(own, request.state.request_id), task, document, what,
            reason=form.get("reason", ""), words=form.get("words", ""),
            seen=forms.version(form.get("seen", "")),
        )  # fmt: skip
    except FhirError as error:
        if error.status >= 500:
            raise
        said = tuple(issue.diagnostics for issue in error.issues)
        if error.status == 412:
            said = ("It was changed while you looked at it. Look again, and answer then.",)
        return await _sheet(request, visit, said, error.status)
    return Response(status_code=303, headers={**pages.HEADERS, "Location": "task"})
