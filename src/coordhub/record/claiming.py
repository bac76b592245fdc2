"""A Task without owner that several could take on: one of them claims it, and may give it back.

http://hl7.org/fhir/R4/task-definitions.html#Task.owner, http://hl7.org/fhir/uv/cow

Who claims it names itself as the owner, and has accepted by that: it is the one that was asked from then
on, is told for whom, and nobody else sees the Task any more. Who gives it back takes its name away again,
as long as it has not begun: this Task ends then, and the others are asked by a new one, since whoever reads
a Task reads its history.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.errors import Issue, business_rule, forbidden
from coordhub.record import parties, transitions
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store import consents, grants, resources
from coordhub.store.episodes import NOBODY, Candidate, Episode
from coordhub.store.transact import PoolEnd

Document = dict[str, Any]

TAKEN = (
    "Another organization was first and has claimed this. Nothing is asked of you any more; read it again to see "
    "whether it is still offered to you."
)


async def refuse_late(work: Work, kind: str, fhir_id: str, at: str) -> None:
    """409 to whom a Task was offered that it does not see, as another has claimed it: that much it knew."""
    caller = work.caller
    if kind != "Task" or caller.is_hub or caller.is_person or caller.organization in work.apart:
        return
    located = await resources.locate(work.conn, viewer.deciding(), [(kind, fhir_id)])
    found = located.get((kind, fhir_id))
    if found is not None and await grants.is_taken(work.conn, caller.organization, found.rid):
        raise business_rule(TAKEN, at)


_NOT_BEGUN = frozenset({"requested", "received", "ready", "accepted"})


async def claim(
    work: Work, draft: Draft, episode: Episode, candidate: Candidate
) -> tuple[Episode, Candidate]:
    """Referral and candidate with the caller as the one who is asked; 409 for whoever comes second.

    403 for a claim in another's name, or of whom the patient's Consents forbid to tell it.
    """
    document = draft.document or {}
    if candidate.organization != NOBODY:
        raise business_rule(TAKEN, transitions.at(draft, "owner"))
    if candidate.status in machine.TERMINAL:
        raise business_rule(
            f"It is {candidate.status}: nobody is asked for this any more.",
            transitions.at(draft, "status"),
        )
    owner = parties.local(document.get("owner"), work.hub.base)
    if owner is None:
        raise business_rule(
            "Nobody has claimed this yet. Set owner to your service or organization in the directory, and by that "
            "you have accepted it.",
            transitions.at(draft, "owner"),
        )
    found = await services.recipient(work.conn, owner, work.hub.base)
    me = work.caller.organization
    if found is None or found.organization.rid != me:
        raise forbidden(
            "You may claim this in your own name: owner is your Organization, or a HealthcareService, "
            "PractitionerRole, CareTeam or Location of it in the directory.",
            transitions.at(draft, "owner"),
        )
    patient = episode.patient
    if patient is not None and me not in await consents.may_be_asked(work.conn, patient, [me]):
        raise forbidden(
            "This cannot be given to you: you may not be told for whom it is.",
            transitions.at(draft, "owner"),
        )
    if document.get("status") in _NOT_BEGUN:
        draft.document = {**document, "status": "accepted"}
    work.claimed[candidate.task] = (me, owner)
    work.batch.pools_ended.append(PoolEnd(candidate.task, me))
    mine = replace(candidate, organization=me, recipient=owner)
    others = tuple(mine if one is candidate else one for one in episode.candidates)
    work.episodes[episode.id] = replace(episode, candidates=others)
    return work.episodes[episode.id], mine


def gives_back(work: Work, draft: Draft, episode: Episode, candidate: Candidate) -> bool:
    """Whether its owner takes its name away from what it had claimed; 409 once it has begun."""
    before, after = draft.before() or {}, draft.document or {}
    if (
        not episode.is_of_pool(candidate)
        or candidate.organization != work.caller.organization
        or after.get("owner")
        or not before.get("owner")
        or after.get("status") not in _NOT_BEGUN
    ):
        return False
    if before["status"] in machine.TERMINAL:
        raise business_rule(
            f"{before['status']} is final, so there is nothing to give back.",
            transitions.at(draft, "owner"),
        )
    if before["status"] in machine.STARTED or candidate.started_at is not None:
        raise business_rule(
            "You have begun, so it cannot be given back. Set the status to failed, with the reason.",
            transitions.at(draft, "owner"),
        )
    return True


def give_back(draft: Draft) -> None:
    """End the Task of who has given it back."""
    before = draft.before() or {}
    document = {
        **before,
        "status": "cancelled",
        "statusReason": machine.concept(machine.REASONS["given-back"]),
    }
    said = (draft.document or {}).get("note")
    draft.document = {**document, **({"note": said} if said else {})}
    draft.warnings.append(
        Issue(
            "informational",
            "You have given it back: this Task is cancelled, and the others are asked by another one.",
            transitions.at(draft, "owner"),
            "information",
        )
    )
