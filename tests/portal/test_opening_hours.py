"""Hours in words: days together, what recurs by its days, and what is so now."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from coordhub.portal import language, opening_hours
from coordhub.referral.calendar import WHOLE_DAY, Calendar
from coordhub.referral.hours import SCHEDULE, calendar_of
from coordhub.referral.recurrence import Recurring

ENGLISH, SPANISH = language.words("en"), language.words("es")
ZONE = ZoneInfo("America/New_York")
NINE_TO_FIVE, MORNING = ((540, 1020),), ((540, 720),)
THURSDAY = datetime(2026, 11, 26, 15, tzinfo=UTC)
"""Ten in the morning there."""
SATURDAY = date(2026, 11, 28)


def week(*days):
    return (*days, *((),) * (7 - len(days)))


@pytest.mark.parametrize(
    ("weekly", "lines", "now"),
    [
        (week(*(NINE_TO_FIVE,) * 5), [("Mon–Fri", "09:00–17:00")], "open now, until 17:00"),
        (
            week(NINE_TO_FIVE, (), NINE_TO_FIVE),
            [("Mon, Wed", "09:00–17:00")],
            "closed now, opens Mon 30 Nov, 09:00",
        ),
        (
            week(MORNING, MORNING, (), (*MORNING, (780, 840)), MORNING),
            [("Mon–Tue, Fri", "09:00–12:00"), ("Thu", "09:00–12:00, 13:00–14:00")],
            "open now, until 12:00",
        ),
        ((WHOLE_DAY,) * 7, [("Mon–Sun", "around the clock")], "open now"),
        (((),) * 7, [], "closed now"),
    ],
)
def test_given_a_week_when_told_then_days_of_the_same_hours_are_together(weekly, lines, now):
    told = opening_hours.told(Calendar(ZONE, weekly), THURSDAY, ENGLISH)
    assert (list(told.lines), told.now) == (lines, now)
    assert told.zone == ("" if weekly == (WHOLE_DAY,) * 7 else "America/New York")


@pytest.mark.parametrize(
    ("rule", "start", "said"),
    [
        ("FREQ=MONTHLY;BYDAY=2MO", None, "the second Mon of each month (next Mon 14 Dec; Mon 11 Jan; Mon 8 Feb)"),
        ("FREQ=MONTHLY;BYDAY=-1FR", None, "the last Fri of each month (next Fri 27 Nov; Fri 25 Dec; Fri 29 Jan)"),
        ("FREQ=WEEKLY;BYDAY=TU,SA", None, "Tue, Sat (next Sat 28 Nov; Tue 1 Dec; Sat 5 Dec)"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SA", SATURDAY,
         "every other Sat (next Sat 28 Nov; Sat 12 Dec; Sat 26 Dec)"),
        ("FREQ=MONTHLY;BYMONTHDAY=15", None, "next Tue 15 Dec; Fri 15 Jan; Mon 15 Feb"),
        ("FREQ=MONTHLY;BYDAY=5MO", None, "next Mon 30 Nov; Mon 29 Mar; Mon 31 May"),
        ("nonsense", None, None),
    ],
)  # fmt: skip
def test_given_what_recurs_when_told_then_the_days_that_come_are_named(rule, start, said):
    recurring = (Recurring(rule, start, 540, 1020),)
    told = opening_hours.told(Calendar(ZONE, ((),) * 7, (), recurring), THURSDAY, ENGLISH)
    assert list(told.lines) == ([] if said is None else [(said, "09:00–17:00")])


def test_given_holidays_and_another_language_when_told_then_days_that_it_is_closed_are_named():
    entry = {
        "availableTime": [{"daysOfWeek": ["mon", "tue", "wed", "thu", "fri"], "availableStartTime": "09:00:00",
                           "availableEndTime": "17:00:00"}],
        "notAvailable": [
            {"description": "past", "during": {"start": "2026-11-01", "end": "2026-11-02"}},
            {"description": "today", "during": {"start": "2026-11-26", "end": "2026-11-26"}},
            {"description": "holidays", "during": {"start": "2026-12-24", "end": "2026-12-26"}},
        ],
        "extension": [{"url": SCHEDULE, "extension": [
            {"url": "rule", "valueString": "FREQ=MONTHLY;BYDAY=1SA"}, {"url": "opens", "valueTime": "10:00:00"},
            {"url": "closes", "valueTime": "12:00:00"},
        ]}],
    }  # fmt: skip
    calendar = calendar_of([entry], Calendar(ZONE, ((),) * 7))
    told = opening_hours.told(calendar, THURSDAY, SPANISH)
    assert told.closed == ("jue 26 nov", "jue 24 dic – sáb 26 dic")
    assert not told.is_open
    assert told.now == "cerrado ahora, abre vie 27 nov, 09:00"
    assert told.lines == (
        ("lun–vie", "09:00–17:00"),
        ("el primer sáb de cada mes (próximos: sáb 5 dic; sáb 2 ene; sáb 6 feb)", "10:00–12:00"),
    )
