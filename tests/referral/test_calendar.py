"""Business time: on the wall, never on a closed day, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coordhub.referral import hours
from coordhub.referral.calendar import UNITS, WHOLE_DAY, Calendar, Duration, duration

CHICAGO = ZoneInfo("America/Chicago")
OFFICE = hours.weekly([(("mon", "tue", "wed", "thu", "fri"), 9 * 60, 17 * 60)])
COLUMBUS_DAY = hours.holiday("2026-10-12")

ZONES = (
    "America/Chicago",
    "America/Phoenix",
    "America/St_Johns",
    "Europe/Berlin",
    "Europe/London",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "UTC",
)
"""With and without daylight saving; by an hour and by half of one; north and south."""

wall = datetime.fromisoformat

spans = st.tuples(st.integers(0, 23 * 60), st.integers(1, 24 * 60)).map(
    lambda pair: (pair[0], max(pair[0] + 1, pair[1]))
)
days = st.sets(st.sampled_from(hours.WEEK), min_size=1)
weeks = st.lists(st.tuples(days, spans), min_size=1, max_size=4).map(
    lambda said: hours.weekly([(names, *span) for names, span in said])
)
holidays = st.lists(
    st.dates(date(2026, 1, 1), date(2027, 12, 31)).map(lambda day: hours.holiday(str(day))),
    max_size=20,
)
calendars = st.builds(
    lambda zone, weekly, closed: Calendar(ZoneInfo(zone), weekly, tuple(closed)),
    st.sampled_from(ZONES),
    weeks,
    holidays,
)
moments = st.datetimes(wall("2026-01-01 00:00"), wall("2027-12-31 00:00")).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
durations = st.builds(Duration, st.integers(0, 20), st.sampled_from(UNITS))


@given(calendars, moments, moments, durations)
def test_given_a_later_start_when_any_span_is_added_then_it_never_ends_earlier(
    calendar: Calendar, one: datetime, other: datetime, span: Duration
) -> None:
    first, second = sorted((one, other))
    assert calendar.after(first, span) <= calendar.after(second, span)


@given(calendars, moments, st.integers(0, 20), st.integers(0, 20), st.sampled_from(UNITS))
def test_given_a_longer_span_when_added_then_it_never_ends_earlier(
    calendar: Calendar, start: datetime, one: int, other: int, unit: str
) -> None:
    short, long = sorted((one, other))
    assert calendar.after(start, Duration(short, unit)) <= calendar.after(
        start, Duration(long, unit)
    )


@given(calendars, moments, st.integers(1, 20))
def test_given_business_days_when_added_then_they_end_while_it_is_open_or_as_it_closes(
    calendar: Calendar, start: datetime, count: int
) -> None:
    due = calendar.after(start, Duration(count, "business days"))
    there = calendar.local(due)
    at_work = any(opens <= there <= closes for opens, closes in calendar.hours(there.date()))
    skipped = calendar.local(due - timedelta(seconds=1)) < there - timedelta(minutes=1)
    assert at_work or skipped, "never on a holiday, a weekend or at night"
    assert calendar.works_on(there.date())


@given(calendars, moments, st.integers(1, 20))
def test_given_business_days_when_added_then_as_many_working_days_lie_between(
    calendar: Calendar, start: datetime, count: int
) -> None:
    begins = calendar.opening(start)
    due = calendar.after(start, Duration(count, "business days"))
    day, last = calendar.local(begins).date(), calendar.local(due).date()
    between = [
        day + timedelta(days=number)
        for number in range(1, (last - day).days + 1)
        if calendar.works_on(day + timedelta(days=number))
    ]
    assert len(between) == count


@given(calendars, moments, st.integers(0, 60 * 60))
def test_given_open_time_added_when_measured_then_it_is_as_much(
    calendar: Calendar, start: datetime, minutes: int
) -> None:
    span = timedelta(minutes=minutes)
    due = calendar.open_after(start, span)
    assert due >= start
    measured = calendar.open_between(start, due)
    # an hour that the clock leaps over while it is open is lost with all that lies in it
    assert abs(measured - span) <= timedelta(hours=1)
    turns = {(start + timedelta(days=n)).astimezone(calendar.zone).utcoffset() for n in range(400)}
    if len(turns) == 1:
        assert measured == span


@given(calendars, moments, moments, moments)
def test_given_three_moments_when_the_open_time_between_is_measured_then_it_adds_up(
    calendar: Calendar, one: datetime, two: datetime, three: datetime
) -> None:
    first, second, third = sorted((one, two, three))
    assume(third - first < timedelta(days=200))
    assert calendar.open_between(first, third) == calendar.open_between(
        first, second
    ) + calendar.open_between(second, third)


@given(calendars, moments)
def test_given_a_moment_when_read_from_the_wall_then_it_is_that_moment_again(
    calendar: Calendar, moment: datetime
) -> None:
    there = calendar.local(moment)
    assert calendar.local(calendar.instant(there)) == there
    if not moment.astimezone(calendar.zone).fold:
        assert calendar.instant(there) == moment


@given(calendars, moments, st.integers(0, 400))
def test_given_days_when_added_then_the_wall_shows_the_same_time(
    calendar: Calendar, start: datetime, count: int
) -> None:
    there = calendar.local(start) + timedelta(days=count)
    due = calendar.local(calendar.after(start, Duration(count, "days")))
    assert due == there or timedelta() < due - there <= timedelta(hours=1), (
        "but where it is leapt over"
    )


def test_given_a_friday_before_a_holiday_when_two_business_days_are_added_then_wednesday() -> None:
    calendar = Calendar(CHICAGO, OFFICE, (COLUMBUS_DAY,))
    friday = datetime(2026, 10, 9, 16, tzinfo=CHICAGO)
    two = duration("2 business days")
    first = calendar.after(friday, two)
    assert first == datetime(2026, 10, 14, 16, tzinfo=CHICAGO)
    assert calendar.middle(friday, first) == datetime(2026, 10, 13, 16, tzinfo=CHICAGO)
    assert calendar.after(first, two) == datetime(2026, 10, 16, 16, tzinfo=CHICAGO)


def test_given_a_request_at_night_when_a_business_day_is_added_then_it_counts_from_opening() -> (
    None
):
    calendar = Calendar(CHICAGO, OFFICE)
    night = datetime(2026, 10, 9, 23, tzinfo=CHICAGO)
    due = calendar.after(night, duration("1 business day"))
    assert due == datetime(2026, 10, 13, 9, tzinfo=CHICAGO)


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("America/Chicago", wall("2026-03-06 16:00"), wall("2026-03-10 16:00")),
        ("America/Chicago", wall("2026-10-30 16:00"), wall("2026-11-03 16:00")),
        ("Europe/Berlin", wall("2026-03-27 16:00"), wall("2026-03-31 16:00")),
        ("Europe/Berlin", wall("2026-10-23 16:00"), wall("2026-10-27 16:00")),
        ("America/Phoenix", wall("2026-10-30 16:00"), wall("2026-11-03 16:00")),
    ],
)
def test_given_clocks_that_are_turned_in_between_when_two_business_days_are_added_then_the_same_time(
    zone: str, before: datetime, after: datetime
) -> None:
    there = ZoneInfo(zone)
    calendar = Calendar(there, OFFICE)
    due = calendar.after(before.replace(tzinfo=there), duration("2 business days"))
    assert due == after.replace(tzinfo=there)


def test_given_a_time_that_the_clock_leaps_over_when_a_day_ends_then_it_ends_at_the_leap() -> None:
    calendar = Calendar(CHICAGO, (WHOLE_DAY,) * 7)
    due = calendar.after(datetime(2026, 3, 7, 2, 30, tzinfo=CHICAGO), duration("1 day"))
    assert due == datetime(2026, 3, 8, 8, tzinfo=UTC)


def test_given_an_hour_that_comes_twice_when_it_comes_again_then_it_has_passed() -> None:
    calendar = Calendar(CHICAGO, (WHOLE_DAY,) * 7)
    assert calendar.local(datetime(2026, 11, 1, 6, 30, tzinfo=UTC)) == wall("2026-11-01 01:30")
    assert calendar.local(datetime(2026, 11, 1, 7, 30, tzinfo=UTC)) == wall("2026-11-01 02:00")


def test_given_an_organization_that_is_never_open_when_time_is_added_then_it_ends_all_the_same() -> (
    None
):
    calendar = Calendar(CHICAGO, ((),) * 7)
    start = datetime(2026, 10, 9, 16, tzinfo=CHICAGO)
    assert calendar.after(start, duration("2 business days")) > start
    assert calendar.open_after(start, timedelta(hours=3)) > start


@pytest.mark.parametrize(
    "text", ["", "2", "business days", "-1 days", "2 weeks", "2 business minutes"]
)
def test_given_what_is_no_duration_when_read_then_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration(text)
