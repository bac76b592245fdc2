"""When an organization is at work, and what a span of time comes to by its calendar.

http://hl7.org/fhir/R4/healthcareservice-definitions.html#HealthcareService.availableTime, #notAvailable
http://hl7.org/fhir/R4/extension-timezone.html

Clocks that are put forward or back do not move a deadline: all is counted on the wall, where a day is
a day. An hour that is skipped is no time; one that comes twice is over when it has passed once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from coordhub.referral.recurrence import Recurring

DAY = timedelta(days=1)
FURTHEST = 400
"""Days that are looked ahead for one of work; who is away for longer is counted with as if it were not."""

Span: TypeAlias = tuple[datetime, datetime]
"""Half-open, on the wall: without zone."""

Hours: TypeAlias = tuple[tuple[int, int], ...]
"""Half-open spans of one day, in minutes since midnight, in order."""

WHOLE_DAY: Hours = ((0, 24 * 60),)

UNITS = ("minutes", "hours", "days", "business hours", "business days")


@dataclass(frozen=True, slots=True)
class Duration:
    """`count` of one of UNITS. Hours and minutes are of any clock; days are the same time on the wall."""

    count: int
    unit: str


def joined(spans: Iterable[tuple[int, int]]) -> Hours:
    """In order, what touches made one."""
    found: list[tuple[int, int]] = []
    for opens, closes in sorted(spans):
        if found and opens <= found[-1][1]:
            found[-1] = (found[-1][0], max(closes, found[-1][1]))
        elif opens < closes:
            found.append((opens, closes))
    return tuple(found)


_DURATION = re.compile(r"(\d{1,5}) (business )?(minute|hour|day)s?")


def duration(text: str) -> Duration:
    """`2 business days`, `4 hours`, `30 minutes`; ValueError for what is none."""
    found = _DURATION.fullmatch(text)
    unit = f"{found[2] or ''}{found[3]}s" if found else ""
    if found is None or unit not in UNITS:
        raise ValueError(f"{text!r} is no duration such as '2 business days', '4 hours', '7 days'")
    return Duration(int(found[1]), unit)


@dataclass(frozen=True, slots=True)
class Calendar:
    """weekly: open hours from Monday to Sunday. closed: when it is not open all the same. recurring: hours beside
    the weekly ones, on days such as the second Monday of a month."""

    zone: ZoneInfo
    weekly: tuple[Hours, ...]
    closed: tuple[Span, ...] = ()
    recurring: tuple[Recurring, ...] = ()

    def local(self, moment: datetime) -> datetime:
        """The time on the wall, without zone; it never runs backwards."""
        there = moment.astimezone(self.zone)
        wall = there.replace(tzinfo=None, fold=0)
        if not there.fold:
            return wall
        first, second = self._offsets(wall)
        turned = self._turn(moment - (first - second), moment)
        return (turned + first).replace(tzinfo=None)

    def instant(self, wall: datetime) -> datetime:
        """When the wall shows this, for the first time; in UTC. If it never does, when it leaps past it."""
        before, after = self._offsets(wall)
        if before >= after:
            return (wall - before).replace(tzinfo=UTC)
        return self._turn((wall - after).replace(tzinfo=UTC), (wall - before).replace(tzinfo=UTC))

    def hours(self, day: date) -> Iterator[Span]:
        """When it is open on this day, in order."""
        midnight = datetime.combine(day, time())
        spans = [
            (midnight + timedelta(minutes=opens), midnight + timedelta(minutes=closes))
            for opens, closes in self._stated(day)
        ]
        for first, last in self.closed:
            if first < midnight + DAY and last > midnight:
                spans = [
                    part
                    for opens, closes in spans
                    for part in ((opens, min(closes, first)), (max(opens, last), closes))
                    if part[0] < part[1]
                ]
        yield from spans

    def _stated(self, day: date) -> Hours:
        """In minutes, whatever closes it."""
        weekly = self.weekly[day.weekday()]
        if not self.recurring:
            return weekly
        spans = list(weekly)
        for one in self.recurring:
            whole = one.opens < one.closes
            if one.on(day):
                spans.append((one.opens, one.closes if whole else 24 * 60))
            if not whole and one.closes and one.on(day - DAY):
                spans.append((0, one.closes))
        return joined(spans)

    def works_on(self, day: date) -> bool:
        return next(self.hours(day), None) is not None

    def is_open(self, moment: datetime) -> bool:
        wall = self.local(moment)
        return any(opens <= wall < closes for opens, closes in self.hours(wall.date()))

    def opening(self, moment: datetime) -> datetime:
        """This moment if it is open then, else the next at which it opens."""
        wall = self.local(moment)
        opened = self._opening(wall)
        return moment if opened == wall else self.instant(opened)

    def after(self, start: datetime, span: Duration) -> datetime:
        """When `span` is over that begins at `start`.

        What begins while it is closed begins, in business time, when it opens. Business days end on the
        wall's same time of a later day, moved into that day's hours.
        """
        count = span.count
        match span.unit:
            case "minutes":
                return start + timedelta(minutes=count)
            case "hours":
                return start + timedelta(hours=count)
            case "days":
                return self.instant(self.local(start) + count * DAY)
            case "business hours":
                return self.open_after(start, timedelta(hours=count))
        wall = self._opening(self.local(start))
        day = wall.date()
        for _ in range(count):
            day = self._next_day(day)
        return self.instant(self._within(day, datetime.combine(day, wall.time())))

    def open_between(self, start: datetime, end: datetime) -> timedelta:
        """How much of the time between them it is open."""
        first, last = self.local(start), self.local(end)
        total = timedelta()
        day = first.date()
        while day <= last.date():
            for opens, closes in self.hours(day):
                total += max(min(closes, last) - max(opens, first), timedelta())
            day += DAY
        return total

    def open_after(self, start: datetime, span: timedelta) -> datetime:
        """When it has been open for `span` since `start`."""
        wall = self._opening(self.local(start))
        day, left = wall.date(), span
        while True:
            for opens, closes in self.hours(day):
                begins = max(opens, wall)
                if left <= closes - begins:
                    return self.instant(begins + left)
                left -= max(closes - begins, timedelta())
            following = self._next_day(day)
            if not self.works_on(following):  # as if it were open
                return self.instant(datetime.combine(following, time()) + left)
            day = following

    def middle(self, start: datetime, end: datetime) -> datetime:
        """When half of its open time between these has passed; of none, half of the time."""
        between = self.open_between(start, end)
        if not between:
            return start + (end - start) / 2
        return self.open_after(start, between / 2)

    def _opening(self, wall: datetime) -> datetime:
        for opens, closes in self.hours(wall.date()):
            if wall < closes:
                return max(opens, wall)
        day = self._next_day(wall.date())
        opened = next(self.hours(day), None)
        return opened[0] if opened else datetime.combine(day, time())

    def _next_day(self, day: date) -> date:
        for ahead in range(1, FURTHEST):
            if self.works_on(day + ahead * DAY):
                return day + ahead * DAY
        return day + DAY

    def _within(self, day: date, wall: datetime) -> datetime:
        """The latest moment up to `wall` at which it is open on that day, or at which it closed; else it opens."""
        best: datetime | None = None
        for opens, closes in self.hours(day):
            if opens <= wall:
                best = min(wall, closes)
            elif best is None:
                return opens
        return best or wall

    def _offsets(self, wall: datetime) -> tuple[timedelta, timedelta]:
        """From UTC, by the clock before and after it is turned where that makes a difference."""
        before = wall.replace(tzinfo=self.zone, fold=0).utcoffset()
        after = wall.replace(tzinfo=self.zone, fold=1).utcoffset()
        return before or timedelta(), after or timedelta()

    def _turn(self, low: datetime, high: datetime) -> datetime:
        """When the clock is turned between these, in UTC, to the second."""
        low, high = low.astimezone(UTC), high.astimezone(UTC)
        old = low.astimezone(self.zone).utcoffset()
        span = high - low
        while span > timedelta(seconds=1):
            middle = low + (high - low) // 2
            if middle.astimezone(self.zone).utcoffset() == old:
                low = middle
            else:
                high = middle
            span = high - low
        return high.replace(microsecond=0)
