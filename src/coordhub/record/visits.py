"""When the visit is over that was agreed on for an order.

http://hl7.org/fhir/R4/appointment-definitions.html#Appointment.end

Its note is due so long after that; an appointment at another time moves it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from coordhub.access import viewer
from coordhub.r4 import interval
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.referral import appointments
from coordhub.store import appointments as store
from coordhub.store.engine import Connection


async def over_at(
    conn: Connection,
    orders: Collection[int],
    organization: int,
    work: Work | None = None,
) -> datetime | None:
    """The end (else the start) of the last appointment that stands; None where there is none.

    orders: rids of the ServiceRequests. work: the commit in the making, whose drafts count as written.
    """
    drafts = [one for one in work.drafts if one.type == "Appointment"] if work is not None else []
    written = {one.rid for one in drafts}
    stored = await store.standing(
        conn, viewer.deciding(), sorted(orders), organization, appointments.STANDING
    )
    documents = [parties.document(one) for one in stored if one.rid not in written]
    documents += [
        one.document
        for one in drafts
        if one.document is not None
        and one.source == organization
        and one.document.get("status") in appointments.STANDING
        and work is not None
        and _is_for(work, one, orders)
    ]
    return max(_ends(documents), default=None)


def _is_for(work: Work, draft: Draft, orders: Collection[int]) -> bool:
    named = parties.locals_of((draft.document or {}).get("basedOn"), work.hub.base)
    return any(work.rid_of(text) in orders for text in named)


def _ends(documents: Iterable[Mapping[str, Any]]) -> Iterable[datetime]:
    for document in documents:
        text = document.get("end") or document.get("start")
        found = interval.parse_instant(text) if isinstance(text, str) else None
        if found is not None:
            yield found.low
