"""The operation $accounting-of-disclosures: who saw or was sent what of a patient's chart.

Answered to the privacy officer of the organization whose Patient it is, from the audit: deliveries, and
what others looked at, with its time, purpose and rule, for six years back unless `start` and `end` say
otherwise.

http://hl7.org/fhir/R4/operations.html, https://www.ecfr.gov/current/title-45/section-164.528
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir import moments
from coordhub.fhir.audit_event import BREAK_GLASS
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document
from coordhub.record.hub import instant
from coordhub.store import disclosures, resources
from coordhub.store.disclosures import Disclosure

SIX_YEARS: Final = timedelta(days=6 * 365 + 2)
MOST: Final = 5_000

_PURPOSE: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "COC",
    "display": "coordination of care",
}
"""What a referral shares for, whichever of its rules: parties, what they name, results."""

_RULES: Final = frozenset({"party", "referral", "result", "release"})

Parameter = dict[str, Any]


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
    body = document.encode(
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "patient", "valueReference": {"reference": found.reference}},
                _time("start", since),
                _time("end", until),
                *(_disclosure(context, one) for one in told),
            ],
        }
    )
    return Answer(200, body, shown=(found.rid,))


def _disclosure(context: Context, one: Disclosure) -> Parameter:
    return {"name": "disclosure", "part": list(_parts(context, one))}


def _parts(context: Context, one: Disclosure) -> Iterator[Parameter]:
    yield _time("date", one.at)
    if one.recipient is not None:
        yield {"name": "recipient", "valueReference": {"reference": one.recipient}}
    yield {"name": "how", "valueCode": "sent" if one.delivery is not None else one.interaction}
    for reference in one.what:
        yield {"name": "what", "valueReference": {"reference": reference}}
    if "break-glass" in one.rules:
        yield {"name": "purpose", "valueCoding": BREAK_GLASS}
    elif _RULES.intersection(one.rules):
        yield {"name": "purpose", "valueCoding": _PURPOSE}
    for rule in one.rules:
        yield {"name": "rule", "valueCode": rule}
    if one.is_of_own:
        event = f"AuditEvent/{context.audit_ids.of(one.seq)}"
        yield {"name": "event", "valueReference": {"reference": event}}


def _time(name: str, at: datetime) -> Parameter:
    return {"name": name, "valueInstant": instant(at)}
