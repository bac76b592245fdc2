"""What who wins a need is told, and was not as long as others were asked too.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from typing import Any

from coordhub.access import viewer
from coordhub.record import owing, parties, question, recipients
from coordhub.record.work import Draft, Work
from coordhub.store import resources
from coordhub.store.episodes import Candidate, Episode

Document = dict[str, Any]


async def tell(
    work: Work, draft: Draft, episode: Episode, candidate: Candidate, sent: Document
) -> None:
    """Put into the winner's Task (the draft) what was held back of the sender's Task."""
    wanted = [need.request for need in episode.needs]
    stored = await resources.read_rids(work.conn, viewer.deciding(), [candidate.request, *wanted])
    dataset = await recipients.dataset_of(
        work.conn,
        candidate.organization,
        candidate.recipient,
        parties.document(stored[candidate.request]),
        work.hub.base,
    )
    orders = {stored[rid].reference for rid in wanted}
    back = owing.inputs(parties.document(stored[candidate.request]), dataset)
    told = question.told(sent, dataset, orders, work.hub.base, blind=False, back=back)
    draft.document = {**(draft.document or {}), **told}
