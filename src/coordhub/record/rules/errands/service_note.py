"""What follows when the keeper of a service has looked after a note on it: it is shown no longer.

http://hl7.org/fhir/R4/communication.html
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store import resources
from coordhub.store.episodes import Errand
from coordhub.store.visibility import HUB


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    assert draft.document is not None
    if draft.document["status"] not in machine.TERMINAL:
        return
    stored = await resources.read_rids(work.conn, viewer.deciding(), [errand.subject])
    note = stored.get(errand.subject)
    if note is not None and note.body is not None:
        work.supersede(note, HUB, {**parties.document(note), "status": "completed"})
