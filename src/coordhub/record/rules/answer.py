"""What follows when a candidate answers the Task T2 that asks it, or the hub changes it.

http://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from typing import Any

from coordhub.access import viewer
from coordhub.errors import business_rule
from coordhub.record import parent, parties, question, recipients, transitions
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.store import resources
from coordhub.store.episodes import Candidate, Episode

Document = dict[str, Any]


async def apply(work: Work, draft: Draft, episode: Episode) -> None:
    before, after = draft.before() or {}, draft.document
    assert after is not None
    candidate = episode.candidate_of_task(draft.rid)
    if candidate is None:
        return
    old, new = str(before["status"]), str(after["status"])
    if candidate.organization in work.apart:
        if work.caller.is_hub:
            draft.episode = episode.id
        else:
            transitions.only_the_answer(draft, before, after)
            transitions.judge(draft, old, new, machine.OWNER)
        return
    draft.episode = episode.id
    work.moved.add(episode.id)
    tasks = await parent.tasks(work, episode)
    if not work.caller.is_hub:
        transitions.only_the_answer(draft, before, after)
        step = pure.on_child_change(
            parent.children(work, episode, tasks, draft), draft.reference, new
        )
        if isinstance(step, pure.AlreadyWon):
            raise business_rule(
                "Another organization was first: this need is already taken. Nothing is asked of you any more.",
                transitions.at(draft, "status"),
            )
        transitions.judge(draft, old, new, machine.OWNER)
        parent.cancel(work, episode, tasks, step.cancels)
        if (
            len(episode.candidates) > 1
            and new in machine.WON
            and candidate.status not in machine.WON
        ):
            await _tell_the_winner(work, draft, candidate, parties.document(tasks[episode.id]))
    parent.answered(work, draft)


async def _tell_the_winner(work: Work, draft: Draft, candidate: Candidate, sent: Document) -> None:
    """Put into its Task what was held back while others were asked too."""
    stored = await resources.read_rids(work.conn, viewer.deciding(), [candidate.request])
    dataset = await recipients.dataset_of(
        work.conn,
        candidate.organization,
        candidate.recipient,
        parties.document(stored[candidate.request]),
        work.hub.base,
    )
    draft.document = {**(draft.document or {}), **question.told(sent, dataset, blind=False)}
