"""The coordinator's rooms: the board, and one referral.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.portal import (
    ahead,
    answering,
    board,
    due_back,
    forms,
    guests,
    lookout,
    talking,
    unhelped,
)
from coordhub.portal.guests import Guest
from coordhub.portal.listed import LENGTH, beginning
from coordhub.portal.talking import Talk
from coordhub.record import parties


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/board", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        hub = guests.context_of(request).hub
        async with hub.engine.pool.acquire() as conn:
            show = request.query_params.get("show", "")
            start = beginning(request.query_params.get("from", ""))
            found = await board.board(hub, conn, guest.own.rid, show, start)
        await guests.looked(request, guest, "search-type", None, found.rids)
        return guests.room(
            request, guest, "board", 200, here="board", back=f"/board?show={found.show}",
            tabs=board.TABS, found=found, most=board.MOST, length=LENGTH,
            mark=lookout.seen(guest.session, found), **await guests.times(request, guest),
        )  # fmt: skip

    @app.get("/portal/referrals/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        return await _referral(request, guest, fhir_id)

    @app.get("/portal/referrals/{fhir_id}/call", include_in_schema=False)
    async def called(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        found, _ = await _sheet(request, guest, fhir_id)
        if found is None:
            return guests.room(request, guest, "missing", 404)
        await guests.looked(request, guest, "read", fhir_id, found.rids)
        return guests.room(
            request, guest, "call", 200, here="board", sheet=found,
            back_to=f"{guests.home(request)}/referrals/{fhir_id}",
            **await guests.times(request, guest),
        )  # fmt: skip

    @app.post("/portal/referrals/{fhir_id}", include_in_schema=False)
    async def answered(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        act = _ACTS.get((form or {}).get("act", ""))
        if form is None or form.get("seal") != guest.session.seal or act is None:
            return guests.room(request, guest, "missing", 404)
        return await act(request, guest, fhir_id, form)


async def _sheet(
    request: Request, guest: Guest, fhir_id: str
) -> tuple[board.Sheet | None, Talk | None]:
    """The referral, and what is said about it."""
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        found = await board.sheet(hub, conn, guest.own.rid, fhir_id, guest.t)
        if found is None:
            return None, None
        return found, await talking.talk(conn, guest.own.rid, found.task)


async def _referral(
    request: Request,
    guest: Guest,
    fhir_id: str,
    refused: tuple[str, ...] = (),
    status: int = 200,
    unsent: str = "",
) -> Response:
    """unsent: words that were not taken, so that nobody has to write them again."""
    found, talk = await _sheet(request, guest, fhir_id)
    if found is None:
        return guests.room(request, guest, "missing", 404)
    hub, view = guests.context_of(request).hub, viewer.as_organization(guest.own.rid)
    async with hub.engine.pool.acquire() as conn:
        unmet = await unhelped.unmet(hub, conn, guest.own.rid, found.task)
        follows = await ahead.ahead(conn, guest.own.rid, found.task)
        back = await due_back.due_back(hub, conn, view, found.task)
    whom = parties.local(found.document.get("for"), hub.base) or ""
    rids = (*found.rids, *(talk.rids if talk is not None else ()))
    await guests.looked(request, guest, "read", fhir_id, rids)
    return guests.room(
        request, guest, "referral", status, here="board", sheet=found, refused=refused, talk=talk,
        unsent=unsent, unmet=unmet, ahead=follows, patient=whom.removeprefix("Patient/"), due_back=back,
        seen=found.task.version, longest=answering.LONGEST,
        **await guests.times(request, guest),
        action=f"{guests.home(request)}/referrals/{fhir_id}",
    )  # fmt: skip


async def _cancel(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    found, _ = await _sheet(request, guest, fhir_id)
    if found is None:
        return guests.room(request, guest, "missing", 404)
    if found.over:
        return await _referral(request, guest, fhir_id, ("This is over already.",), 409)
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    said = form.get("words", "").strip()[: answering.LONGEST]
    try:
        await board.cancel(
            guests.context_of(request).hub, caller, found, said, forms.version(form.get("seen", ""))
        )
    except FhirError as error:
        return await _referral(request, guest, fhir_id, guests.refused(error), error.status)
    return guests.go(request, f"/referrals/{fhir_id}")


async def _close(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    found, _ = await _sheet(request, guest, fhir_id)
    if found is None:
        return guests.room(request, guest, "missing", 404)
    if not unhelped.is_left(found.document):
        return await _referral(
            request, guest, fhir_id, ("This cannot be answered so any more.",), 409
        )  # fmt: skip
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        await unhelped.lay_aside(
            guests.context_of(request).hub, caller, found.task, forms.version(form.get("seen", ""))
        )
    except FhirError as error:
        return await _referral(request, guest, fhir_id, guests.refused(error), error.status)
    return guests.go(request, f"/referrals/{fhir_id}")


async def _say(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    found, talk = await _sheet(request, guest, fhir_id)
    if found is None:
        return guests.room(request, guest, "missing", 404)
    refused, status = await talking.send(request, guest, talk, form)
    if refused:
        return await _referral(
            request, guest, fhir_id, refused, status, form.get("words", "")
        )  # fmt: skip
    return guests.go(request, f"/referrals/{fhir_id}")


_ACTS: Final[dict[str, Callable[[Request, Guest, str, dict[str, str]], Awaitable[Response]]]] = {
    "cancel": _cancel,
    "close": _close,
    "say": _say,
}
"""What is pressed -> what follows."""
