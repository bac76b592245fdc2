"""Results of a person by what they answer: the newest of each, whether it rises or falls, and its line; pure.

http://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Final

from coordhub.insight import priors, same_question
from coordhub.insight.priors import Result
from coordhub.insight.same_question import Question
from coordhub.portal.occurrences import Wall, told
from coordhub.store.resources import Version

MOST: Final = 16
"""Kinds of results: those that came last."""

POINTS: Final = 12
"""Values of a line: the newest."""

_WIDE, _HIGH, _EDGE = Decimal(96), Decimal(24), Decimal(3)

_OTHERS: Final = frozenset({"survey", "social-history", "sdoh"})
"""Categories of what is no measurement."""


@dataclass(frozen=True, slots=True)
class Line:
    """title, value, when, who: of the newest. direction: rising, falling, steady, "" where nothing compares.

    change: by how much, since: since when. points: of an svg, oldest first; "" for less than two values.
    end: the last of them.
    """

    title: str
    value: str
    when: str
    who: str
    direction: str
    change: str
    since: str
    points: str
    end: tuple[str, str]


def kinds(versions: Sequence[Version]) -> list[tuple[Question, list[Version]]]:
    """Observations by what they answer; what was measured, not what was asked of the person."""
    found: dict[str, tuple[Question, list[Version]]] = {}
    for version in versions:
        if version.type != "Observation" or version.body is None:
            continue
        document = priors.document_of(version)
        if {code for _, code in priors.codes_of(document.get("category"))} & _OTHERS:
            continue
        question = same_question.asked(priors.codes_of(document.get("code")))
        if question is not None:
            key = question.name or " ".join("|".join(code) for code in sorted(question.answers))
            found.setdefault(key, (question, []))[1].append(version)
    return list(found.values())


def lines(
    versions: Sequence[Version],
    *,
    patients: Collection[int],
    rejected: Collection[str],
    makers: Mapping[int, str],
    base: str,
    zone: tzinfo,
    wall: Wall,
) -> list[Line]:
    """Of each kind one, what came last first."""
    found = [
        results
        for question, of_it in kinds(versions)
        if (
            results := priors.results(
                question, of_it, patients=patients, now=wall.now, zone=zone, rejected=rejected,
                base=base,
            )
        )
    ]  # fmt: skip
    found.sort(key=lambda each: each[0].taken, reverse=True)
    return [_line(results, makers, wall) for results in found[:MOST]]


def _line(results: Sequence[Result], makers: Mapping[int, str], wall: Wall) -> Line:
    newest, trend = results[0], priors.trend(results)
    points = _points(results)
    return Line(
        newest.title,
        told(newest.document),
        _day(newest, wall),
        makers.get(newest.version.rid, ""),
        trend.direction if trend is not None else "",
        str(abs(trend.change)) if trend is not None else "",
        _since(results, trend, wall) if trend is not None else "",
        " ".join(",".join(one) for one in points),
        points[-1] if points else ("", ""),
    )


def _day(one: Result, wall: Wall) -> str:
    return wall.dated(one.taken, str(one.document.get("effectiveDateTime") or ""))


def _since(results: Sequence[Result], trend: priors.Trend, wall: Wall) -> str:
    return _day(next(one for one in results if one.taken == trend.since), wall)


def _points(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Where each value that compares with the newest lies in a box, oldest first."""
    newest = results[0]
    alike = [
        one
        for one in results
        if one.number is not None and one.unit == newest.unit and one.codes & newest.codes
    ][:POINTS]
    if len(alike) < 2:
        return []
    alike.reverse()
    numbers = [one.number or Decimal(0) for one in alike]
    low, high = min(numbers), max(numbers)
    first, last = alike[0].taken, alike[-1].taken
    whole = Decimal((last - first).total_seconds()) or Decimal(1)
    found = []
    for one, number in zip(alike, numbers, strict=True):
        x = Decimal((one.taken - first).total_seconds()) / whole * _WIDE + _EDGE
        up = (number - low) / (high - low) if high > low else Decimal("0.5")
        found.append((f"{x:.1f}", f"{_HIGH - up * (_HIGH - 2 * _EDGE) - _EDGE:.1f}"))
    return found
