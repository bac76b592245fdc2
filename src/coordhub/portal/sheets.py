"""What one Task says, as its organization may see it: rows of a page.

http://hl7.org/fhir/R4/task.html

Everything is read with the Viewer of the organization; what is not shown to it is not on the page. Of what
has ended no word of a person is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from coordhub.access import viewer
from coordhub.directory import calendars
from coordhub.portal import answering, coded, moments
from coordhub.portal.language import Words
from coordhub.r4 import interval, sensitivity
from coordhub.record import errands, parties
from coordhub.record.hub import Hub
from coordhub.record.timing import ROUTINE, priority
from coordhub.store import resources, vsp
from coordhub.store.engine import Connection
from coordhub.store.links import Visit
from coordhub.store.resources import Version
from coordhub.store.visibility import HUB, Viewer

Document = dict[str, Any]
Row = tuple[str, str]

State = Literal["open", "gone", "filled", "declined", "done", "told"]
"""told: there is nothing to answer here. filled: somebody else was first."""

MOST: Final = 20
"""Records besides the request that are shown."""

ANSWERS: Final = {
    "requested": ("accept", "ask", "waitlist", "decline"),
    "received": ("accept", "ask", "waitlist", "decline"),
    "accepted": ("start", "finish", "ask", "waitlist", "decline"),
    "ready": ("start", "finish", "ask", "decline"),
    "in-progress": ("finish", "ask", "fail"),
    "on-hold": ("start", "finish", "fail"),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """answers: what may be done now. rids: what is shown of it, for the audit. given: what is most likely
    given for it. errand: of which kind it is, where it is not to meet a need."""

    state: State
    title: str = ""
    urgent: bool = False
    status: str = ""
    request: tuple[Row, ...] = ()
    person: tuple[Row, ...] = ()
    records: tuple[Row, ...] = ()
    notices: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    task: Version | None = None
    document: Document | None = None
    rids: tuple[int, ...] = ()
    given: str = ""
    errand: str = ""


async def sheet(
    hub: Hub, conn: Connection, visit: Visit, t: Words, *, ended: bool = False
) -> Sheet:
    """ended: show also what has ended, which a page that was opened by a link does not."""
    view = viewer.as_organization(visit.organization)
    task = (await resources.read_rids(conn, view, [visit.task])).get(visit.task)
    if task is None or task.body is None:
        return Sheet("gone")
    document = parties.document(task)
    state = _state(document)
    if state != "open" and not ended:
        return Sheet(state, rids=(task.rid,))
    request = await _read(hub, conn, view, document.get("focus"))
    asked = parties.document(request) if request is not None else {}
    kind = errands.kind_of(document) or ""
    whom, about = document.get("for"), None
    if kind and request is not None and request.type in ("Task", "ServiceRequest"):
        # what a person is asked about a referral tells whose it is: of a result it would count as looked at
        whom = whom or asked.get("for") or asked.get("subject")
        if request.type == "Task":
            about = await _read(hub, conn, view, asked.get("focus"))
    person = await _read(hub, conn, view, whom)
    sender = await _read(hub, conn, view, asked.get("requester"))
    besides = [
        found
        for element in (asked.get("supportingInfo") or [])[:MOST]
        if (found := await _read(hub, conn, view, element)) is not None
    ]
    shown = [one for one in (task, request, about, person, sender, *besides) if one is not None]
    bits = 0
    for one in shown:
        bits |= one.labels
    owner = parties.local(document.get("owner"), hub.base) or ""
    calendar = await calendars.calendar_of(conn, owner, hub.base, hub.deadlines.calendar)
    end = _end(document)
    until = f"{moments.moment(end, calendar, t)} ({calendar.zone.key})" if end else ""
    status = str(document.get("status"))
    answerable = task.source == HUB and "partOf" in document and _codes(document) <= {"fulfill"}
    told: State = "open" if answerable else "told"
    answers = ANSWERS.get(status, ()) if answerable else ()
    if visit.organization in await vsp.marked(conn):  # nobody would hear its question
        answers = tuple(one for one in answers if one != "ask")
    return Sheet(
        state if state != "open" else told,
        words(asked.get("code")) or words(document.get("code")) or "A request",
        priority(document) != ROUTINE,
        status,
        (*_about(kind, request, about), *_request(document, asked, sender, until)),
        tuple(person_of(parties.document(person))) if person is not None else (),
        tuple(row for one in besides for row in _record(parties.document(one))),
        tuple(
            str(each["display"])
            for each in sensitivity.codings(bits)
            if each["system"] == sensitivity.NOTICE
        ),
        answers,
        task,
        document,
        tuple(one.rid for one in shown),
        answering.suggested(asked),
        kind,
    )


def _state(document: Document) -> State:
    status = document.get("status")
    if status == "cancelled":
        return "filled" if "not-selected" in _codes(document, "statusReason") else "gone"
    if status == "entered-in-error":
        return "gone"
    if status == "rejected":
        return "declined"
    return "done" if status in ("completed", "failed") else "open"


async def _read(hub: Hub, conn: Connection, view: Viewer, element: object) -> Version | None:
    text = parties.local(element, hub.base)
    kind, _, fhir_id = (text or "").partition("/")
    found = await resources.read(conn, view, kind, fhir_id) if fhir_id else None
    return found if found is not None and found.body is not None else None


def _end(document: Document) -> datetime | None:
    period = (document.get("restriction") or {}).get("period") or {}
    found = interval.parse_period(period) if "end" in period else None
    return found.high if found is not None else None


def _about(kind: str, request: Version | None, about: Version | None) -> Iterator[Row]:
    """What was asked for, of an errand about a referral."""
    order = about if about is not None else request
    if kind and order is not None and order.type == "ServiceRequest":
        yield from (
            ("About", text) for text in [words(parties.document(order).get("code"))] if text
        )


def _request(
    document: Document, asked: Document, sender: Version | None, until: str
) -> Iterator[Row]:
    if until:
        yield "Answer by", until
    if sender is not None and (name := parties.document(sender).get("name")):
        yield "Asked by", name_of(name)
    yield from (("Kind", text) for one in asked.get("category") or [] if (text := words(one)))
    if (quantity := asked.get("quantityQuantity")) is not None:
        yield "How much", _quantity(quantity)
    for about in asked.get("about") or []:
        if said := about.get("display"):
            yield "About", str(said)
    for part in asked.get("payload") or []:
        if said := part.get("contentString"):
            yield "Note", str(said)
    if said := asked.get("patientInstruction"):
        yield "Told to the person", str(said)
    for note in (*(asked.get("note") or []), *(document.get("note") or [])):
        yield "Note", str((note or {}).get("text", ""))
    if said := document.get("description"):
        yield "Task", str(said)


def person_of(person: Document) -> Iterator[Row]:
    yield from (("Name", name_of(one)) for one in (person.get("name") or [])[:1])
    if born := person.get("birthDate"):
        yield "Born", str(born)
    for one in person.get("telecom") or []:
        if value := one.get("value"):
            yield (
                {"phone": "Phone", "sms": "Text message", "email": "E-mail"}.get(
                    one.get("system"), "Contact"
                ),
                str(value),
            )
    for one in person.get("address") or []:
        parts = [*(one.get("line") or []), one.get("city"), one.get("state"), one.get("postalCode")]
        if text := one.get("text") or ", ".join(str(part) for part in parts if part):
            yield "Address", str(text)
    for one in person.get("communication") or []:
        if text := words(one.get("language")):
            yield "Language", text


def _record(document: Document) -> Iterator[Row]:
    name = words(document.get("code")) or str(document.get("resourceType"))
    value = next(
        (
            text
            for key, part in document.items()
            if key.startswith("value") and (text := value_of(part))
        ),
        "",
    )
    yield name, value or "see the record"


def value_of(part: object) -> str:
    if isinstance(part, dict):
        return _quantity(part) if "value" in part else words(part)
    return "yes" if part is True else "no" if part is False else str(part)


def _quantity(part: Document) -> str:
    return " ".join(str(part[name]) for name in ("value", "unit") if name in part)


def name_of(name: object) -> str:
    if not isinstance(name, dict):
        return str(name)
    parts = [*(name.get("given") or []), name.get("family")]
    return str(name.get("text") or " ".join(str(part) for part in parts if part))


def words(concept: object) -> str:
    """As whoever wrote it says; else as we call it; else a code, which is more than nothing."""
    if not isinstance(concept, dict):
        return ""
    codings = [one for one in concept.get("coding") or [] if isinstance(one, dict)]
    said: Iterable[object] = (
        concept.get("text"),
        *(one.get("display") for one in codings),
        *(coded.words().get((str(one.get("system")), str(one.get("code")))) for one in codings),
        *(one.get("code") for one in codings),
    )
    return next((str(one) for one in said if one), "")


def _codes(document: Document, name: str = "code") -> set[str]:
    return {str(one.get("code")) for one in (document.get(name) or {}).get("coding") or []}
