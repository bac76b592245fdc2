"""What follows when somebody who was asked to stop answers: it stops, or it cannot any more.

http://hl7.org/fhir/uv/cow (the fulfiller accepts or rejects the request; its Task says what became of it)
"""

from __future__ import annotations

from coordhub.record import parent, parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.store.episodes import Errand
from coordhub.store.visibility import HUB

_REFUSED = frozenset({"rejected", "failed"})


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    """Completed: its Task is cancelled. Rejected: it goes on, unless the patient withdrew."""
    assert draft.document is not None
    status = draft.document["status"]
    episode = work.episodes.get(errand.episode) if errand.episode is not None else None
    candidate = episode.candidate_of_task(errand.subject) if episode is not None else None
    if episode is None or candidate is None or status not in (*_REFUSED, "completed"):
        return
    tasks = await parent.tasks(work, episode)
    task = tasks[candidate.task]
    document = parties.document(task)
    written = any(each.rid == task.rid for each in work.drafts)
    if written or document["status"] in machine.TERMINAL:
        return
    code = parent.code_of(document.get("statusReason"), machine.REASON_SYSTEM)
    if status == "completed":
        reason = machine.REASONS.get(code, machine.REASONS["requester-cancelled"])
        parent.cancel(work, episode, tasks, [pure.Cancel(task.reference, reason)])
    elif code != "consent-withdrawn":
        changed = {
            **document,
            "statusReason": machine.concept(machine.REASONS["cannot-stop"]),
            "lastModified": instant(work.now),
        }
        changed.pop("businessStatus", None)
        going_on = work.supersede(task, HUB, changed)
        going_on.episode = episode.id
        parent.answered(work, going_on)
    work.moved.add(episode.id)
