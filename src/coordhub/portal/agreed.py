"""A referral that a person sends: what was chosen and agreed to on a page, of one need or of several at once.

http://hl7.org/fhir/us/sdoh-clinicalcare (referral management), http://hl7.org/fhir/R4/consent.html

It sends what a system would, in one transaction by the same door: the Consent of the person to those who were
chosen and to nobody else, an order for each need, and one Task. Where something was known already that speaks
against a need, the page says so before, and it goes on for a reason only; that it was told, and what came of it,
goes to the ledger (insight.told).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from fastapi import Request, Response

from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.errors import FhirError
from coordhub.insight import told
from coordhub.portal import answering, candidates, guests
from coordhub.portal.candidates import Candidate, Found
from coordhub.portal.guests import Guest
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.store import cards
from coordhub.store.accounts import Person
from coordhub.store.cards import Feedback
from coordhub.store.resources import Version

SCOPES: Final = parse(
    "system/*.rs system/QuestionnaireResponse.c system/ServiceRequest.c system/Task.c system/Consent.c"
)

DOOR: Final = "portal"
"""How the ledger names where it was told."""

LEFT: Final = "enough"
"""Chosen instead of a reason: what the person has is enough."""

NOBODY: Final = "Choose at least one of them."
NO_REASON: Final = "Say why it is to be sent although this is known."
NOT_ASKED: Final = "Ask the person first, and say that it agrees."

_TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
_TERMS: Final = "http://terminology.hl7.org/CodeSystem"

Document = dict[str, Any]
Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A need, and who is asked for it. because: code of why, although something is known, or LEFT; anyway: in own
    words."""

    found: Found
    chosen: tuple[Candidate, ...]
    because: str
    anyway: str

    @property
    def is_left(self) -> bool:
        """It stays at what the person has."""
        return self.because == LEFT

    @property
    def why(self) -> str:
        """As who is asked reads it."""
        given = told.REASONS.get(self.because, "") if self.because != "other" else ""
        return ": ".join(one for one in (given, self.anyway) if one)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a referral says beside its parts. identifiers: of the order, by kind; requisition, task: of all.

    more: further elements of the order, by kind. based_on: `Task/id` of what has ended, that it is asked for again.
    """

    urgent: bool = False
    words: str = ""
    identifiers: Mapping[str, Document] = field(default_factory=dict)
    requisition: Document | None = None
    task: Document | None = None
    more: Mapping[str, Document] = field(default_factory=dict)
    based_on: str = ""


def caller(organization: Version, request_id: str | None, person: Person) -> Caller:
    return Caller(
        answering.PERSON + person.id, organization.rid, organization.reference, SCOPES,
        request_id=request_id,
    )  # fmt: skip


def part(found: Found, form: Form) -> Part:
    """As the form has it; a service that was not offered is not chosen."""
    kind = found.kind.key
    because = form.get(f"because.{kind}", "")
    known = bool(found.warnings)
    return Part(
        found,
        tuple(one for one in found.candidates if form.get(f"whom.{kind}.{one.reference}") == "on"),
        because if known and because in (LEFT, *told.REASONS) else "",
        form.get(f"anyway.{kind}", "").strip()[: answering.LONGEST] if known else "",
    )


def lacks(parts: Sequence[Part], form: Form) -> str | None:
    """What still has to be said before it can be sent."""
    if not parts or not all(one.chosen for one in parts):
        return NOBODY
    if any(one.found.warnings and not one.why for one in parts):
        return NO_REASON
    if form.get("agreed") != "on":
        return NOT_ASKED
    return None


async def noted(
    request: Request, guest: Guest, shown: Iterable[Found], form: Form
) -> dict[str, str]:
    """By kind, the number of the entry that the ledger has of what this page tells; the form's where it is one."""
    hub, entries = guests.context_of(request).hub, {}
    for one in shown:
        kind = one.kind.key
        entry = _number(form, kind)
        if one.evidence and entry is None:
            now = hub.clock()
            asked = candidates.order(
                one.kind, one.patient.reference, guest.own.reference, (), instant(now), urgent=False
            )
            async with hub.engine.pool.acquire() as conn:
                entry = await told.keep(
                    conn, guest.own.rid, answering.PERSON + guest.session.person.id, DOOR, asked,
                    one.patient.rid, one.evidence, now,
                )  # fmt: skip
        if entry is not None:
            entries[kind] = str(entry)
    return entries


async def settle(
    request: Request,
    guest: Guest,
    parts: Sequence[Part],
    sent: Sent,
    form: Form,
    entries: Mapping[str, str],
) -> Response | tuple[tuple[str, ...], int]:
    """On to the referral that was sent, or to the person where all is left; else what is refused, with its status.

    To the ledger goes which were left at what the person has, and which were sent all the same, and why.
    """
    going = [one for one in parts if not one.is_left]
    lacking = lacks(going, form) if going or not parts else None
    if lacking is not None:
        return (lacking,), 422
    there = f"/patients/{parts[0].found.patient.id}"
    if going:
        person = caller(guest.own, request.state.request_id, guest.session.person)
        try:
            task = await send(guests.context_of(request).hub, person, going, sent)
        except FhirError as error:
            return guests.refused(error), error.status
        there = f"/referrals/{task}"
    hub = guests.context_of(request).hub
    said = [
        Feedback(UUID(entries[kind]), "accepted", None)
        if one.is_left
        else Feedback(UUID(entries[kind]), "overridden", one.because or "other")
        for one in parts
        if (kind := one.found.kind.key) in entries
    ]
    if said:
        async with hub.engine.pool.acquire() as conn:
            await cards.feed_back(conn, guest.own.rid, DOOR, said, hub.clock())
    return guests.go(request, there)


def _number(form: Form, kind: str) -> UUID | None:
    try:
        return UUID(form.get(f"told.{kind}", ""))
    except ValueError:
        return None


async def send(hub: Hub, caller: Caller, parts: Sequence[Part], sent: Sent) -> str:
    """Refer; id of the Task. FhirError where the hub refuses."""
    now, patient = instant(hub.clock()), parts[0].found.patient.reference
    recipients = sorted({each.organization for one in parts for each in one.chosen})
    consent = consent_of(patient, caller.reference, recipients, now)
    operations = [Create("Consent", consent, full_url=uuid4().urn)]
    orders = []
    for one in parts:
        operations.append(
            Create("ServiceRequest", _order(one, sent, caller, now), full_url=uuid4().urn)
        )
        orders.append({"reference": operations[-1].full_url})
    first, *others = orders
    task: Document = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "urgent" if sent.urgent else "routine",
        "code": {"coding": [{"system": _TASK_CODE, "code": "fulfill"}]},
        "focus": first,
        "for": {"reference": patient},
        "authoredOn": now,
        "requester": {"reference": caller.reference},
    }
    if sent.task is not None:
        task["identifier"] = [sent.task]
    if sent.based_on:
        task["basedOn"] = [{"reference": sent.based_on}]
    if others:
        kind = {"text": "further need"}
        task["input"] = [{"type": kind, "valueReference": one} for one in others]
    operations.append(Create("Task", task, full_url=uuid4().urn))
    done = await commit(hub, caller, operations, interaction="transaction")
    return done.written[-1].id


def _order(part: Part, sent: Sent, caller: Caller, now: str) -> Document:
    kind = part.found.kind
    document = candidates.order(
        kind, part.found.patient.reference, caller.reference,
        [one.reference for one in part.chosen], now, urgent=sent.urgent,
    )  # fmt: skip
    if kind.key in sent.identifiers:
        document["identifier"] = [sent.identifiers[kind.key]]
    if sent.requisition is not None:
        document["requisition"] = sent.requisition
    if sent.words:
        document["reasonCode"] = [{"text": sent.words}]
    if part.why:
        document["note"] = [{"time": now, "text": part.why}]
    return {**document, **sent.more.get(kind.key, {})}


def consent_of(patient: str, organization: str, recipients: list[str], now: str) -> Document:
    role = {"coding": [{"system": f"{_TERMS}/v3-ParticipationType", "code": "IRCP"}]}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": f"{_TERMS}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{_TERMS}/v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"reference": patient},
        "dateTime": now,
        "performer": [{"reference": patient}],
        "organization": [{"reference": organization}],
        "policyRule": {"coding": [{"system": f"{_TERMS}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "actor": [{"role": role, "reference": {"reference": one}} for one in recipients],
        },
    }
