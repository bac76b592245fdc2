"""What follows when who has taken a referral on says whether it can be done as it was changed.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from coordhub.record import parent, parties
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.store.episodes import Errand


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    """Rejected: its Task ends, so that somebody else can be asked where nothing was begun."""
    assert draft.document is not None
    episode = work.episodes.get(errand.episode) if errand.episode is not None else None
    candidate = episode.candidate_of_task(errand.subject) if episode is not None else None
    if (
        episode is None
        or candidate is None
        or draft.document["status"] not in ("rejected", "failed")
    ):
        return
    tasks = await parent.tasks(work, episode)
    task = tasks[candidate.task]
    status = str(parties.document(task)["status"])
    if status in machine.TERMINAL or any(each.rid == task.rid for each in work.drafts):
        return
    ends = "failed" if status in machine.STARTED else "rejected"
    reason = machine.REASONS["changed-request"]
    parent.cancel(work, episode, tasks, [pure.Cancel(task.reference, reason, ends)])
    work.moved.add(episode.id)
