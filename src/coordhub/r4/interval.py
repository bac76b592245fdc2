"""What a FHIR date, dateTime, instant or Period covers, and R4's comparison of such intervals.

A stated instant is a half-open interval [low, high) in UTC as wide as its precision: `2026` is a
year, `2026-03-01T10:00:00.5Z` a tenth of a second. What states no time zone counts as UTC. The
open ends of a Period are `BEGINNING` and `END`.

http://hl7.org/fhir/R4/search.html#prefix, http://hl7.org/fhir/R4/datatypes.html#dateTime
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
PREFIXES: frozenset[str] = frozenset(get_args(Prefix))

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


class Interval(NamedTuple):
    """[low, high), both aware and in UTC."""

    low: datetime
    high: datetime


_INSTANT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


@lru_cache(maxsize=8192)
def parse_instant(text: str) -> Interval | None:
    """The interval of a date, dateTime or instant; None where the text is none of them."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    except ValueError:
        return None
    if month is None:
        return Interval(start, _later(start, year=1))
    if day is None:
        return Interval(start, _later(start, month=1))
    if hour is None:
        return Interval(start, _plus(start, timedelta(days=1)))
    # A leap second (`:60`) is the first second of the next minute.
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        return None
    offset = _offset(zone)
    if offset is None:
        return None
    precision = timedelta(minutes=1)
    into = timedelta(hours=int(hour), minutes=int(minute))
    if second is not None:
        precision = timedelta(seconds=1)
        into += timedelta(seconds=int(second))
    if fraction is not None:
        # Finer than a microsecond is cut: the index knows no less.
        precision = timedelta(microseconds=max(1, 10 ** (6 - min(6, len(fraction)))))
        into += timedelta(microseconds=int(fraction[:6].ljust(6, "0")))
    low = _plus(start, into - offset)
    return Interval(low, _plus(low, precision))


def parse_period(period: Mapping[str, Any]) -> Interval | None:
    """The interval of a Period; None where neither end can be read."""
    start, end = period.get("start"), period.get("end")
    low = parse_instant(start) if isinstance(start, str) else None
    high = parse_instant(end) if isinstance(end, str) else None
    if low is None and high is None:
        return None
    first = low.low if low is not None else BEGINNING
    last = high.high if high is not None else END
    return Interval(first, max(first, last))


def parse_timing(timing: Mapping[str, Any]) -> Interval | None:
    """From the first to the last of what a Timing states; None where it is only a rhythm."""
    found = [
        interval
        for event in timing.get("event") or ()
        if isinstance(event, str) and (interval := parse_instant(event)) is not None
    ]
    repeat = timing.get("repeat")
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict) and (interval := parse_period(bounds)) is not None:
        found.append(interval)
    if not found:
        return None
    return Interval(min(each.low for each in found), max(each.high for each in found))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a bound of the resource's interval with an instant."""

    bound: Literal["low", "high"]
    operator: Literal["<", "<=", ">", ">="]
    at: datetime


@dataclass(frozen=True, slots=True)
class DateCondition:
    """What a date search asks of a resource's interval: all comparisons, or any of them."""

    joined: Literal["and", "or"]
    comparisons: tuple[Comparison, ...]

    def matches(self, low: datetime, high: datetime) -> bool:
        """The same in Python as the store says in SQL."""
        answers = (
            _OPERATORS[each.operator](low if each.bound == "low" else high, each.at)
            for each in self.comparisons
        )
        return all(answers) if self.joined == "and" else any(answers)


_OPERATORS = {
    "<": datetime.__lt__,
    "<=": datetime.__le__,
    ">": datetime.__gt__,
    ">=": datetime.__ge__,
}


def date_condition(
    prefix: Prefix, low: datetime, high: datetime, *, now: datetime | None = None
) -> DateCondition:
    """What a search value [low, high) with its prefix asks of a resource's interval.

    `eq`: the value covers all of the resource's interval; `gt` and `lt`: the resource's interval
    reaches beyond the value; `ge` and `le`: beyond it or within it; `sa` and `eb`: it lies wholly
    after or before; `ap`: it overlaps the value widened by a tenth of the distance to `now`.
    """
    match prefix:
        case "eq":
            return _condition("and", ("low", ">=", low), ("high", "<=", high))
        case "ne":
            return _condition("or", ("low", "<", low), ("high", ">", high))
        case "gt":
            return _condition("and", ("high", ">", high))
        case "ge":
            return _condition("or", ("high", ">", high), ("low", ">=", low))
        case "lt":
            return _condition("and", ("low", "<", low))
        case "le":
            return _condition("or", ("low", "<", low), ("high", "<=", high))
        case "sa":
            return _condition("and", ("low", ">=", high))
        case "eb":
            return _condition("and", ("high", "<=", low))
        case "ap":
            margin = timedelta(0)
            if now is not None:
                margin = max(now - high, low - now, timedelta(0)) / 10
            return _condition(
                "and", ("low", "<", _plus(high, margin)), ("high", ">", _plus(low, -margin))
            )


def _condition(
    joined: Literal["and", "or"],
    *comparisons: tuple[Literal["low", "high"], Literal["<", "<=", ">", ">="], datetime],
) -> DateCondition:
    return DateCondition(joined, tuple(Comparison(*each) for each in comparisons))


def _offset(zone: str | None) -> timedelta | None:
    if zone is None or zone == "Z":
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        return None
    size = timedelta(hours=hours, minutes=minutes)
    return -size if zone[0] == "-" else size


def _later(start: datetime, *, year: int = 0, month: int = 0) -> datetime:
    months = start.month - 1 + month
    years = start.year + year + months // 12
    if years > 9999:
        return END
    return start.replace(year=years, month=months % 12 + 1)


def _plus(instant: datetime, distance: timedelta) -> datetime:
    """The sum, held at the ends of what a datetime can say."""
    try:
        return instant + distance
    except OverflowError:
        return END if distance > timedelta(0) else BEGINNING
