"""The room in which who holds data looks at what it is asked for, and releases all, some, or nothing of it.

http://hl7.org/fhir/us/davinci-hrex (Task for data request), docs/referrals.md (Asked and released by a person)

Whose record it is says the person who releases, unless it is known already. What is found for the question is a
help to choose: released is what is ticked, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.portal import answering, forms, guests, leave, listed, occurrences, patients, worklist
from coordhub.portal.guests import Guest
from coordhub.portal.language import Words
from coordhub.portal.occurrences import Paper, Wall
from coordhub.portal.sheets import person_of, words
from coordhub.r4 import sensitivity
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Update
from coordhub.referral import data_request
from coordhub.referral.wanted import codes
from coordhub.store import people, resources, search
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

MOST: Final = 50
"""Of what is found for the question."""

OPEN: Final = frozenset({"requested", "received", "accepted", "in-progress", "on-hold"})
_DATED: Final = frozenset(occurrences.KINDS) & {
    "DiagnosticReport", "DocumentReference", "ImagingStudy", "Observation", "Procedure", "Encounter", "Condition",
}  # fmt: skip
"""What can be asked for here."""

PURPOSES: Final = {
    "TREAT": "treatment",
    "HPAYMT": "payment",
    "COC": "coordination of care",
    "BTG": "an emergency",
}
"""Code of why it is asked for -> its name."""

NOT_TICKED: Final = "Tick what you release."
NO_REASON: Final = "Say why: whoever asked reads it."
NO_DAY: Final = "Say when it will be looked at: whoever asked reads it."
OVER: Final = "This cannot be answered so any more."

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """reference: `Type/id`. notice: it is of a sensitive class."""

    reference: str
    title: str
    value: str
    when: str
    notice: bool
    released: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request for data, as its holder sees it. asked: what for, in the words of who asks; questions: what exactly.

    whose: own records that it can be released from; None of them chosen: `items` is empty.
    """

    task: Version
    document: Document
    requester: str
    purpose: str
    asked: str
    questions: tuple[str, ...]
    person: tuple[tuple[str, str], ...]
    whose: tuple[leave.Choice, ...]
    chosen: str
    items: tuple[Item, ...]
    rids: tuple[int, ...]

    @property
    def is_open(self) -> bool:
        return self.document.get("status") in OPEN


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/releases/{fhir_id}", include_in_schema=False)
    async def shown(request: Request, fhir_id: str) -> Response:
        guest = await guests.at(request, "worklist")
        if isinstance(guest, Response):
            return guest
        return await _page(request, guest, fhir_id, dict(request.query_params))

    @app.post("/portal/releases/{fhir_id}", include_in_schema=False)
    async def answered(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request, MOST + 20)
        guest = await guests.at(request, "worklist")
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _answer(request, guest, fhir_id, form)


async def _wanted(
    request: Request, guest: Guest, fhir_id: str, form: dict[str, str]
) -> Wanted | None:
    """A request that the organization is to answer; None for all others."""
    hub, own = guests.context_of(request).hub, guest.own
    looked = form.get("who", "")[:100]
    named = await leave.choices(hub, own.rid, looked, hub.clock()) if looked.strip() else []
    async with hub.engine.pool.acquire() as conn:
        view = viewer.as_organization(own.rid)
        task = await resources.read(conn, view, "Task", fhir_id)
        if task is None or task.body is None or task.source == own.rid:
            return None
        document = parties.document(task)
        if not data_request.asks(document):
            return None
        known = await listed.named(hub, conn, view, [{"for": document.get("for")}])
        asker = (await resources.read_rids(conn, view, [task.source])).get(task.source)
        whom = next(iter(known.values()), None)
        same = await people.same(conn, view, whom.rid) if whom is not None else []
        records = await resources.read_rids(conn, view, same)
        mine = [one for one in (*records.values(), *named) if one.source == own.rid and one.body]
        whose = tuple(dict.fromkeys(leave.choice(one) for one in mine))
        chosen = form.get("whose") or (whose[0].id if len(whose) == 1 and not looked else "")
        chosen = chosen if chosen in {one.id for one in whose} else ""
        wall = await patients.wall_of(request, guest, conn)
        given = await _given(hub, conn, own.rid, document)
    found = [] if not chosen else await _found(hub, own.rid, document, chosen)
    items = [*given, *(one for one in found if one.reference not in {g.reference for g in given})]
    there = {one.reference for one in given}
    return Wanted(
        task, document,
        occurrences.name_in(asker) if asker is not None else "",
        purpose_of(document, guest.t),
        str(document.get("description") or ""),
        tuple(data_request.questions(document)),
        tuple(person_of(parties.document(whom))) if whom is not None else (),
        whose, chosen,
        tuple(_item(one, wall, released=one.reference in there) for one in items),
        tuple(dict.fromkeys([
            task.rid, *([whom.rid] if whom is not None else []), *(one.rid for one in mine),
            *(one.rid for one in items),
        ])),
    )  # fmt: skip


async def _given(
    hub: Hub, conn: Connection, organization: int, document: Document
) -> list[Version]:
    """What is released, as the answer names it."""
    texts = parties.locals_of(
        [one.get("valueReference") for one in document.get("output") or ()], hub.base
    )
    known = await listed.shown(conn, viewer.as_organization(organization), texts)
    return list(known.values())


async def _found(hub: Hub, organization: int, document: Document, patient: str) -> list[Version]:
    """What the organization wrote itself of this patient that is asked for, newest first in each question."""
    view = viewer.as_organization(organization)
    found: dict[str, Version] = {}
    for kind, pairs in data_request.searches(document):
        if kind not in _DATED:
            continue
        try:
            query = parse_query(
                kind, [("patient", f"Patient/{patient}"), *pairs], base=hub.base, now=hub.clock()
            )
            async with hub.engine.searches.acquire() as conn:
                page = await search.search(
                    conn, hub.engine, view, query, limit=MOST, source=organization
                )
        except FhirError as error:
            if error.status >= 500:
                raise
            continue
        found |= {one.reference: one for one in page.versions if one.body is not None}
    return list(found.values())[:MOST]


def purpose_of(document: Document, t: Words) -> str:
    """What it is asked for, as it says; of a code its name."""
    concept = document.get("reasonCode") or {}
    coded = next((t(PURPOSES[code]) for _, code in codes(concept) if code in PURPOSES), "")
    said = str(concept.get("text") or "") if coded else words(concept)
    return ": ".join(one for one in (coded, said) if one)


def _item(version: Version, wall: Wall, *, released: bool) -> Item:
    paper = Paper.of(version)
    kind = occurrences.KINDS.get(version.type, "Result")
    return Item(
        version.reference,
        occurrences.title(paper) or wall.t(kind),
        occurrences.told(paper.document) or str(paper.document.get("conclusion") or ""),
        wall.of(paper)[2] if version.type in occurrences.KINDS else "",
        bool(version.labels & sensitivity.ALL),
        released,
    )


async def _page(
    request: Request,
    guest: Guest,
    fhir_id: str,
    form: dict[str, str],
    refused: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    found = await _wanted(request, guest, fhir_id, form)
    if found is None:
        return guests.room(request, guest, "missing", 404)
    await guests.looked(request, guest, "read", fhir_id, found.rids)
    return guests.room(
        request, guest, "release", status, here="worklist", found=found, refused=refused,
        looked=form.get("who", "")[:100], seen=found.task.version, longest=answering.LONGEST,
        state=worklist.state_of(found.document), form=form,
        business=words(found.document.get("businessStatus")),
        why=words(found.document.get("statusReason")),
        action=f"{guests.home(request)}/releases/{fhir_id}",
    )  # fmt: skip


async def _answer(request: Request, guest: Guest, fhir_id: str, form: dict[str, str]) -> Response:
    found = await _wanted(request, guest, fhir_id, form)
    if found is None:
        return guests.room(request, guest, "missing", 404)
    said = form.get("words", "").strip()[: answering.LONGEST]
    changed = _answered(found, form, said)
    if isinstance(changed, str):
        status = 409 if changed == OVER else 422
        return await _page(request, guest, fhir_id, form, (changed,), status)
    hub = guests.context_of(request).hub
    changed["lastModified"] = instant(hub.clock())
    seen = forms.version(form.get("seen", "")) or found.task.version
    caller = answering.caller(guest.own, request.state.request_id, guest.session.person)
    try:
        update = Update("Task", found.task.id, changed, if_match=seen)
        await commit(hub, caller, [update], interaction="update")
    except FhirError as error:
        return await _page(request, guest, fhir_id, form, guests.refused(error), error.status)
    return guests.go(request, f"/releases/{fhir_id}")


def _answered(found: Wanted, form: dict[str, str], said: str) -> Document | str:
    """The Task as it is answered; else what still has to be said before."""
    act, document = form.get("act"), dict(found.document)
    ticked = [one.reference for one in found.items if form.get(f"take.{one.reference}") == "on"]
    if act == "keep" and document.get("status") == "completed":
        document["output"] = _outputs(document, ticked)
        return document
    if not found.is_open or act not in ("release", "all", "withhold", "later"):
        return OVER
    if act == "later":
        return (
            {**document, "status": "in-progress", "businessStatus": {"text": said}}
            if said
            else NO_DAY
        )
    if act == "withhold":
        if not said:
            return NO_REASON
        return {**document, "status": "rejected", "statusReason": {"text": said}}
    chosen = [one.reference for one in found.items] if act == "all" else ticked
    if not chosen:
        return NOT_TICKED
    document.pop("businessStatus", None)
    if said:
        document["note"] = [*(document.get("note") or []), {"text": said}]
    return {**document, "status": "completed", "output": _outputs({}, chosen)}


def _outputs(document: Document, references: list[str]) -> list[Document]:
    """Those that name these, of what was released; each anew where nothing was."""
    before = {
        str((one.get("valueReference") or {}).get("reference")): one
        for one in document.get("output") or ()
    }
    kind = {"coding": [{"system": data_request.SYSTEM, "code": "data-value"}]}
    return [
        before.get(one, {"type": kind, "valueReference": {"reference": one}}) for one in references
    ]
