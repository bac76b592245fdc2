"""A recipient that answers with a place on its waiting list.

http://hl7.org/fhir/us/sdoh-clinicalcare (capacity status `waitlist`; program enrollment status)

It says so by the business status `waitlisted`, or SDOH Clinical Care's code `waitlist`, with what it
expects in `note`: its Task waits (on-hold). What is routine waits with it. Of what is urgent, or while
others are asked too, the place is kept and others may have the need: the place is given back when one of
them has met it. That the person is on the list the sender is told by an Observation of its enrolment,
and the person is asked after a while whether it still needs this.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from coordhub.access import viewer
from coordhub.r4.sensitivity import ALL
from coordhub.record import errands, for_patient, parent, parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import needs as needs_of
from coordhub.referral import task_machine as machine
from coordhub.referral import wording
from coordhub.store import resources
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.transact import Grant
from coordhub.store.visibility import HUB

WAITLISTED: Final = "waitlisted"
STILL_NEEDED: Final = "still-needed"
ASKED_AGAIN: Final = timedelta(days=14)
"""After which the person is to have said whether it still needs what it waits for."""

URGENT: Final = frozenset({"urgent", "asap", "stat"})

_ANSWERS: Final = frozenset({"received", "accepted", "on-hold"})
_CATEGORY: Final = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"

Document = dict[str, Any]


def is_place(before: Document, after: Document) -> bool:
    """Whether an owner that had not begun answers with a place on its waiting list."""
    return (
        before.get("status") in ("requested", "received", "accepted")
        and after.get("status") in _ANSWERS
        and _says(after)
    )


def _says(task: Document) -> bool:
    codings = (task.get("businessStatus") or {}).get("coding") or ()
    return wording.business_of(task) == WAITLISTED or any(
        (coding.get("system"), coding.get("code")) == (errands.SDOHCC, "waitlist")
        for coding in codings
    )


async def keeps(work: Work, draft: Draft, episode: Episode, candidate: Candidate) -> bool:
    """Whether the place is kept while others are asked: of what is urgent, or asked of others already."""
    if episode.shared is not None:  # where nobody else can be asked
        return False
    tasks = await parent.tasks(work, episode)
    children = parent.children(work, episode, tasks, draft)
    if any(
        needs_of.is_asked(child) and child.task != draft.reference
        for child in children
        if child.need == str(candidate.need) and not child.apart
    ):
        return True
    need = episode.need_of(candidate)
    stored = await resources.read_rids(work.conn, viewer.deciding(), [episode.id, need.request])
    return any(
        parties.document(one).get("priority") in URGENT
        for one in stored.values()
        if one.body is not None
    )


async def take(
    work: Work, draft: Draft, episode: Episode, candidate: Candidate, *, kept: bool
) -> None:
    """Put the answer on hold, say what it means to the sender, and ask the person."""
    document = {
        **(draft.document or {}),
        "status": "on-hold",
        "businessStatus": _business((draft.document or {}).get("businessStatus")),
    }
    document.pop("statusReason", None)
    if kept:
        document["statusReason"] = machine.concept(machine.REASONS[needs_of.PLACE_KEPT])
    draft.document = document
    if not _tells_itself(draft):
        enrolment = await _enrolment(work, draft, episode, candidate)
        draft.document = {
            **document,
            "output": [
                *(document.get("output") or ()),
                {
                    "type": {"coding": [{"system": errands.SDOHCC, "code": "additional-content"}]},
                    "valueReference": {"reference": enrolment.reference},
                },
            ],
        }
    await for_patient.ask(
        work,
        episode,
        STILL_NEEDED,
        draft.reference,
        contact=candidate.recipient,
        due=work.now + ASKED_AGAIN,
    )


async def left(work: Work, episode: Episode) -> None:
    """Take back the question to the person when no Task of the referral is on a waiting list any more."""
    tasks = await parent.tasks(work, episode)
    children = parent.children(work, episode, tasks)
    waiting = [
        child
        for child in children
        if child.status == "on-hold" and child.business_status == WAITLISTED and not child.apart
    ]
    if not waiting:
        await for_patient.withdraw(work, episode, STILL_NEEDED)


def _business(said: object) -> Document:
    """What its owner said, and the hub's word for it."""
    own = pure.business_status(WAITLISTED)
    codings = said.get("coding") if isinstance(said, dict) else None
    others = [one for one in codings or () if one.get("system") != pure.BUSINESS_STATUS_SYSTEM]
    return {**own, "coding": [*own["coding"], *others]}  # type: ignore[misc]


def _tells_itself(draft: Draft) -> bool:
    """Whether its owner names an Observation of its own in the output, new with this answer."""
    before = (draft.before() or {}).get("output") or ()
    return any(
        str((one.get("valueReference") or {}).get("reference", "")).startswith("Observation/")
        for one in (draft.document or {}).get("output") or ()
        if one not in before
    )


async def _enrolment(work: Work, draft: Draft, episode: Episode, candidate: Candidate) -> Draft:
    """The Observation that the person is on the waiting list, for the sender and its maker."""
    stored = await resources.read_rids(
        work.conn,
        viewer.deciding(),
        [rid for rid in (candidate.request, candidate.organization, episode.patient) if rid],
    )
    order = parties.document(stored[candidate.request])
    notes = [
        {"text": one["text"]}
        for one in (draft.document or {}).get("note") or ()
        if isinstance(one.get("text"), str)
    ]
    document: Document = {
        "resourceType": "Observation",
        "status": "final",
        "basedOn": [{"reference": stored[candidate.request].reference}],
        "category": [
            {"coding": [{"system": _CATEGORY, "code": "sdoh"}]},
            {"coding": [{"system": errands.SDOHCC, "code": "program-enrollment"}]},
        ],
        "code": order.get("code") or {"text": "Enrollment in what was asked for"},
        "effectiveDateTime": instant(work.now),
        "issued": instant(work.now),
        "performer": [{"reference": stored[candidate.organization].reference}],
        "valueCodeableConcept": {
            "coding": [{"system": errands.SDOHCC, "code": "not-enrolled-on-waitlist"}]
        },
    }
    if episode.patient is not None and episode.patient in stored:
        document["subject"] = {"reference": stored[episode.patient].reference}
    if candidate.recipient.startswith("HealthcareService/"):
        document["focus"] = [{"reference": candidate.recipient}]
    if notes:
        document["note"] = notes[-1:]
    shard = draft.rid & 255
    [number] = await work.hub.engine.rids(1)
    made = Draft(
        None,
        "Observation",
        work.hub.new_id(shard),
        number << 8 | shard,
        1,
        HUB,
        HUB,
        document,
        patient=episode.patient,
    )
    work.drafts.append(made)
    work.located |= await resources.locate(
        work.conn,
        viewer.deciding(),
        sorted((one.type, one.id) for one in stored.values()),
    )
    work.batch.grants += [
        Grant(episode.requester, made.rid, episode.id, "result", ALL),
    ]
    if not candidate.blind:  # it says for whom
        work.batch.grants.append(
            Grant(candidate.organization, made.rid, candidate.task, "party", ALL)
        )
    return made
