"""A person's voice: whether it got what it needed, said by a link that says nothing of it.

http://hl7.org/fhir/us/sdoh-clinicalcare (feedback questionnaire), https://www.rfc-editor.org/rfc/rfc9110

Staff of whoever referred makes the link, once a referral is over, and gives it to the person: on paper, or read
out. Whoever holds it sees one question, not who asks, whom, or after what; looking at it looks nothing up, so
that every address of the kind shows the same. What is answered is written as the sender's QuestionnaireResponse,
whose source is the person, and the link is used up. There is none for what a victim service provider has to do
with, or where violence may be spoken of, or nobody may contact the person.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.errors import FhirError
from coordhub.portal import answering, board, forms, guests, language, pages
from coordhub.portal.bounds import Bounds
from coordhub.portal.guests import Guest
from coordhub.portal.sheets import words as words_of
from coordhub.record import for_patient, parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.referral import voice
from coordhub.routing.mailing import link_base
from coordhub.store import episodes, resources, voice_links, vsp
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.voice_links import About

LASTS: Final = timedelta(days=30)
"""How long it may be answered."""

_SCOPES: Final = parse("system/*.rs system/QuestionnaireResponse.c")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Asked:
    """An order that can be asked about. title: what it was for."""

    about: About
    title: str


def add(app: FastAPI) -> None:
    """Hang these rooms."""
    bounds = Bounds()

    @app.get("/portal/referrals/{fhir_id}/voice", include_in_schema=False)
    async def offered(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        return await _offer(request, guest, fhir_id)

    @app.post("/portal/referrals/{fhir_id}/voice", include_in_schema=False)
    async def made(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _offer(request, guest, fhir_id, form.get("about", ""))

    @app.get("/links/voice/style.css", include_in_schema=False)
    async def style() -> Response:
        kept = {**pages.HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(pages.style(), 200, kept, media_type="text/css; charset=utf-8")

    @app.get("/links/voice/{token}", include_in_schema=False)
    async def asked(request: Request, token: str) -> Response:
        return _page(request, "question", 200)

    @app.post("/links/voice/{token}", include_in_schema=False)
    async def said(request: Request, token: str) -> Response:
        context = guests.context_of(request)
        now = context.hub.clock()
        if bounds.is_over(context.admission, request.scope, now):
            return _page(request, "later", 429)
        form = await forms.fields(request) or {}
        answer = form.get("got", "")
        if answer not in voice.ANSWERS:
            return _page(request, "question", 422, lacking=True)
        about = None
        if _TOKEN.fullmatch(token):
            async with context.hub.engine.pool.acquire() as conn:
                about = await voice_links.use(conn, _hashed(token), now)
        if about is None:
            bounds.failed(context.admission, request.scope, now)
            return _page(request, "gone", 404)
        words = form.get("words", "").strip()[: answering.LONGEST]
        await _say(context.hub, about, answer, words, request.state.request_id)
        return _page(request, "thanks", 200)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _page(request: Request, what: str, status: int, *, lacking: bool = False) -> Response:
    tag = request.query_params.get("in", "")
    tag = tag if tag in language.LANGUAGES else guests.spoken(request)
    shown = pages.page(
        "voice", t=language.words(tag), language=tag, languages=language.LANGUAGES, what=what,
        lacking=lacking, answers=voice.ANSWERS, longest=answering.LONGEST,
    )  # fmt: skip
    return Response(shown, status, pages.HEADERS, media_type=guests.HTML)


async def _offer(request: Request, guest: Guest, fhir_id: str, about: str = "") -> Response:
    """What can be asked about, or the link that was made; never which there is none for, and why."""
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        sheet = await board.sheet(hub, conn, guest.own.rid, fhir_id, guest.t)
        if sheet is None:
            return guests.room(request, guest, "missing", 404)
        asked = await askable(hub, conn, guest.own.rid, sheet.task.rid)
    await guests.looked(request, guest, "read", fhir_id, sheet.rids)
    chosen = next((one for one in asked if str(one.about.request) == about), None)
    link = ""
    if chosen is not None:
        token, now = secrets.token_urlsafe(32), hub.clock()
        async with hub.engine.pool.acquire() as conn:
            await voice_links.issue(conn, _hashed(token), chosen.about, now, now + LASTS)
        await guests.noted(request, guest.session.person, "voice-link", 200)
        link = f"{link_base(hub.base)}/voice/{token}"
    return guests.room(
        request, guest, "voice", 200, here="board", sheet=sheet, asked=asked, link=link,
        days=LASTS.days, back_to=f"{guests.home(request)}/referrals/{fhir_id}",
        action=f"{guests.home(request)}/referrals/{fhir_id}/voice",
    )  # fmt: skip


async def askable(hub: Hub, conn: Connection, organization: int, task: int) -> list[Asked]:
    """Orders of the referral that counted as met, if its patient may be asked about it."""
    episode = (await episodes.read(conn, [task])).get(task)
    if episode is None or episode.requester != organization or episode.patient is None:
        return []
    view = viewer.as_organization(organization)
    met = [one.request for one in episode.needs if one.state == "met"]
    stored = await resources.read_rids(conn, view, [task, *met])
    if task not in stored or await _is_apart(conn, episode):
        return []
    return [
        Asked(About(task, rid), words_of(parties.document(stored[rid]).get("code")))
        for rid in met
        if rid in stored
    ]


async def _is_apart(conn: Connection, episode: Episode) -> bool:
    """Whether the person is not to be asked: for its safety, or because it must not be contacted, or has died."""
    apart = await vsp.marked(conn)
    if any(one.organization in apart for one in episode.candidates):
        return True
    return await for_patient.whom(conn, episode, "not-received") is None


async def _say(hub: Hub, about: About, answer: str, words: str, request_id: str) -> None:
    """Write it as who referred, of the person; nothing where there is no such order any more."""
    async with hub.engine.pool.acquire() as conn:
        episode = (await episodes.read(conn, [about.episode])).get(about.episode)
        if episode is None or episode.patient is None:
            return
        view = viewer.as_organization(episode.requester)
        rids = [episode.requester, about.request, episode.patient]
        stored = await resources.read_rids(conn, view, rids)
    if any(rid not in stored or stored[rid].body is None for rid in rids):
        return
    owner = stored[episode.requester]
    caller = Caller(
        answering.CLIENT, owner.rid, owner.reference, _SCOPES, request_id=request_id
    )  # fmt: skip
    document = voice.response(
        stored[about.request].reference, stored[episode.patient].reference, answer, words,
        instant(hub.clock()),
    )  # fmt: skip
    try:
        await commit(hub, caller, [Create("QuestionnaireResponse", document)], interaction="create")
    except FhirError as error:
        if error.status >= 500:
            raise
