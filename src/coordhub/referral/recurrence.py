"""On which days something recurs, by a rule of iCalendar.

https://www.rfc-editor.org/rfc/rfc5545#section-3.3.10
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final

from dateutil import rrule

_DAILY: Final = re.compile("FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;|$)")
_SOME_DAY: Final = datetime(2026, 1, 1)  # noqa: DTZ001 on the wall
MOST: Final = 20_000
"""Occurrences that are counted from the beginning of a rule on."""


@dataclass(frozen=True, slots=True)
class Recurring:
    """rule: RRULE, without its name. start: the day from which it is counted; None: from ever.

    opens, closes: minutes since midnight; what closes before it opens lasts into the next day. first, last:
    days between which it holds, both included.
    """

    rule: str
    start: date | None
    opens: int
    closes: int
    first: date | None = None
    last: date | None = None

    def on(self, day: date) -> bool:
        if (self.first and day < self.first) or (self.last and day > self.last):
            return False
        return day in _days(self.rule, self.start, day.year)


def check(rule: str) -> None:
    """Raises ValueError for what is no rule, or recurs more often than daily."""
    if not _DAILY.match(rule):
        raise ValueError(rule)
    rrule.rrulestr(rule, dtstart=_SOME_DAY)


@lru_cache(maxsize=4096)
def _days(rule: str, start: date | None, year: int) -> frozenset[date]:
    """Those of the year."""
    first, end = date(year, 1, 1), date(year, 12, 31)
    begins = datetime.combine(start or first, time())
    if begins.date() > end:
        return frozenset()
    try:
        found = rrule.rrulestr(rule, dtstart=begins)
    except (ValueError, TypeError):
        return frozenset()
    days = found.xafter(datetime.combine(first, time()) - timedelta(days=1), inc=False)
    listed: set[date] = set()
    for one in islice(days, MOST):
        if one.date() > end:
            break
        listed.add(one.date())
    return frozenset(listed)
