"""What a screening found, what may be done about each need, and the referral that a person sends of it.

http://hl7.org/fhir/us/sdoh-clinicalcare (referral management), http://hl7.org/fhir/R4/consent.html

One requisition, an order for each need, one Task; and the Consent of the person to those who are chosen, each of
whom can be left out. It is one transaction by the same door as any other. Nothing is proposed for what is a
matter of safety.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.directory.matching import prospects
from coordhub.portal.answering import PERSON
from coordhub.portal.listed import shown
from coordhub.portal.sheets import name_of
from coordhub.r4.search import parse_query
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.referral import findings, screening
from coordhub.referral.same_kind import SDOHCC
from coordhub.referral.screening import Need
from coordhub.store import resources, search
from coordhub.store.accounts import Person
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

SCOPES: Final = parse(
    "system/*.rs system/QuestionnaireResponse.c system/ServiceRequest.c system/Task.c system/Consent.c"
)

MOST: Final = 8
"""Services to choose from, for a need."""

_ORDER: Final = "urn:coordhub:order-of-screening"
_TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
_TERMS: Final = "http://terminology.hl7.org/CodeSystem"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """A service. organization: `Organization/id` of whose it is."""

    reference: str
    name: str
    organization: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """A need, and who offers what it asks for, best first."""

    need: Need
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """patient: its name. safety: a need of safety came up, for which nothing is proposed. rids: what is shown."""

    response: Version
    patient: Version
    person: str
    proposed: tuple[Proposed, ...]
    safety: bool
    rids: tuple[int, ...]


def caller(organization: Version, request_id: str | None, person: Person) -> Caller:
    return Caller(
        PERSON + person.id, organization.rid, organization.reference, SCOPES, request_id=request_id
    )


async def found(hub: Hub, conn: Connection, organization: int, fhir_id: str) -> Found | None:
    """What a response of this organization's says; None for all others, and where nothing is read of it."""
    view = viewer.as_organization(organization)
    response = await resources.read(conn, view, "QuestionnaireResponse", fhir_id)
    if response is None or response.body is None or response.source != organization:
        return None
    document = parties.document(response)
    said = screening.read(document)
    if said is None or response.patient is None:
        return None
    patient = (await resources.read_rids(conn, view, [response.patient])).get(response.patient)
    if patient is None or patient.body is None:
        return None
    told = findings.Told(
        said, document, response.reference, instant(response.updated), lambda kind, key: f"{kind}/{key}"
    )  # fmt: skip
    proposed = []
    for one in findings.proposals(told):
        choices = await _choices(hub, conn, view, one.document, patient)
        proposed.append(Proposed(screening.needs()[one.key], tuple(choices)))
    names = parties.document(patient).get("name") or [{}]
    return Found(
        response, patient, name_of(names[0]), tuple(proposed),
        any(one.sensitive for one in said.needs), (response.rid, patient.rid),
    )  # fmt: skip


async def _choices(
    hub: Hub, conn: Connection, view: Viewer, order: Document, patient: Version
) -> list[Choice]:
    """Consents are no criterion: the person is asked now."""
    ranked = await prospects(
        conn, order, parties.document(patient), sender=view.organization or 0, now=hub.clock(),
        zone=hub.zone,
    )  # fmt: skip
    first = [one for one in ranked if one.verdict == "in" and one.recipient][:MOST]
    known = await shown(conn, view, [one.recipient for one in first])
    owners = await resources.read_rids(conn, view, sorted({one.organization for one in first}))
    return [
        Choice(
            one.recipient,
            str(parties.document(known[one.recipient]).get("name") or one.recipient),
            owners[one.organization].reference,
        )
        for one in first
        if one.recipient in known and one.organization in owners
    ]


def chosen(found: Found, form: Mapping[str, str]) -> list[tuple[Need, Choice]]:
    """What is checked on the form, each with whom; a service that was not offered is not chosen."""
    return [
        (one.need, choice)
        for one in found.proposed
        if form.get(f"need.{one.need.kind}") == "on"
        for choice in one.choices
        if choice.reference == form.get(f"whom.{one.need.kind}")
    ]


async def send(hub: Hub, caller: Caller, found: Found, wanted: list[tuple[Need, Choice]]) -> str:
    """Refer; id of the Task. FhirError where the hub refuses."""
    now, patient = instant(hub.clock()), found.patient.reference
    orders = {need.kind: uuid.uuid4().urn for need, _ in wanted}
    concerns = await _concerns(hub, caller.organization, found)
    consent = consent_of(
        patient, caller.reference, sorted({one.organization for _, one in wanted}), now
    )
    operations = [Create("Consent", consent, full_url=uuid.uuid4().urn)]
    for need, choice in wanted:
        order = _order(need, choice, found, caller.reference, concerns.get(need.kind), now)
        operations.append(Create("ServiceRequest", order, full_url=orders[need.kind]))
    first, *others = orders.values()
    task: Document = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": _TASK_CODE, "code": "fulfill"}]},
        "focus": {"reference": first},
        "for": {"reference": patient},
        "authoredOn": now,
        "requester": {"reference": caller.reference},
    }
    if others:
        kind = {"text": "further need"}
        task["input"] = [{"type": kind, "valueReference": {"reference": one}} for one in others]
    operations.append(Create("Task", task, full_url=uuid.uuid4().urn))
    done = await commit(hub, caller, operations, interaction="transaction")
    return done.written[-1].id


async def _concerns(hub: Hub, organization: int, found: Found) -> dict[str, str]:
    """By kind, the Condition that the response gave rise to."""
    numbers = [findings.number_of(found.response.reference, one.need) for one in found.proposed]
    stated = ",".join(f"{findings.SYSTEM}|{one}" for one in numbers)
    query = parse_query("Condition", [("identifier", stated)], base=hub.base, now=hub.clock())
    async with hub.engine.searches.acquire() as conn:
        view = viewer.as_organization(organization)
        page = await search.search(conn, hub.engine, view, query, limit=len(numbers) + 1)
    known = {}
    for one in page.versions:
        key = findings.key_of(parties.document(one), found.response.reference)
        if key is not None:
            known[key.rpartition("/")[2]] = one.reference
    return known


def _order(
    need: Need, choice: Choice, found: Found, requester: str, concern: str | None, now: str
) -> Document:
    codings = [{"system": screening.SNOMED, "code": "410606002"}]
    number = f"{found.response.id}#{need.kind}"
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": _ORDER, "value": number}],
        "requisition": {"system": findings.PROPOSAL, "value": f"{found.response.id}#all"},
        "status": "active",
        "intent": "order",
        "priority": "routine",
        "category": [{"coding": [{"system": SDOHCC, "code": need.kind}]}],
        "code": {"coding": codings, "text": need.text},
        "subject": {"reference": found.patient.reference},
        "authoredOn": now,
        "requester": {"reference": requester},
        "performer": [{"reference": choice.reference}],
        **({"reasonReference": [{"reference": concern}]} if concern else {}),
    }


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
