"""The question that the hub puts to a recipient: a ServiceRequest and a Task of its own.

SR2 is a filler order based on the sender's SR1, T2 a part of the sender's T1, as SDOH Clinical Care
asks of a coordination platform; the sender's resources stay the sender's.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordhub.r4 import datasets
from coordhub.r4 import reference as reference_of
from coordhub.r4.typed import new_task
from coordhub.record import parties, question
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.record.recipients import dataset_of
from coordhub.referral.episode import REFERRAL_SYSTEM
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
    sr1: Document, reference: str, referral: str, performers: Sequence[str]
) -> Document:
    """SR2: what SR1 asks for, as the hub's filler order. `reference`: of SR1; `referral`: the shared id."""
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
    """SR2 and a T2 for each of these: an order for each data set, and a Task for each recipient, in their order.

    recipients: as addressed, with the rid of the organization. key: tells the orders of this question
    from those of another one in the same commit. blind: others are asked at the same time.
    """
    _, request = sent.documents
    datasets_of = {
        text: await dataset_of(conn, organization, text, request, hub.base)
        for text, organization in recipients.items()
    }
    made = [
        Create(
            "ServiceRequest",
            service_request(
                question.trimmed(request, dataset),
                sent.request.reference,
                sent.task.id,
                [text for text, theirs in datasets_of.items() if theirs == dataset],
            ),
            full_url=f"urn:coordhub:sr2:{key}:{dataset}",
        )
        for dataset in dict.fromkeys(datasets_of.values())
    ]
    for text, dataset in datasets_of.items():
        focus = f"urn:coordhub:sr2:{key}:{dataset}"
        hidden = blind and dataset != datasets.VSP
        made.append(Create("Task", _task(hub, sent, focus, text, dataset, blind=hidden)))
    return made


def question_to_all(hub: Hub, sent: Sent, key: str) -> list[Create]:
    """One SR2 and one T2 without owner, that tells for whom only who claims it.

    The order is whole: what each is shown of it is the part of its own data set.
    """
    _, request = sent.documents
    url = f"urn:coordhub:sr2:{key}:pool"
    order = service_request(request, sent.request.reference, sent.task.id, [])
    return [
        Create("ServiceRequest", order, full_url=url),
        Create(
            "Task", _task(hub, sent, url, None, datasets.WHOLE, blind=True), full_url=pool_url(key)
        ),
    ]


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
    document |= question.told(task, dataset, sent.orders, hub.base, blind=blind)
    if "priority" not in document and "priority" in request:  # what its deadlines go by
        document["priority"] = request["priority"]
    return document
