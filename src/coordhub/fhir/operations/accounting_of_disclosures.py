"""The operation $accounting-of-disclosures: who saw or was sent what of a patient's chart.

Answered to the privacy officer of the organization whose Patient it is, from the audit: deliveries, and
what others looked at, with its time, purpose and rule, for six years back unless `start` and `end` say
otherwise.

http://hl7.org/fhir/R4/operations.html, https://www.ecfr.gov/current/title-45/section-164.528
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir import moments
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document
from coordhub.record import accounting
from coordhub.store import disclosures, resources
from coordhub.store.disclosures import SIX_YEARS, Disclosure

MOST: Final = 5_000


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters resource; 404 unless the caller's organization is the source of this Patient."""
    asked.caller.require("AuditEvent", "search")
    start, end = moments.period(asked.query, "start"), moments.period(asked.query, "end")
    now = context.hub.clock()
    until = end[1] if end else now + timedelta(seconds=1)
    since = start[0] if start else until - SIX_YEARS
    view = viewer.of(asked.caller)
    async with context.hub.engine.searches.acquire() as conn:
        found = await resources.read(conn, view, *asked.target.instance())
        if found is None or found.source != asked.caller.organization:
            raise errors.not_found(asked.target.reference)
        asked.caller.require_privacy_officer("The accounting of disclosures")
        told = await disclosures.of_patient(conn, view, found.rid, since, until, MOST)
    if len(told) > MOST:
        raise errors.too_costly(
            f"There are over {MOST} disclosures in this time. Ask for less of it with start and end."
        )

    def event(one: Disclosure) -> str | None:
        return f"AuditEvent/{context.audit_ids.of(one.seq)}" if one.is_of_own else None

    body = document.encode(accounting.parameters(found.reference, since, until, told, event))
    return Answer(200, body, shown=(found.rid,))
