"""Errands: what the hub asks a person other than to meet a need, each as a Task of the hub's.

To find a provider, to choose an offer, to match a result, to stop. What an errand is about is its
`focus`, whose it is its `owner`; who owns it answers on it, with a status and outputs, and what
follows from that is in `record.rules.errands`. It says no more of a person than what it refers to.

http://hl7.org/fhir/R4/task.html, http://hl7.org/fhir/R4/codesystem-task-code.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.r4 import reference as reference_of
from coordhub.r4.sensitivity import ALL
from coordhub.record import parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.referral.episode import REFERRAL_SYSTEM
from coordhub.store import resources
from coordhub.store.transact import ErrandRow, Grant
from coordhub.store.visibility import HUB

SYSTEM: Final = "urn:coordhub:errand"
TASK_CODES: Final = "http://hl7.org/fhir/CodeSystem/task-code"

KINDS: Final = {
    "abort": "Stop working on it",
    "acknowledge": "Say that a human has seen it",
    "unacknowledged": "Call who ordered: nobody has said that the result was seen",
    "match-result": "Say which order it answers",
    "re-confirm": "Confirm what was changed",
    "review": "Look at this referral again",
    "make-contact": "Get in touch",
    "overdue": "Look after what was not done in time",
    "still-needed": "Say whether this is still needed",
    "send-again": "Refer again: what this is about was not taken from your server",
    "choose": "Choose one of the offers",
    "find-provider": "Find somebody who can help",
    "not-received": "Look after what the person says it did not get",
    "service-note": "Look after what was noted on a service of yours",
    "data-request": "Release data that is asked for, or say why not",
}
"""Code of Task.code -> its display. A kind that R4 has a code for keeps that; data-request is asked by another
organization, and of HRex."""

OF_R4: Final = frozenset({"abort"})

SDOHCC: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
)
OF_PATIENTS: Final = {
    "make-contact": "make-contact",
    "still-needed": "general-information",
    "choose": "general-information",
}
"""Kind of what a patient is asked -> the code of SDOH Clinical Care for it."""

Document = dict[str, Any]


def document(
    *,
    kind: str,
    owner: str,
    subject: str,
    requester: str,
    now: datetime,
    reason: machine.Reason | None = None,
    inputs: Sequence[Document] = (),
    due: datetime | None = None,
    referral: str | None = None,
) -> Document:
    """The Task that asks `owner` about `subject`. requester: the hub's Organization; due: until when.

    referral: `Task/id` of the sender's Task, where it is about one: all Tasks of it share a number.
    """
    moment = instant(now)
    system = TASK_CODES if kind in OF_R4 else SYSTEM
    codings = [{"system": system, "code": kind, "display": KINDS[kind]}]
    task: Document = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": codings},
        "focus": {"reference": subject},
        "authoredOn": moment,
        "lastModified": moment,
        "requester": {"reference": requester},
        "owner": {"reference": owner},
    }
    if kind in OF_PATIENTS and owner.startswith("Patient/"):
        codings.insert(0, {"system": SDOHCC, "code": OF_PATIENTS[kind]})
        task |= {
            "status": "ready",
            "priority": "routine",
            "description": KINDS[kind],
            "for": {"reference": owner},
        }
    if referral is not None:
        number = referral.partition("/")[2]
        task["basedOn"] = [{"reference": referral}]
        task["groupIdentifier"] = {"system": REFERRAL_SYSTEM, "value": number}
    if reason is not None:
        task["statusReason"] = machine.concept(reason)
    if due is not None:
        task["restriction"] = {"period": {"end": instant(due)}}
    if inputs:
        task["input"] = [dict(one) for one in inputs]
    return task


def concept(code: str) -> Document:
    """The type of an input or output of an errand."""
    return {"coding": [{"system": SYSTEM, "code": code}]}


def kind_of(task: Document) -> str | None:
    """The kind of errand that a Task of the hub's is, None if it is none."""
    for coding in (task.get("code") or {}).get("coding") or ():
        code = coding.get("code")
        if coding.get("system") == (TASK_CODES if code in OF_R4 else SYSTEM) and code in KINDS:
            return str(code)
    return None


async def open_errand(
    work: Work,
    *,
    kind: str,
    owner: str,
    subject: str,
    episode: int | None = None,
    reason: machine.Reason | None = None,
    inputs: Sequence[Document] = (),
    due: datetime | None = None,
) -> Draft:
    """Open an errand within the commit `work`, from a rule.

    owner, subject: `Type/id`. episode: the referral it is about. Where the hub has no commit under
    way, it creates `document(...)`, and the same follows.
    """
    about = work.rid_of(subject)
    made = document(
        kind=kind, owner=owner, subject=subject, requester=work.hub.organization,
        now=work.now, reason=reason, inputs=inputs, due=due,
        referral=await _referral(work, episode, about),
    )  # fmt: skip
    names = {
        (found.type, found.id)
        for _, element in reference_of.walk(made)
        if (found := reference_of.parse_element(element, base=work.hub.base)) is not None
        and found.local is not None
        and found.type is not None
        and found.id is not None
    }
    unknown = sorted(name for name in names if work.rid_of("/".join(name)) is None)
    work.located |= await resources.locate(work.conn, viewer.deciding(), unknown)
    about = work.rid_of(subject)
    shard = (episode or about or 0) & 255
    [number] = await work.hub.engine.rids(1)
    draft = Draft(
        None,
        "Task",
        work.hub.new_id(shard),
        number << 8 | shard,
        1,
        HUB,
        HUB,
        made,
        episode=episode,
    )
    work.drafts.append(draft)
    await register(work, draft)
    return draft


async def _referral(work: Work, episode: int | None, about: int | None) -> str | None:
    """`Task/id` of the sender's Task."""
    if episode is None and about is not None and (found := work.episode_of(about)) is not None:
        episode = found.id
    if episode is None:
        return None
    stored = await resources.read_rids(work.conn, viewer.deciding(), [episode])
    return stored[episode].reference if episode in stored else None


async def register(work: Work, draft: Draft) -> None:
    """Write down whose errand this draft is and what it is about, and let its owner see it.

    Nothing is written down of one that nobody owns or that is about nothing here.
    """
    assert draft.document is not None
    kind = kind_of(draft.document)
    focus = parties.local(draft.document.get("focus"), work.hub.base)
    owner = parties.local(draft.document.get("owner"), work.hub.base)
    about = work.rid_of(focus) if focus is not None else None
    whose = await _acting(work, owner) if owner is not None else None
    if kind is None or about is None or whose is None:
        return
    if draft.episode is None:
        episode = work.episode_of(about)
        draft.episode = episode.id if episode is not None else None
    work.batch.errands.append(ErrandRow(draft.rid, draft.episode, kind, whose, about))
    work.batch.grants.append(Grant(whose, draft.rid, draft.rid, "party", ALL))
    referral = work.episodes.get(draft.episode) if draft.episode is not None else None
    if referral is not None and whose == referral.patient:  # whoever referred may answer for it
        work.batch.grants.append(Grant(referral.requester, draft.rid, draft.rid, "party", ALL))


async def _acting(work: Work, owner: str) -> int | None:
    """rid of who acts at the hub for this owner: the organization behind it, or the person itself."""
    if owner.startswith(("Patient/", "RelatedPerson/")):
        return work.rid_of(owner)
    found = await services.recipient(work.conn, owner, work.hub.base)
    return found.organization.rid if found is not None else None
