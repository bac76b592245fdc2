"""When a service is open, as a person says it; pure.

http://hl7.org/fhir/R4/healthcareservice-definitions.html#HealthcareService.availableTime
https://www.rfc-editor.org/rfc/rfc5545#section-3.3.10

What a rule of iCalendar says in no plain words is told by the days that come next: these are right of any rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from coordhub.portal import moments
from coordhub.portal.language import Words
from coordhub.referral.calendar import WHOLE_DAY, Calendar
from coordhub.referral.recurrence import Recurring

AHEAD: Final = timedelta(days=400)
NEXT: Final = 3
"""Days that are named of what recurs."""
CLOSED: Final = 3
"""Times that it is closed, which are named."""

ORDINALS: Final = {
    1: "the first {day} of each month",
    2: "the second {day} of each month",
    3: "the third {day} of each month",
    4: "the fourth {day} of each month",
    -1: "the last {day} of each month",
}
EVERY_OTHER: Final = "every other {day}"
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_NTH: Final = re.compile(r"(-?\d)(MO|TU|WE|TH|FR|SA|SU)")


@dataclass(frozen=True, slots=True)
class Told:
    """now: open or closed at this moment, and until when. lines: (days, times). closed: days that it is not open.

    zone: by whose clock; "" where it is never closed.
    """

    is_open: bool
    now: str
    lines: tuple[tuple[str, str], ...]
    closed: tuple[str, ...]
    zone: str


def told(calendar: Calendar, now: datetime, t: Words) -> Told:
    always = calendar.weekly == (WHOLE_DAY,) * 7
    lines = [*_weekly(calendar, t), *_recurring(calendar, calendar.local(now).date(), t)]
    return Told(
        calendar.is_open(now),
        _now(calendar, now, t),
        tuple(lines),
        tuple(_closed(calendar, now, t)),
        "" if always and not calendar.closed else calendar.zone.key.replace("_", " "),
    )


def _now(calendar: Calendar, now: datetime, t: Words) -> str:
    if calendar.is_open(now):
        wall = calendar.local(now)
        closes = next(end for start, end in calendar.hours(wall.date()) if start <= wall < end)
        if closes.time() == datetime.min.time():
            return t("open now")
        return t("open now, until {time}", time=f"{closes:%H:%M}")
    opens = calendar.opening(now)
    if opens == now or not calendar.is_open(opens):
        return t("closed now")
    return t("closed now, opens {moment}", moment=moments.moment(opens, calendar, t))


def _weekly(calendar: Calendar, t: Words) -> Iterator[tuple[str, str]]:
    """Days with the same hours together, those in a row as one."""
    for hours in dict.fromkeys(calendar.weekly):
        if hours:
            days = [day for day in range(7) if calendar.weekly[day] == hours]
            yield ", ".join(_rows(days, t)), _times(hours, t)


def _rows(days: Sequence[int], t: Words) -> Iterator[str]:
    """`Mon–Fri`, or `Mon`."""
    for first in days:
        if first - 1 in days:
            continue
        last = first
        while last + 1 in days:
            last += 1
        named = t(moments.DAYS[first])
        yield named if last == first else f"{named}–{t(moments.DAYS[last])}"


def _times(spans: Sequence[tuple[int, int]], t: Words) -> str:
    if tuple(spans) == WHOLE_DAY:
        return t("around the clock")
    return ", ".join(f"{_clock(opens)}–{_clock(closes)}" for opens, closes in spans)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _recurring(calendar: Calendar, today: date, t: Words) -> Iterator[tuple[str, str]]:
    for one in calendar.recurring:
        following = [
            day for ahead in range(AHEAD.days) if one.on(day := today + timedelta(days=ahead))
        ][:NEXT]
        if not following:
            continue
        named = t("next {days}", days="; ".join(moments.day(day, t) for day in following))
        said = _rule(one, t)
        yield f"{said} ({named})" if said else named, _times([(one.opens, one.closes)], t)


def _rule(one: Recurring, t: Words) -> str:
    """The plain ones; "" for others."""
    parts = dict(part.partition("=")[::2] for part in one.rule.upper().split(";"))
    if set(parts) - {"FREQ", "BYDAY", "INTERVAL", "UNTIL", "WKST"}:
        return ""
    days, every = parts.get("BYDAY", "").split(","), parts.get("INTERVAL", "1")
    if parts.get("FREQ") == "MONTHLY" and every == "1":
        found = [_NTH.fullmatch(day) for day in days]
        said = [
            t(ORDINALS[int(each[1])], day=t(moments.DAYS[_DAYS.index(each[2])]))
            for each in found
            if each is not None and int(each[1]) in ORDINALS
        ]
        return ", ".join(said) if len(said) == len(days) else ""
    if parts.get("FREQ") == "WEEKLY" and every in ("1", "2") and set(days) <= set(_DAYS):
        names = ", ".join(t(moments.DAYS[_DAYS.index(day)]) for day in days)
        return names if every == "1" else t(EVERY_OTHER, day=names)
    return ""


def _closed(calendar: Calendar, now: datetime, t: Words) -> Iterator[str]:
    wall = calendar.local(now)
    ahead = [span for span in calendar.closed if span[1] > wall and span[0] < wall + AHEAD]
    for first, end in sorted(ahead)[:CLOSED]:
        last = end - timedelta(minutes=1)
        if first.date() == last.date():
            yield moments.day(first, t)
        else:
            yield f"{moments.day(first, t)} – {moments.day(last, t)}"
