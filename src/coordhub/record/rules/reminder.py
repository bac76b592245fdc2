"""What follows when the hub reminds an organization: it sees that, and is sent it with the first referral's.

http://hl7.org/fhir/R4/communication.html
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.directory import services
from coordhub.r4.sensitivity import ALL
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.store.transact import Grant

SYSTEM: Final = "urn:coordhub:communication"
CATEGORY: Final[dict[str, Any]] = {
    "coding": [{"system": SYSTEM, "code": "reminder", "display": "Reminder"}]
}


def reminds(work: Work, draft: Draft) -> bool:
    """Whether the hub reminds; what others send as such is theirs."""
    return work.caller.is_hub and CATEGORY in ((draft.document or {}).get("category") or ())


async def apply(work: Work, draft: Draft) -> None:
    assert draft.document is not None
    for text in parties.locals_of(draft.document.get("recipient"), work.hub.base):
        found = await services.recipient(work.conn, text, work.hub.base)
        if found is not None:
            work.batch.grants.append(
                Grant(found.organization.rid, draft.rid, draft.rid, "party", ALL)
            )
    for text in parties.locals_of(draft.document.get("about"), work.hub.base):
        rid = work.rid_of(text)
        episode = work.episode_of(rid) if rid is not None else None
        if episode is not None:
            draft.episode = episode.id
            return
