"""What the directory says of when a service is at work, as a Calendar.

http://hl7.org/fhir/R4/healthcareservice-definitions.html#HealthcareService.availableTime, #notAvailable
http://hl7.org/fhir/R4/location-definitions.html#Location.hoursOfOperation
http://hl7.org/fhir/StructureDefinition/timezone

What availableTime cannot say, such as the second Monday of a month, stands in the extension SCHEDULE: `rule` (RRULE
of RFC 5545), `start` (the day from which it is counted), `opens`, `closes`, `validity` (a Period of days).

What cannot be read says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from coordhub.r4 import interval
from coordhub.referral.calendar import WHOLE_DAY, Calendar, Hours, Span, joined
from coordhub.referral.recurrence import Recurring

TIME_ZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
SCHEDULE: Final = "urn:coordhub:schedule"
WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Document = Mapping[str, Any]

_TIME = re.compile(r"([01]\d|2[0-4]):([0-5]\d)(:[0-5]\d(\.\d+)?)?")
_ZONED = re.compile(r".*T.*(Z|[+-]\d{2}:\d{2})")


def calendar_of(entries: Sequence[Document], default: Calendar) -> Calendar:
    """By the first of these entries that says it: the zone, and the hours; closed when any of them is.

    entries: nearest first, such as HealthcareService, its Locations, its Organization.
    """
    zone = next((found for one in entries if (found := zone_of(one))), default.zone)
    week, recurring = next(
        (said for one in entries if (said := _stated(one)) is not None), (default.weekly, ())
    )
    there = Calendar(zone, week)
    closed = sorted(span for one in entries for span in _closures(one, there))
    return Calendar(zone, week, (*default.closed, *closed), recurring)


def says(entry: Document) -> bool:
    """Whether an entry has anything about when it is open."""
    return "availableTime" in entry or "hoursOfOperation" in entry or any(_schedules(entry))


def _stated(entry: Document) -> tuple[tuple[Hours, ...], tuple[Recurring, ...]] | None:
    week, recurring = _weekly(entry), tuple(_recurring(entry))
    if week is None and not recurring:
        return None
    return week or _NEVER, recurring


_NEVER: Final[tuple[Hours, ...]] = ((),) * 7


def _schedules(entry: Document) -> Iterator[Document]:
    return (one for one in _dicts(entry.get("extension")) if one.get("url") == SCHEDULE)


def _recurring(entry: Document) -> Iterator[Recurring]:
    for one in _schedules(entry):
        parts = {str(part.get("url")): part for part in _dicts(one.get("extension"))}
        rule = parts.get("rule", {}).get("valueString")
        opens = minutes(parts.get("opens", {}).get("valueTime"))
        closes = minutes(parts.get("closes", {}).get("valueTime"))
        if not isinstance(rule, str) or (opens is None and closes is None):
            continue
        valid = parts.get("validity", {}).get("valuePeriod")
        ends = valid if isinstance(valid, Mapping) else {}
        yield Recurring(
            rule,
            _day(parts.get("start", {}).get("valueDate")),
            opens or 0,
            closes or 24 * 60,
            _day(ends.get("start")),
            _day(ends.get("end")),
        )


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def zone_of(entry: Document) -> ZoneInfo | None:
    for extension in _dicts(entry.get("extension")):
        if extension.get("url") == TIME_ZONE:
            return zone(extension.get("valueCode") or extension.get("valueString"))
    return None


def zone(name: object) -> ZoneInfo | None:
    """A zone of the IANA database."""
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (ValueError, OSError, KeyError):
        return None


def weekly(spans: Iterable[tuple[Iterable[str], int, int]]) -> tuple[Hours, ...]:
    """Of (days of the week, opens, closes) in minutes; what closes before it opens lasts into the next day."""
    days: list[set[tuple[int, int]]] = [set() for _ in WEEK]
    for names, opens, closes in spans:
        for name in names:
            if name not in WEEK:
                continue
            number = WEEK.index(name)
            if opens < closes:
                days[number].add((opens, closes))
            else:
                days[number].add((opens, 24 * 60))
                if closes:
                    days[(number + 1) % 7].add((0, closes))
    return tuple(joined(one) for one in days)


def _weekly(entry: Document) -> tuple[Hours, ...] | None:
    found = weekly(
        span for name, first, last in _SAID for span in _said(entry.get(name), first, last)
    )
    return found if any(found) else None


_SAID: Final = (
    ("availableTime", "availableStartTime", "availableEndTime"),
    ("hoursOfOperation", "openingTime", "closingTime"),
)


def _said(element: Any, first: str, last: str) -> Iterator[tuple[Iterable[str], int, int]]:
    for each in _dicts(element):
        days = [day for day in each.get("daysOfWeek") or WEEK if isinstance(day, str)]
        opens, closes = minutes(each.get(first)), minutes(each.get(last))
        if each.get("allDay") is True:
            yield days, *WHOLE_DAY[0]
        elif opens is not None or closes is not None:
            yield days, opens or 0, 24 * 60 if closes is None else closes


def minutes(text: object) -> int | None:
    """Since midnight, of `hh:mm:ss`."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    return min(int(found[1]) * 60 + int(found[2]), 24 * 60) if found else None


def _closures(entry: Document, there: Calendar) -> Iterator[Span]:
    for each in _dicts(entry.get("notAvailable")):
        during = each.get("during")
        span = closure(during, there) if isinstance(during, Mapping) else None
        if span is not None:
            yield span


def closure(period: Document, there: Calendar) -> Span | None:
    """A Period on the wall; a date is that day there. None if it says nothing or is no Period.

    One that does not end or does not begin closes nothing: it is the entry that would be inactive.
    """
    start, end = _edge(period.get("start"), there, 0), _edge(period.get("end"), there, 1)
    if start is None or end is None or start >= end:
        return None
    return start, end


def _edge(text: object, there: Calendar, which: int) -> datetime | None:
    """The first moment on the wall that the text covers, or (1) the first that it covers no more."""
    found = interval.parse_instant(text) if isinstance(text, str) else None
    if found is None or not isinstance(text, str):
        return None
    edge = (found.low, found.high)[which]
    try:
        return there.local(edge) if _ZONED.fullmatch(text) else edge.replace(tzinfo=None)
    except OverflowError:
        return None


def _dicts(element: Any) -> list[Document]:
    return [one for one in element if isinstance(one, Mapping)] if isinstance(element, list) else []


def holiday(day: str) -> Span:
    """A whole day, `YYYY-MM-DD`; ValueError for what is none."""
    midnight = datetime.strptime(day, "%Y-%m-%d")  # noqa: DTZ007 it is on the wall
    return midnight, midnight + timedelta(days=1)
