"""The room in which somebody asks another organization for results of a person, and sees what came of it.

http://hl7.org/fhir/us/davinci-hrex (Task for data request), docs/referrals.md (Asked and released by a person)

Whether there is anything to ask for is said by the answer alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.insight import same_question
from coordhub.insight.same_question import Question
from coordhub.portal import (
    agreed,
    answering,
    chart,
    forms,
    guests,
    listed,
    occurrences,
    patients,
    releasing,
    worklist,
)
from coordhub.portal.guests import Guest
from coordhub.portal.occurrences import Paper, Wall
from coordhub.portal.sheets import words
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Update
from coordhub.referral import data_request
from coordhub.store import people, resources, search
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

MOST: Final = 20
"""Organizations to choose from, and requests that are listed."""
BACK: Final = timedelta(days=183)
"""So far results are asked for, unless another day is chosen."""

NOBODY: Final = "Choose whom to ask."
NOTHING: Final = "Choose what to ask for."
NOT_TO_BE_ASKED: Final = "This was answered, or is not asked any more."

_DAY: Final = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Came:
    title: str
    value: str
    when: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. said: when it will be looked at, or why nothing is released, in the words of its holder. until: so
    long what came is shown."""

    id: str
    whom: str
    what: str
    since: str
    state: str
    said: str
    came: tuple[Came, ...]
    until: str
    is_open: bool
    seen: int


@dataclass(frozen=True, slots=True)
class Page:
    person: str
    asked: tuple[Asked, ...]
    holders: tuple[tuple[str, str], ...]
    rids: tuple[int, ...]


def questions() -> dict[str, Question]:
    """By name, of those that have one."""
    return {
        one.name: one
        for one in sorted(set(same_question.in_use().values()), key=lambda one: one.title)
        if one.title
    }


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/requests/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        return await _page(request, guest, fhir_id, dict(request.query_params))

    @app.post("/portal/requests/{fhir_id}", include_in_schema=False)
    async def asked(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request, 40)
        guest = await guests.at(request, "board")
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _act(request, guest, fhir_id, form)


async def _patient(request: Request, guest: Guest, fhir_id: str) -> Version | None:
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        return await chart.patient(conn, viewer.as_organization(guest.own.rid), fhir_id)


async def _page(
    request: Request,
    guest: Guest,
    fhir_id: str,
    form: dict[str, str],
    refused: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    patient = await _patient(request, guest, fhir_id)
    if patient is None:
        return guests.room(request, guest, "missing", 404)
    hub, looked = guests.context_of(request).hub, " ".join(form.get("who", "").split())[:100]
    holders = await _holders(hub, guest.own.rid, looked)
    async with hub.engine.pool.acquire() as conn:
        wall = await patients.wall_of(request, guest, conn)
        tasks = await _tasks(hub, conn, guest.own.rid, patient.rid)
        asked, rids = await _asked(hub, conn, guest.own.rid, tasks, wall)
    found = Page(chart.listing(patient).name, tuple(asked), tuple(holders), (patient.rid, *rids))
    await guests.looked(request, guest, "read", fhir_id, found.rids, "Patient")
    return guests.room(
        request, guest, "requests", status, here="patients", found=found, refused=refused,
        form=form, looked=looked, questions=questions(), fhir_id=fhir_id,
        since=form.get("since") or f"{wall.calendar.local(wall.now - BACK):%Y-%m-%d}",
        longest=answering.LONGEST, action=f"{guests.home(request)}/requests/{fhir_id}",
    )  # fmt: skip


async def _holders(hub: Hub, organization: int, looked: str) -> list[tuple[str, str]]:
    """Organizations of a name like these words, or of any; reference and name."""
    text = "".join(each for each in looked if each.isprintable())
    for special in "\\,$|":
        text = text.replace(special, f"\\{special}")
    pairs = [("name:contains", each) for each in text.split()[:5]]
    try:
        query = parse_query(
            "Organization", [*pairs, ("_sort", "name")], base=hub.base, now=hub.clock()
        )
        async with hub.engine.searches.acquire() as conn:
            view = viewer.as_organization(organization)
            page = await search.search(conn, hub.engine, view, query, limit=MOST + 1)
    except FhirError as error:
        if error.status >= 500:
            raise
        return []
    return [
        (one.reference, occurrences.name_in(one))
        for one in page.versions
        if one.rid != organization and one.body is not None and occurrences.name_in(one)
    ][:MOST]


async def _tasks(hub: Hub, conn: Connection, organization: int, patient: int) -> list[Version]:
    """What the organization has asked others for, of this person, newest first."""
    view = viewer.as_organization(organization)
    same = await people.same(conn, view, patient)
    known = await resources.read_rids(conn, view, same)
    whose = ",".join(one.reference for one in known.values())
    kind = f"{data_request.SYSTEM}|{data_request.KIND}"
    query = parse_query(
        "Task", [("patient", whose), ("code", kind)], base=hub.base, now=hub.clock()
    )
    async with hub.engine.searches.acquire() as looking:
        page = await search.search(
            looking, hub.engine, view, query, limit=MOST, source=organization
        )
    return [one for one in page.versions if one.body is not None]


async def _asked(
    hub: Hub, conn: Connection, organization: int, tasks: list[Version], wall: Wall
) -> tuple[list[Asked], tuple[int, ...]]:
    view = viewer.as_organization(organization)
    documents = [parties.document(one) for one in tasks]
    texts = {
        text
        for one in documents
        for element in (
            one.get("owner"),
            *(e.get("valueReference") for e in one.get("output") or ()),
        )
        if (text := parties.local(element, hub.base))
    }
    known = await listed.shown(conn, view, texts)
    found = [
        _one(task, document, known, hub.base, wall)
        for task, document in zip(tasks, documents, strict=True)
    ]
    return found, (*(one.rid for one in tasks), *(one.rid for one in known.values()))


def _one(
    task: Version, document: Document, known: Mapping[str, Version], base: str, wall: Wall
) -> Asked:
    dated = wall.said(document.get("authoredOn"))
    whom = known.get(parties.local(document.get("owner"), base) or "")
    papers = [
        Paper.of(known[text])
        for text in parties.locals_of(
            [one.get("valueReference") for one in document.get("output") or ()], base
        )
        if text in known and known[text].type in occurrences.KINDS
    ]
    is_open = document.get("status") in releasing.OPEN
    why = words(document.get("businessStatus" if is_open else "statusReason"))
    said = [why, *(str(one.get("text") or "") for one in document.get("note") or ())]
    return Asked(
        task.id,
        occurrences.name_in(whom) if whom is not None else wall.t("Somebody"),
        str(document.get("description") or ", ".join(data_request.questions(document))),
        dated[2] if dated is not None else "",
        worklist.state_of(document),
        " · ".join(text for text in said if text),
        tuple(
            Came(
                occurrences.title(one) or wall.t(occurrences.KINDS[one.version.type]),
                occurrences.told(one.document) or str(one.document.get("conclusion") or ""),
                wall.of(one)[2],
            )
            for one in papers
        ),
        wall.dated(task.updated + data_request.HELD) if papers else "",
        is_open,
        task.version,
    )


async def _act(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    patient = await _patient(request, guest, fhir_id)
    if patient is None:
        return guests.room(request, guest, "missing", 404)
    hub = guests.context_of(request).hub
    caller = agreed.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        if form.get("act") == "cancel":
            stopped = await _stopped(request, guest, patient, form)
            if stopped is None:
                return await _page(request, guest, fhir_id, {}, (NOT_TO_BE_ASKED,), 409)
            caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
            await commit(hub, caller, [stopped], interaction="update")
        else:
            made = _request(guest, patient, form, instant(hub.clock()))
            if isinstance(made, str):
                return await _page(request, guest, fhir_id, form, (made,), 422)
            await commit(hub, caller, [Create("Task", made)], interaction="create")
    except FhirError as error:
        return await _page(request, guest, fhir_id, form, guests.refused(error), error.status)
    return guests.go(request, f"/requests/{fhir_id}")


async def _stopped(
    request: Request, guest: Guest, patient: Version, form: dict[str, str]
) -> Update | None:
    """The request, asked no more; None where it is none that is open."""
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        tasks = await _tasks(hub, conn, guest.own.rid, patient.rid)
    for one in tasks:
        document = parties.document(one)
        if one.id == form.get("task") and document.get("status") in releasing.OPEN:
            changed = {**document, "status": "cancelled", "lastModified": instant(hub.clock())}
            seen = forms.version(form.get("seen", "")) or one.version
            return Update("Task", one.id, changed, if_match=seen)
    return None


def _request(guest: Guest, patient: Version, form: dict[str, str], now: str) -> Document | str:
    """The Task; else what still has to be said."""
    known = questions()
    chosen = [known[name] for name in known if form.get(f"what.{name}") == "on"]
    owner, since = form.get("whom", ""), form.get("since", "")
    if not re.fullmatch(r"Organization/[A-Za-z0-9.-]{1,64}", owner):
        return NOBODY
    if not chosen:
        return NOTHING
    stated = ",".join(f"{system}|{code}" for one in chosen for system, code in sorted(one.answers))
    query = f"Observation?code={stated}"
    what = ", ".join(one.title for one in chosen)
    if _DAY.fullmatch(since):
        query, what = f"{query}&date=ge{since}", f"{what} ({since} …)"
    kind = {"coding": [{"system": data_request.SYSTEM, "code": data_request.KIND}]}
    asks = {"coding": [{"system": data_request.SYSTEM, "code": "data-query"}]}
    why = form.get("why", "").strip()[: answering.LONGEST]
    purpose = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
        ]
    }
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": kind,
        "description": what,
        "for": {"reference": patient.reference},
        "authoredOn": now,
        "requester": {"reference": guest.own.reference},
        "owner": {"reference": owner},
        "reasonCode": {**purpose, **({"text": why} if why else {})},
        "input": [{"type": asks, "valueString": query}],
    }
