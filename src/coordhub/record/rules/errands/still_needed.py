"""The person said whether it still needs what it waits for.

http://hl7.org/fhir/us/sdoh-clinicalcare (Task for patient)

No: an output `valueBoolean` false, or the status rejected. Its places on waiting lists are given back,
and the sender hears that it is not needed any more. Yes, or nothing of the sort: it goes on waiting.
"""

from __future__ import annotations

from coordhub.record import parent
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.store.episodes import Errand


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    document = draft.document or {}
    said = [one.get("valueBoolean") for one in document.get("output") or ()]
    over = document.get("status") == "rejected" or (
        document.get("status") == "completed" and False in said
    )
    episode = work.episodes.get(errand.episode) if errand.episode is not None else None
    if not over or episode is None:
        return
    tasks = await parent.tasks(work, episode)
    places = [
        child.task
        for child in parent.children(work, episode, tasks)
        if child.status == "on-hold" and child.business_status == "waitlisted" and not child.apart
    ]
    reason = machine.REASONS["no-longer-needed"]
    parent.cancel(work, episode, tasks, [pure.Cancel(task, reason) for task in places])
    work.moved.add(episode.id)
