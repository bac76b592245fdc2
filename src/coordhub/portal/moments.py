"""Times, as a person says them.

https://www.w3.org/TR/WCAG22/
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from coordhub.portal.language import Words
from coordhub.referral.calendar import Calendar

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def span(length: timedelta, t: Words) -> str:
    """How long, to the minute, the hour or the day."""
    minutes = max(0, int(length.total_seconds() // 60))
    if minutes < 60:
        return t("{n} min", n=minutes)
    if minutes < 48 * 60:
        return t("{n} h", n=minutes // 60)
    return t("{n} days", n=minutes // (24 * 60))


def day(at: date, t: Words) -> str:
    return f"{t(DAYS[at.weekday()])} {at.day} {t(MONTHS[at.month - 1])}"


def instant(at: datetime, calendar: Calendar, t: Words) -> str:
    """On the wall of who looks, with its year: of what may be long ago."""
    wall = calendar.local(at)
    return f"{day(wall, t)} {wall.year}, {wall:%H:%M}"


def month(at: date, t: Words) -> str:
    return f"{t(MONTHS[at.month - 1])} {at.year}"


def moment(at: datetime, calendar: Calendar, t: Words) -> str:
    """On the wall of who looks."""
    wall = calendar.local(at)
    return f"{day(wall, t)}, {wall:%H:%M}"
