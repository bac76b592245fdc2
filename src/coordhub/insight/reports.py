"""The report of one organization for a period: gathered, and as MeasureReport and CSV.

http://hl7.org/fhir/R4/measurereport.html, docs/measures.md

What it counts the organization may see itself: its own referrals, what it was asked, the cards that it was shown.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from coordhub.insight import measures, same_question
from coordhub.insight.measures import Figure
from coordhub.store import cards, people
from coordhub.store import measures as rows
from coordhub.store.cards import Ordering, Told
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer

MEASURE: Final = "urn:coordhub:measure:coordination"
"""Canonical of what is reported."""
CODES: Final = "urn:coordhub:measure"
"""System of the figures' codes."""

_POPULATION: Final = "http://terminology.hl7.org/CodeSystem/measure-population"
_MASKED: Final = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}
_UNITS: Final = {"share": ("%", "%"), "hours": ("h", "h")}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """[start, end). is_mature: what is still open counts for good."""

    start: datetime
    end: datetime
    figures: tuple[Figure, ...]
    is_mature: bool


async def report(
    conn: Connection, viewer: Viewer, start: datetime, end: datetime, now: datetime
) -> Report:
    """Of the viewer's organization."""
    [found] = await in_turn(conn, viewer, [start, end], now)
    return found


async def in_turn(
    conn: Connection, viewer: Viewer, edges: Sequence[datetime], now: datetime
) -> list[Report]:
    """Of the viewer's organization, one for each span between two edges that follow each other."""
    first, last = edges[0], edges[-1]
    told = await cards.told(conn, viewer, first, last)
    later = await cards.ordered(conn, viewer, await _orderings(conn, viewer, told))
    sent = await rows.sent(conn, viewer, first, last)
    visits = await rows.visits(conn, viewer, first, last)
    received = await rows.received(conn, viewer, first, last)
    return [
        Report(
            start,
            end,
            (
                *measures.of_sent([one for one in sent if start <= one.opened_at < end]),
                *measures.of_visits([one for one in visits if start <= one.at < end]),
                *measures.of_received([one for one in received if start <= one.asked_at < end]),
                *measures.of_warnings(
                    measures.warnings([one for one in told if start <= one.at < end], later, now)
                ),
            ),
            end <= now - measures.MATURE,
        )
        for start, end in pairwise(edges)
    ]


async def _orderings(conn: Connection, viewer: Viewer, told: Sequence[Told]) -> list[Ordering]:
    known = same_question.in_use()
    same = await people.same_of_each(conn, viewer, {one.card.patient for one in told})
    found = []
    for one in told:
        card, is_service = one.card, one.card.kind == "service"
        code = (card.system, card.code)
        question = None if is_service else known.get(code)
        codes = {code} if question is None else question.codes
        until = one.at + timedelta(days=card.window_days)
        found.append(Ordering(card.id, same[card.patient], codes, one.at, until, is_service))
    return found


def document(
    found: Report,
    *,
    reporter: str,
    date: str,
    period: tuple[str, str],
    names: Mapping[int, str] | None = None,
) -> Document:
    """A MeasureReport. names: `Task/id` of what is behind the figures, by rid; where None, a summary.

    With them the rows are listed of all figures, also of those that are too few to be told to others.
    """
    contained: list[Document] = []
    groups = []
    for one in found.figures:
        parts: list[tuple[str, int, tuple[int, ...]]] = [("numerator", one.count, one.of)]
        if one.total is not None:
            parts.insert(0, ("denominator", one.total, one.among))
        elif one.kind != "share":
            parts = [("measure-population", one.count, one.of)]
        hidden = one.held and names is None
        populations = []
        for part, count, rids in parts:
            population: Document = {"code": _concept(_POPULATION, part)}
            population |= {"_count": _MASKED} if hidden else {"count": count}
            if names is not None and rids:
                name = f"{one.group}.{one.code}.{part}"
                contained.append(_listed(name, rids, names))
                population["subjectResults"] = {"reference": f"#{name}"}
            populations.append(population)
        group: Document = {
            "code": _figure(f"{one.group}.{one.code}", one.title, one.formula),
            "population": populations,
        }
        if one.value is not None:
            group["measureScore"] = _MASKED if hidden else _score(one)
        groups.append(group)
        if one.p90 is not None:
            score = _MASKED if hidden else _quantity(one.p90, *_UNITS["hours"])
            code = _figure(
                f"{one.group}.{one.code}-p90", f"{one.title}: nine of ten are below", one.formula
            )
            groups.append({"code": code, "population": populations, "measureScore": score})
    return {
        "resourceType": "MeasureReport",
        **({"contained": contained} if contained else {}),
        "status": "complete",
        "type": "summary" if names is None else "subject-list",
        "measure": MEASURE,
        "date": date,
        "reporter": {"reference": reporter},
        "period": {"start": period[0], "end": period[1]},
        "group": groups,
    }


def _listed(name: str, rids: Sequence[int], names: Mapping[int, str]) -> Document:
    return {
        "resourceType": "List",
        "id": name,
        "status": "current",
        "mode": "snapshot",
        "entry": [{"item": {"reference": names[rid]}} for rid in rids if rid in names],
    }


def _figure(code: str, title: str, formula: str) -> Document:
    return {"coding": [{"system": CODES, "code": code, "display": title}], "text": formula}


def _concept(system: str, code: str) -> Document:
    return {"coding": [{"system": system, "code": code}]}


def _score(one: Figure) -> Document:
    assert one.value is not None
    if one.kind == "money":
        return _quantity(one.value, str(one.currency), str(one.currency), "urn:iso:std:iso:4217")
    return _quantity(one.value, *_UNITS[one.kind])


def _quantity(
    value: object, unit: str, code: str, system: str = "http://unitsofmeasure.org"
) -> Document:
    return {"value": value, "unit": unit, "system": system, "code": code}


def as_csv(found: Report) -> str:
    """A line for each figure, with its formula; what is not told is `<10`."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("group", "code", "title", "count", "of", "value", "unit", "p90", "formula"))
    for one in found.figures:
        unit = one.currency or {"share": "%", "hours": "h"}.get(one.kind, "")
        shown = (one.count, one.total, one.value, unit, one.p90)
        told = (f"<{measures.FEW}", None, None, unit, None) if one.held else shown
        writer.writerow(
            (one.group, one.code, one.title, *("" if each is None else each for each in told), one.formula)
        )  # fmt: skip
    return out.getvalue()
