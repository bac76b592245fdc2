"""The operation Measure/$evaluate-measure: what coordination came to for the caller's organization in a period.

http://hl7.org/fhir/R4/operation-measure-evaluate-measure.html, docs/measures.md

There is one measure, the hub's own. A summary is asked for when nothing is said; `reportType=subject-list` lists the
rows behind each figure as well, as far as the caller may see them.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Final

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir import moments
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.insight import reports
from coordhub.r4 import document
from coordhub.record.hub import instant
from coordhub.store import resources

NAME: Final = "evaluate-measure"
TYPES: Final = ("Measure",)
LONGEST: Final = timedelta(days=366)
"""Of a period."""

MOST_LISTED: Final = 20_000
"""Rows behind the figures that are listed."""

_TYPES: Final = {None: False, "summary": False, "population": False, "subject-list": True}
"""reportType, in R4's codes and in MeasureReport's -> whether rows are listed."""


async def answer(context: Context, asked: Asked) -> Answer:
    """A MeasureReport; 400 for another measure or too long a period."""
    hub, caller = context.hub, asked.caller
    caller.require("MeasureReport", "read")
    if caller.is_person:
        raise errors.forbidden("The figures of an organization are told to its own clients.")
    measure = moments.once(asked.query, "measure")
    if measure not in (None, reports.MEASURE):
        raise errors.bad_request(
            f"There is one measure here: {reports.MEASURE}. Name it, or none.", "http.measure"
        )
    kind = moments.once(asked.query, "reportType")
    if kind not in _TYPES:
        raise errors.bad_request(
            "reportType is population (figures) or subject-list (the rows behind them, too).",
            "http.reportType",
        )
    start, end = (
        moments.period(asked.query, "periodStart"),
        moments.period(asked.query, "periodEnd"),
    )
    if start is None or end is None:
        raise errors.bad_request(
            "Say of which time: periodStart and periodEnd, both included, as in 2026-10-01 and 2026-10-31.",
            "http.periodStart" if start is None else "http.periodEnd",
        )
    if not timedelta(0) < end[1] - start[0] <= LONGEST:
        raise errors.bad_request(
            f"The period ends after it begins, and {LONGEST.days} days later at the latest.",
            "http.periodEnd",
        )
    view, now = viewer.of(caller), hub.clock()
    async with hub.engine.searches.acquire() as conn:
        found = await reports.report(conn, view, start[0], end[1], now)
        names = None
        if _TYPES[kind]:
            rids = {rid for one in found.figures for rid in (*one.of, *one.among)}
            if len(rids) > MOST_LISTED:
                raise errors.too_costly(
                    f"There are over {MOST_LISTED} rows behind these figures. Ask for a shorter period, or for "
                    "reportType=population."
                )
            seen = await resources.read_rids(conn, view, sorted(rids))
            names = {rid: one.reference for rid, one in seen.items() if one.body is not None}
    body = reports.document(
        found,
        reporter=caller.reference,
        date=instant(now),
        period=(start[0].astimezone(UTC).isoformat(), end[1].astimezone(UTC).isoformat()),
        names=names,
    )
    return Answer(200, document.encode(body), shown=tuple(names or ()))
