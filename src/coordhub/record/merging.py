"""Two referrals for the same: the recipient of both says so, the newer ends, and both senders are told.

It answers the newer Task with reason `duplicate-service` and names the older Task that asks it for the same
in an output of type `duplicate-of`. Neither sender learns who the other is. Where one of the two is about
domestic violence, the senders are told nothing, and the recipient cannot tell it from any other.

http://hl7.org/fhir/R4/task-definitions.html#Task.statusReason
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access import viewer
from coordhub.errors import Issue, business_rule, unprocessable
from coordhub.r4.sensitivity import SDV
from coordhub.record import parent, parties, transitions
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import needs
from coordhub.referral import task_machine as machine
from coordhub.store import resources
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.visibility import HUB

OUTPUT: Final = "duplicate-of"

Document = dict[str, Any]


async def merge(work: Work, draft: Draft, episode: Episode, candidate: Candidate) -> None:
    """If this answer says that the need is a duplicate of another referral's, end it as that."""
    document = draft.document or {}
    reason = parent.code_of(document.get("statusReason"), machine.REASON_SYSTEM)
    named = _named(document, work.hub.base)
    if reason != "duplicate-service" or named is None:
        return
    if document["status"] not in ("rejected", "cancelled"):
        return
    older = _older(work, draft, episode, candidate, named)
    sent = await resources.read_rids(work.conn, viewer.deciding(), [episode.id, older.id])
    draft.document = {**document, "status": "cancelled"}
    if any(version.labels & SDV for version in sent.values()):
        return
    tasks = await parent.tasks(work, episode)
    siblings = [
        one
        for one in parent.children(work, episode, tasks, draft)
        if one.need == str(candidate.need) and one.task != draft.reference and needs.is_asked(one)
    ]
    because = machine.REASONS["duplicate-service"]
    parent.cancel(work, episode, tasks, [pure.Cancel(one.task, because) for one in siblings])
    one_sender = episode.requester == older.requester
    await _note(
        work, episode, "The same is asked for by an earlier referral, which goes on",
        sent[older.id].reference if one_sender else "",
    )  # fmt: skip
    await _note(
        work, older, "A later referral for the same was merged into this one",
        sent[episode.id].reference if one_sender else "",
    )  # fmt: skip


def _named(task: Document, base: str) -> str | None:
    for output in task.get("output") or ():
        codes = {one.get("code") for one in (output.get("type") or {}).get("coding") or ()}
        if OUTPUT in codes:
            return parties.local(output.get("valueReference"), base) or ""
    return None


def _older(work: Work, draft: Draft, episode: Episode, candidate: Candidate, named: str) -> Episode:
    """The referral whose Task for the same owner is named."""
    rid = work.rid_of(named) if named else None
    found = work.episode_of(rid) if rid is not None else None
    other = found.candidate_of_task(rid) if found is not None and rid is not None else None
    if (
        found is None
        or other is None
        or found.id == episode.id
        or other.organization != candidate.organization
        or (other.status in machine.TERMINAL and other.status != "completed")
    ):
        raise unprocessable(
            Issue(
                "value",
                "Name in output.valueReference the Task that asks you for the same in another referral, and "
                "that you have not declined.",
                transitions.at(draft, "output"),
            )
        )
    if (found.opened_at, found.id) > (episode.opened_at, episode.id):
        raise business_rule(
            f"{named} is the newer of the two. Answer that one so, and keep this.",
            transitions.at(draft, "output"),
        )
    return found


async def _note(work: Work, episode: Episode, text: str, other: str) -> None:
    """Tell its sender on its own Task; other: the sender's other Task, where both are one sender's."""
    task = (await parent.tasks(work, episode))[episode.id]
    written = work.draft_of(task.reference)
    document = parties.document(task) if written is None else written.document or {}
    note = {"time": instant(work.now), "text": f"{text}{f': {other}' if other else ''}."}
    changed = {
        **document,
        "note": [*(document.get("note") or ()), note],
        "lastModified": instant(work.now),
    }
    if written is None:
        work.supersede(task, HUB, changed).episode = episode.id
    else:
        written.document = changed
    work.moved.add(episode.id)
