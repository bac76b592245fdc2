"""The sender's wish to stop a referral: what nobody has begun ends, who has begun is asked.

Who is asked gets an errand of code abort about its Task, and its Task says `cancellation-requested`: a
partner of Clinical Order Workflows answers the errand, one of BSeR the Task (5.2), and either will do.
The sender's Task says the same until the answer is there.

http://hl7.org/fhir/uv/cow (CancellationRequestTask), http://hl7.org/fhir/us/bser (5.2)
"""

from __future__ import annotations

from typing import Any

from coordhub.record import errands, parent, parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import needs, profiles
from coordhub.referral import task_machine as machine
from coordhub.store import partners, resources
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.resources import Version
from coordhub.store.transact import CandidateStatus
from coordhub.store.visibility import HUB

Document = dict[str, Any]


def reason_of(document: Document) -> machine.Reason:
    """Why the sender does not want it any more, by what it says; cancelled by the requester, if nothing known."""
    code = parent.code_of(document.get("statusReason"), machine.REASON_SYSTEM)
    known = code in needs.WITHDRAWALS and code != "consent-withdrawn"
    return machine.REASONS[code if known else "requester-cancelled"]


async def stop(work: Work, episode: Episode, reason: machine.Reason) -> bool:
    """End what nobody has begun and ask the others; whether there are any others.

    Whom it asked already it does not ask again.
    """
    tasks = await parent.tasks(work, episode)
    agreed = await partners.profiles_of(work.conn, {one.organization for one in episode.candidates})
    asks = {
        tasks[one.task].reference: profiles.named(agreed[one.organization]).asks_to_stop
        for one in episode.candidates
        if one.organization in agreed
    }
    # one that both share is cancelled by its sender as far as that is its to say
    said = work.draft_of(tasks[episode.id].reference) if episode.shared is not None else None
    children = parent.children(work, episode, tasks, said)
    withdrawal = pure.withdraw(children, reason.code, asks)
    parent.cancel(work, episode, tasks, withdrawal.cancels)
    told = {each.task for each in work.batch.statuses}
    work.batch.statuses.extend(
        CandidateStatus(one.task, "cancelled")
        for one in episode.candidates
        if one.organization in work.apart and one.task not in told
    )
    for candidate in episode.candidates:
        task = tasks[candidate.task]
        if task.reference in withdrawal.ask and not _asked(episode, task.rid):
            await _ask(work, episode, candidate, task, reason)
    live = {
        child.need
        for child in parent.children(work, episode, tasks)
        if child.status not in machine.TERMINAL
    }
    for need in episode.needs:  # nobody else is asked for what nobody is at work on
        if withdrawal.ask and need.state not in needs.ENDED and str(need.ordinal) not in live:
            work.concluded[episode.id, need.ordinal] = reason.code
    work.moved.add(episode.id)
    return bool(withdrawal.ask)


async def _ask(
    work: Work, episode: Episode, candidate: Candidate, task: Version, reason: machine.Reason
) -> None:
    changed: Document = {
        "businessStatus": pure.business_status("cancellation-requested"),
        "statusReason": machine.concept(reason),
        "lastModified": instant(work.now),
    }
    document = {**parties.document(task), **changed}
    said = work.draft_of(task.reference) if task.rid == episode.id else None
    if said is not None:
        said.document = document
    else:
        said = work.supersede(task, HUB, document)
    said.episode = episode.id
    parent.answered(work, said)
    await errands.open_errand(
        work,
        kind="abort",
        owner=candidate.recipient,
        subject=task.reference,
        episode=episode.id,
        reason=reason,
    )


async def over(work: Work, episode: Episode, ended: Draft) -> None:
    """The Task of this draft has ended: who was asked to stop need not answer that any more."""
    waiting = [
        one
        for one in _asked(episode, ended.rid)
        if not any(draft.rid == one for draft in work.drafts)
    ]
    status = "completed" if (ended.document or {}).get("status") == "cancelled" else "cancelled"
    for errand in (await resources.lock(work.conn, waiting)).values() if waiting else ():
        document = {
            **parties.document(errand), "status": status, "lastModified": instant(work.now)
        }  # fmt: skip
        work.supersede(errand, HUB, document).episode = episode.id
        work.batch.errands_closed.append(errand.rid)


def _asked(episode: Episode, task: int) -> list[int]:
    """rids of the errands that ask to stop working on this Task (rid) and wait for an answer."""
    return [
        one.task
        for one in episode.errands
        if one.kind == "abort" and one.subject == task and one.closed_at is None
    ]
