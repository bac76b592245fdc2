"""What follows when a human says that a critical value was seen: who was to call need not any more.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from coordhub.record import critical
from coordhub.record.work import Draft, Work
from coordhub.store.episodes import Errand

KIND = critical.KIND


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    if (draft.document or {}).get("status") == "completed" and errand.episode is not None:
        await critical.call_off(work, work.episodes[errand.episode], errand.subject)
