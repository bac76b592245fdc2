"""What who wins a need is told, and was not as long as others were asked too.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from typing import Any

from coordhub.access import viewer
from coordhub.record import parties, question, recipients
from coordhub.record.work import Draft, Work
from coordhub.store import resources
from coordhub.store.episodes import Candidate

Document = dict[str, Any]


async def tell(work: Work, draft: Draft, candidate: Candidate, sent: Document) -> None:
    """Put into the winner's Task (the draft) what was held back of the sender's Task."""
    stored = await resources.read_rids(work.conn, viewer.deciding(), [candidate.request])
    dataset = await recipients.dataset_of(
        work.conn,
        candidate.organization,
        candidate.recipient,
        parties.document(stored[candidate.request]),
        work.hub.base,
    )
    draft.document = {**(draft.document or {}), **question.told(sent, dataset, blind=False)}
