"""Who is told of a deletion: decided in its commit, while what is deleted can still be asked for, and seen.

http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from coordhub.errors import FhirError
from coordhub.record.notifying import by_eyes, viewer_of
from coordhub.record.work import Work
from coordhub.store import subscription_events
from coordhub.store.subscription_events import Doomed
from coordhub.store.subscriptions import Subscribed
from coordhub.store.transact import Foreseen


async def foresee(work: Work) -> None:
    """Note of each deletion the subscriptions that are told of it. Their numbers they are given later, in order."""
    drafts = {
        draft.rid: draft
        for draft in work.drafts
        if draft.document is None and draft.previous is not None and not draft.previous.deleted
    }
    if not drafts:
        return
    doomed = [Doomed(draft.rid, draft.type) for draft in drafts.values()]
    told = [one for one in await subscription_events.recording(work.conn) if one.config.deletions]
    for held in by_eyes(told):
        try:
            found = await _foreseen(work, held, doomed)
        except FhirError:  # criteria that cannot be asked any more are nothing to whoever deletes
            found = {}
            for one in held:
                try:
                    found |= await _foreseen(work, [one], doomed)
                except FhirError:
                    continue
        work.batch.foreseen.extend(
            Foreseen(subscription, rid, drafts[rid].version)
            for subscription, rids in found.items()
            for rid in rids
        )


async def _foreseen(
    work: Work, held: list[Subscribed], doomed: list[Doomed]
) -> dict[int, list[int]]:
    return await subscription_events.foreseen(
        work.conn, work.hub.engine, viewer_of(held[0]), held, doomed, work.hub.base, work.now
    )
