"""The hub's own part in a referral: it asks each recipient by a ServiceRequest and a Task of its own.

SR2 is a filler order based on the sender's SR1, T2 a part of the sender's T1, as SDOH Clinical Care
asks of a coordination platform; the sender's resources stay the sender's.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordhub.access import caller, viewer
from coordhub.directory import services
from coordhub.r4 import datasets
from coordhub.r4 import reference as reference_of
from coordhub.r4.typed import new_task
from coordhub.record import commit, parties, question
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Update
from coordhub.record.parent import with_state
from coordhub.record.recipients import dataset_of
from coordhub.referral import candidates
from coordhub.referral import episode as pure
from coordhub.store import consents, resources
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode

REFERRAL_SYSTEM = "urn:coordhub:referral"
"""System of the identifier that all Tasks and ServiceRequests of one referral share."""

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


async def ask(hub: Hub, conn: Connection, episode: Episode) -> None:
    """Make SR2 and a T2 for each recipient that the sender named, in the transaction of the relay.

    Who may not be told for whom, by the patient's Consents or for lack of one, is not asked.
    """
    stored = await resources.read_rids(conn, viewer.deciding(), [episode.id, episode.request])
    t1, sr1 = stored[episode.id], stored[episode.request]
    if t1.body is None or sr1.body is None:
        return
    task, request = parties.document(t1), parties.document(sr1)
    named = candidates.named(task, request, hub.itself)
    behind: dict[str, int] = {}
    if isinstance(named, candidates.Named):
        for text in named.references:
            found = await services.recipient(conn, text, hub.base)
            if found is not None:
                behind[text] = found.organization.rid
    permitted = frozenset(behind.values())
    if episode.patient is not None:
        permitted = await consents.may_be_asked(conn, episode.patient, sorted(permitted))
    recipients = {
        text: await dataset_of(conn, organization, text, request, hub.base)
        for text, organization in behind.items()
        if organization in permitted
    }
    me = caller.hub(hub.organization)
    if not recipients:
        reason = "consent-missing" if behind else "recipient-unknown"
        parent = pure.unaddressed(str(task["status"]), reason)
        document = with_state(task, parent, instant(hub.clock()))
        await commit.apply(hub, conn, me, [Update("Task", t1.id, document)], interaction="update")
        return
    operations = [
        Create(
            "ServiceRequest",
            service_request(
                question.trimmed(request, dataset),
                sr1.reference,
                t1.id,
                [text for text, theirs in recipients.items() if theirs == dataset],
            ),
            full_url=f"urn:coordhub:sr2:{dataset}",
        )
        for dataset in dict.fromkeys(recipients.values())
    ]
    competing = sum(dataset != datasets.VSP for dataset in recipients.values())
    for text, dataset in recipients.items():
        document = new_task(
            part_of=t1.reference,
            focus=f"urn:coordhub:sr2:{dataset}",
            requester=hub.organization,
            owner=text,
            authored_on=instant(hub.clock()),
            group=(REFERRAL_SYSTEM, t1.id),
        )
        document |= question.told(task, dataset, blind=competing > 1 and dataset != datasets.VSP)
        operations.append(Create("Task", document))
    await commit.apply(hub, conn, me, operations, interaction="transaction")
