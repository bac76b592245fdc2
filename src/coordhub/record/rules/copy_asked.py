"""What follows when an organization asks for a copy of what somebody else has ordered: who ordered it is shown that.

http://hl7.org/fhir/R4/communicationrequest.html, docs/decisions/0097-a-copy-that-is-asked-for.md

What comes of it is decided with each result (record.circle): it is brought what it may see anyway.
"""

from __future__ import annotations

from coordhub.record import circle, hearing
from coordhub.record.work import Draft, Work
from coordhub.store.transact import Grant


async def apply(work: Work, draft: Draft) -> None:
    """Show it to who ordered, where it is of the same record; a victim service provider's to nobody."""
    if draft.type != "CommunicationRequest" or draft.source in work.apart or not draft.patient:
        return
    episode = hearing.episode_of(work, draft)
    if (
        episode is None
        or episode.patient != draft.patient
        or episode.requester in (draft.source, *work.apart)
    ):
        return
    document = draft.document or {}
    if await circle.asks_for_itself(work.conn, work.hub.base, document, draft.source):
        work.batch.grants.append(Grant(episode.requester, draft.rid, draft.rid, "party"))
