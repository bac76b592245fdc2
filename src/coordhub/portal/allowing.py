"""A person lets an app in: which app, what for, about whom; and takes it back.

http://hl7.org/fhir/smart-app-launch/app-launch.html, https://www.rfc-editor.org/rfc/rfc6749#section-4.1

Who comes from the app's page brings no session along (its cookie is for this site only), so `/auth/authorize`
answers a page that goes on by itself to one of ours. That page holds the whole request in its address and judges
it anew each time: nothing of it is kept until somebody has said yes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response

from coordhub.access import wishes
from coordhub.access.oauth import PATH
from coordhub.access.wishes import FHIR_USER, LAUNCH, Wish
from coordhub.authorization import codes, launch
from coordhub.authorization.context import Context as Authorization
from coordhub.authorization.launch import Launch, Refused, Unknown
from coordhub.portal import answering, forms, guests, leave, pages
from coordhub.portal.guests import Guest
from coordhub.store import accounts, apps, clients
from coordhub.store.transact import AuditRow

REMEMBERED: Final = timedelta(days=365)
"""So long nobody is asked again for what was allowed before."""
_MOST_FIELDS: Final = 200


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get(f"{PATH}/authorize", include_in_schema=False)
    async def asked(request: Request) -> Response:
        try:
            await launch.judged(_authorization(request), _query(request))
        except Unknown:
            return guests.page(request, "app_unknown", 400)
        except Refused as refused:
            return await _refused(request, refused)
        return guests.page(
            request, "app_on", 200, onward=f"{guests.home(request)}/allow?{_query(request)}"
        )

    @app.get("/portal/allow", include_in_schema=False)
    async def shown(request: Request) -> Response:
        try:
            wanted = await launch.judged(_authorization(request), _query(request))
        except Unknown:
            return guests.page(request, "app_unknown", 400)
        except Refused as refused:
            return await _refused(request, refused)
        there = await guests.anyone(request)
        if there is None:
            if "none" in wanted.prompts:
                return _back(request, wanted, error="login_required")
            to = quote(f"/allow?{_query(request)}", safe="")
            return guests.go(request, f"/sign-in?to={to}")
        if not await _fits(request, wanted, there):
            return _back(request, wanted, error="access_denied")
        offered = await _offered(request, wanted, there)
        known = await _remembered(request, wanted, there)
        if known is not None:
            allowed = offered.narrowed(frozenset(wishes.read(known.scopes).each()))
            if allowed:
                patient = known.patient if wanted.opened is None else wanted.opened.patient
                return await _let(request, wanted, there, allowed, patient)
        if "none" in wanted.prompts:
            return _back(request, wanted, error="consent_required")
        return await _asking(request, wanted, there)

    @app.post("/portal/allow", include_in_schema=False)
    async def said(request: Request) -> Response:
        form = await forms.fields(request, _MOST_FIELDS)
        try:
            wanted = await launch.judged(_authorization(request), _query(request))
        except Unknown:
            return guests.page(request, "app_unknown", 400)
        except Refused as refused:
            return await _refused(request, refused)
        there = await guests.anyone(request)
        if there is None or form is None or form.get("seal") != there.session.seal:
            return guests.go(request, f"/allow?{_query(request)}")
        if not await _fits(request, wanted, there):
            return _back(request, wanted, error="access_denied")
        match form.get("act"):
            case "deny":
                return _back(request, wanted, error="access_denied")
            case "allow":
                return await _allowed(request, wanted, there, form)
        return await _asking(request, wanted, there, form)

    @app.get("/portal/apps", include_in_schema=False)
    async def listed(request: Request) -> Response:
        there = await guests.anyone(request)
        return (
            guests.go(request, "/sign-in?to=%2Fapps")
            if there is None
            else await _listed(request, there)
        )

    @app.post("/portal/apps", include_in_schema=False)
    async def taken_back(request: Request) -> Response:
        there, form = await guests.anyone(request), await forms.fields(request)
        if there is None or form is None or form.get("seal") != there.session.seal:
            return guests.go(request, "/apps")
        context = guests.context_of(request)
        person, now = there.session.person, context.hub.clock()
        async with context.hub.engine.transaction() as conn:
            ended = await apps.end_all(
                conn, now, person=person.id, client=form.get("client", "").replace("\0", "")
            )
        if ended:
            await context.audit.record(
                AuditRow(
                    answering.PERSON + person.id, there.own.rid, "app-taken-back", 200,
                    request_id=request.state.request_id,
                )
            )  # fmt: skip
        return guests.go(request, "/apps")


def _authorization(request: Request) -> Authorization:
    found: Authorization = request.app.state.authorization
    return found


def _query(request: Request) -> str:
    """As it came, but for what may not stand in an address."""
    query: bytes = request.scope["query_string"]
    return quote(query.decode("latin-1"), safe="%!$&'()*+,;=:@/?-._~", encoding="latin-1")


def _back(request: Request, wanted: Launch, **said: str) -> Response:
    return _sent(request, wanted.redirect_uri, state=wanted.state, **said)


def _sent(request: Request, redirect_uri: str, **said: str) -> Response:
    there = launch.back(redirect_uri, guests.context_of(request).hub.base, **said)
    return Response(status_code=303, headers={**pages.HEADERS, "Location": there})


async def _refused(request: Request, refused: Refused) -> Response:
    await guests.context_of(request).audit.record(
        AuditRow(
            refused.client.id, refused.client.organization, "token-refused", 400,
            query=f"error={refused.error}", request_id=request.state.request_id,
        )
    )  # fmt: skip
    return _sent(
        request, refused.redirect_uri, error=refused.error, error_description=refused.said,
        state=refused.state,
    )  # fmt: skip


async def _fits(request: Request, wanted: Launch, there: Guest) -> bool:
    """Whoever it was opened for is there, and may see what was looked at."""
    opened = wanted.opened
    if opened is None:
        return True
    if opened.organization != there.own.rid or opened.person not in (None, there.session.person.id):
        return False
    if opened.patient is None:
        return True
    hub = guests.context_of(request).hub
    return await leave.seen(hub, there.own.rid, opened.patient) is not None


async def _offered(request: Request, wanted: Launch, there: Guest) -> Wish:
    """Of some who work for an organization there is no record that an app could be told of."""
    if there.is_patient:
        return wanted.wish
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        if await accounts.practitioner(conn, there.session.person.id) is not None:
            return wanted.wish
    return Wish(wanted.wish.on, wanted.wish.words - {FHIR_USER})


async def _remembered(request: Request, wanted: Launch, there: Guest) -> apps.Permission | None:
    """What is allowed already; not for whom a patient is chosen each time, or who might not be the app."""
    is_chosen = there.is_patient or (
        wanted.opened is not None and wanted.opened.patient is not None
    )
    if "consent" in wanted.prompts or (wanted.wish.needs_patient and not is_chosen):
        return None
    if wanted.client.is_public and not wanted.redirect_uri.startswith("https:"):
        return None
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        known = await apps.remembered(
            conn, there.session.person.id, wanted.client.id, wanted.wish.stated()
        )
    if known is None or known.organization != there.own.rid or known.at <= hub.clock() - REMEMBERED:
        return None
    return known


async def _asking(
    request: Request,
    wanted: Launch,
    there: Guest,
    form: dict[str, str] | None = None,
    trouble: str | None = None,
) -> Response:
    """The page that asks. form: what was said so far."""
    context, offered = guests.context_of(request), await _offered(request, wanted, there)
    person = there.session.person
    listed: list[leave.Choice] = []
    words = (form or {}).get("words", "")
    about, patient = "", None if wanted.opened is None else wanted.opened.patient
    if patient is not None:
        looked_at = await leave.seen(context.hub, there.own.rid, patient)
        about = "" if looked_at is None else leave.choice(looked_at).name
    choosing = offered.needs_patient and not there.is_patient and patient is None
    if choosing:
        found = await leave.choices(context.hub, there.own.rid, words, context.hub.clock())
        listed = [leave.choice(one) for one in found]
        await context.audit.record(
            AuditRow(
                answering.PERSON + person.id, there.own.rid, "search-type", 200, "Patient", None,
                tuple(one.rid for one in found), request_id=request.state.request_id,
            )
        )  # fmt: skip
    points = leave.points(offered, there.t)
    return guests.page(
        request, "app_asks", 200 if trouble is None else 422, wanted.redirect_uri,
        app=wanted.client.title or wanted.client.id, address=urlsplit(wanted.redirect_uri).netloc,
        person=person.name, points=points, trouble=trouble, seal=there.session.seal,
        kept=[form is None or f"s{at}" in form for at in range(len(points))],
        about=about, choosing=choosing, choices=listed, words=words,
        chosen=(form or {}).get("patient", ""), action=f"{guests.home(request)}/allow?{_query(request)}",
    )  # fmt: skip


async def _allowed(
    request: Request, wanted: Launch, there: Guest, form: dict[str, str]
) -> Response:
    offered = await _offered(request, wanted, there)
    points = leave.points(offered, there.t)
    kept = frozenset(one.scope for at, one in enumerate(points) if f"s{at}" in form)
    allowed = offered.narrowed(kept)
    if not allowed:
        return await _asking(
            request, wanted, there, form, "Choose what it may do, or do not let it in."
        )
    opened = wanted.opened
    patient = None if opened is None else opened.patient
    if patient is not None and not (allowed.needs_patient or LAUNCH in allowed.words):
        patient = None
    if patient is None and allowed.needs_patient:
        patient = there.own.patient
        if not there.is_patient:
            found = await leave.chosen(
                guests.context_of(request).hub, there.own.rid, form.get("patient", "")
            )
            if found is None:
                return await _asking(
                    request, wanted, there, form, "Choose whose record it is about."
                )
            patient = found.rid
    return await _let(request, wanted, there, allowed, patient)


async def _let(
    request: Request, wanted: Launch, there: Guest, allowed: Wish, patient: int | None
) -> Response:
    try:
        code = await codes.allow(
            _authorization(request), wanted, there.session.person.id, there.own.rid, patient,
            allowed, request.state.request_id,
        )  # fmt: skip
    except Refused as refused:
        return await _refused(request, refused)
    return _back(request, wanted, code=code)


async def _listed(request: Request, there: Guest) -> Response:
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        found = await apps.of_person(conn, there.session.person.id)
        names = {
            one: known.title or one
            for one in dict.fromkeys(each.client for each in found)
            if (known := await clients.read(conn, one)) is not None
        }
    listed: dict[str, dict[str, object]] = {}
    for each in found:
        entry = listed.setdefault(
            each.client,
            {"client": each.client, "title": names.get(each.client, each.client),
             "since": each.at.date().isoformat(), "points": {}},
        )  # fmt: skip
        said = entry["points"]
        assert isinstance(said, dict)
        said |= {one.scope: one.said for one in leave.points(wishes.read(each.scopes), there.t)}
        entry["since"] = each.at.date().isoformat()
    return guests.page(
        request, "apps", 200, apps=list(listed.values()), seal=there.session.seal,
        person=there.session.person.name,
    )  # fmt: skip
