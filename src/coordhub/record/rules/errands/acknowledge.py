"""What follows when a human says that a critical value was seen, or that it will not be seen to.

Seen: who was to call need not any more. Not seen to: whoever wrote the result is asked to call at once.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from coordhub.record import critical
from coordhub.record.work import Draft, Work
from coordhub.store.episodes import Errand

KIND = critical.KIND


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    status = (draft.document or {}).get("status")
    if errand.episode is None:
        return
    episode = work.episodes[errand.episode]
    if status == "completed":
        await critical.call_off(work, episode, errand.subject)
    elif status in ("rejected", "failed"):
        await critical.have_called(work, episode, errand.subject)
