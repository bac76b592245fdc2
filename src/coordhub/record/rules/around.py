"""What those around a patient are told: that it was taken into hospital or let go home, and the plan of its care.

http://hl7.org/fhir/R4/encounter.html, http://hl7.org/fhir/R4/careplan.html

Believed of who holds the patient's record or treats it: whoever merely saw a name tells nobody. A
victim service provider tells nobody either. What of it each is shown its rules and grants decide.
"""

from __future__ import annotations

from coordhub.record.work import Draft, Work
from coordhub.referral import stays
from coordhub.store import changes
from coordhub.store import grants as store


async def apply(work: Work, draft: Draft) -> None:
    """Have the draft told around its patient, unless a referral tells of it."""
    if (
        draft.episode is not None
        or draft.patient is None
        or work.caller.organization in work.apart
        or not _is_told(draft)
    ):
        return
    if await store.opens_chart(work.conn, draft.source, draft.patient):
        draft.episode = draft.patient


def _is_told(draft: Draft) -> bool:
    document = draft.document or {}
    if draft.type == "Encounter":
        return stays.turn(draft.before(), document) is not None
    return draft.type in changes.AROUND and not _is_draft(document)


def _is_draft(document: dict[str, object]) -> bool:
    return document.get("status") == "draft" or document.get("lifecycleStatus") == "proposed"
