"""The question that the hub puts to a recipient: a ServiceRequest and a Task of its own.

SR2 is a filler order based on the sender's SR1, T2 a part of the sender's T1, as SDOH Clinical Care
asks of a coordination platform; the sender's resources stay the sender's.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from coordhub.access import viewer
from coordhub.insight import enclosing, kits
from coordhub.r4 import datasets
from coordhub.r4 import reference as reference_of
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.r4.typed import new_task
from coordhub.record import owing, parties, question
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Update
from coordhub.record.recipients import dataset_of
from coordhub.referral.episode import REFERRAL_SYSTEM, business_status
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

_NOT_COPIED = (
    "id",
    "meta",
    "text",
    "identifier",
    "replaces",
    "instantiatesCanonical",
    "relevantHistory",
)
_PLACER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}

Document = dict[str, Any]


def service_request(
    sr1: Document,
    reference: str,
    referral: str,
    performers: Sequence[str],
    enclosed: Sequence[str] = (),
) -> Document:
    """SR2: what SR1 asks for, as the hub's filler order. `reference`: of SR1; `referral`: the shared id.

    enclosed: `Type/id` of what a kit adds to the supporting information.
    """
    copied = {name: value for name, value in sr1.items() if name not in _NOT_COPIED}
    number = {"system": REFERRAL_SYSTEM, "value": referral}
    document = {
        **copied,
        "identifier": [{**number, "type": _PLACER}],
        "status": "active",
        "intent": "filler-order",
        "basedOn": [{"reference": reference}],
        "requisition": number,
    }
    if len(performers) == 1:
        document["performer"] = [{"reference": performers[0]}]
    else:
        document.pop("performer", None)
    if enclosed:
        named = [{"reference": each} for each in enclosed]
        document["supportingInfo"] = [*document.get("supportingInfo", ()), *named]
    return _without_loose_ends(document)


def _without_loose_ends(document: Document) -> Document:
    """Without contained resources that nothing refers to any more, such as a team of all who are asked."""
    while "contained" in document:
        outside = {name: value for name, value in document.items() if name != "contained"}
        named = {
            element.get("reference")
            for one in (outside, *document["contained"])
            for _, element in reference_of.walk(one)
        }
        kept = [one for one in document["contained"] if f"#{one.get('id')}" in named]
        if len(kept) == len(document["contained"]):
            break
        document = {**outside, **({"contained": kept} if kept else {})}
    return document


@dataclass(frozen=True, slots=True)
class Sent:
    """What a need's sender wrote: its Task and the ServiceRequest of the need. orders: `ServiceRequest/id`
    of all needs of the referral."""

    task: Version
    request: Version
    orders: frozenset[str]

    @property
    def documents(self) -> tuple[Document, Document]:
        return parties.document(self.task), parties.document(self.request)


async def question_to(
    hub: Hub, conn: Connection, sent: Sent, key: str, recipients: Mapping[str, int], *, blind: bool
) -> list[Create]:
    """SR2 and a T2 for each of these, in their order: an order for each data set, and for what goes with it.

    recipients: as addressed, with the rid of the organization. key: tells the orders of this question
    from those of another one in the same commit. blind: others are asked at the same time.
    """
    _, request = sent.documents
    datasets_of = {
        text: await dataset_of(conn, organization, text, request, hub.base)
        for text, organization in recipients.items()
    }
    along = await _enclosed(
        hub, conn, sent, {recipients[text]: dataset for text, dataset in datasets_of.items()}
    )
    versions_of = {
        text: (dataset, along.get(recipients[text], ())) for text, dataset in datasets_of.items()
    }
    urls: dict[tuple[int, tuple[str, ...]], str] = {}
    made = []
    for dataset, enclosed in versions_of.values():
        if (dataset, enclosed) in urls:
            continue
        url = urls[dataset, enclosed] = f"urn:coordhub:sr2:{key}:{len(urls)}"
        order = service_request(
            question.trimmed(request, dataset),
            sent.request.reference,
            sent.task.id,
            # nobody is told by it that the order of another is not the same
            [text for text, theirs in datasets_of.items() if theirs == dataset],
            enclosed,
        )
        made.append(Create("ServiceRequest", order, full_url=url))
    for text, version in versions_of.items():
        dataset = version[0]
        hidden = blind and dataset != datasets.VSP
        made.append(Create("Task", _task(hub, sent, urls[version], text, dataset, blind=hidden)))
    return made


async def question_to_all(
    hub: Hub, conn: Connection, sent: Sent, key: str, recipients: Mapping[str, int]
) -> list[Create]:
    """One SR2 and one T2 without owner, that tells for whom only who claims it.

    The order is whole: what each is shown of it is the part of its own data set. With it goes what each of
    them may be shown, as it is not known who claims it.
    """
    _, request = sent.documents
    datasets_of = {
        organization: await dataset_of(conn, organization, text, request, hub.base)
        for text, organization in recipients.items()
    }
    along = await _enclosed(hub, conn, sent, datasets_of)
    lists = [along.get(organization, ()) for organization in datasets_of]
    common = [each for each in lists[0] if all(each in one for one in lists)] if lists else []
    url = f"urn:coordhub:sr2:{key}:pool"
    order = service_request(request, sent.request.reference, sent.task.id, [], common)
    return [
        Create("ServiceRequest", order, full_url=url),
        Create(
            "Task", _task(hub, sent, url, None, datasets.WHOLE, blind=True), full_url=pool_url(key)
        ),
    ]


async def _enclosed(
    hub: Hub, conn: Connection, sent: Sent, recipients: Mapping[int, int]
) -> dict[int, tuple[str, ...]]:
    """What the kit of this kind of referral has for each of these, besides what its sender has enclosed.

    recipients: organizations, with their data sets. Nothing where violence is spoken of.
    """
    _, request = sent.documents
    kit = kits.of(request)
    patient = sent.request.patient
    if kit is None or patient is None or (sent.request.labels | sent.task.labels) & (SDV | VSP):
        return {}
    found = await enclosing.enclosed(
        conn, hub.engine, kit, recipients, view=viewer.as_organization(sent.task.source), patient=patient,
        base=hub.base, now=hub.clock(), zone=hub.zone or UTC,
    )  # fmt: skip
    there = {parties.local(one, hub.base) for one in request.get("supportingInfo") or ()}
    return {
        organization: tuple(each for each in named if each not in there)
        for organization, named in found.items()
    }


def question_by_its_own(hub: Hub, sent: Sent, recipient: str) -> Update:
    """T1 as the one Task that its sender shares with this recipient, who is its owner."""
    task, _ = sent.documents
    document = {
        **task,
        "owner": {"reference": recipient},
        "businessStatus": business_status("awaiting-recipient"),
        "lastModified": instant(hub.clock()),
    }
    document.setdefault("groupIdentifier", {"system": REFERRAL_SYSTEM, "value": sent.task.id})
    return Update("Task", sent.task.id, document)


def pool_url(key: str) -> str:
    """The fullUrl of the Task of `question_to_all`."""
    return f"urn:coordhub:t2:{key}:pool"


def _task(
    hub: Hub, sent: Sent, focus: str, owner: str | None, dataset: int, *, blind: bool
) -> Document:
    task, request = sent.documents
    document = new_task(
        part_of=sent.task.reference,
        focus=focus,
        requester=hub.organization,
        owner=owner,
        authored_on=instant(hub.clock()),
        group=(REFERRAL_SYSTEM, sent.task.id),
    )
    back = owing.inputs(request, dataset)
    document |= question.told(task, dataset, sent.orders, hub.base, blind=blind, back=back)
    if "priority" not in document and "priority" in request:  # what its deadlines go by
        document["priority"] = request["priority"]
    return document
