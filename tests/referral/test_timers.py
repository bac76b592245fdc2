"""The instants that a referral has to meet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.referral import deadlines, hours, timers
from coordhub.referral.calendar import Calendar, duration
from coordhub.referral.deadlines import Lengths
from coordhub.referral.task_machine import STATUSES, TERMINAL
from coordhub.referral.timers import accept_by

wall = datetime.fromisoformat


@pytest.mark.parametrize(
    ("end", "due"),
    [
        ("2026-12-01T16:00:00-06:00", datetime(2026, 12, 1, 22, tzinfo=UTC)),
        ("2026-12-01T16:00:00.5Z", datetime(2026, 12, 1, 16, 0, 0, 500000, tzinfo=UTC)),
        ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-11", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026", datetime(2027, 1, 1, tzinfo=UTC)),
        ("9999-12-31", None),
        ("2026-02-30", None),
        ("soon", None),
        (7, None),
    ],
)
def test_given_the_end_of_a_restriction_when_read_then_due_in_utc(
    end: object, due: datetime | None
) -> None:
    assert accept_by({"restriction": {"period": {"end": end}}}) == due


@pytest.mark.parametrize("task", [{}, {"restriction": {}}, {"restriction": {"period": {}}}])
def test_given_no_end_when_read_then_there_is_no_timer(task: dict[str, object]) -> None:
    assert accept_by(task) is None


# ---- what a state wants


OFFICE = hours.weekly([(("mon", "tue", "wed", "thu", "fri"), 9 * 60, 17 * 60)])
CHICAGO = ZoneInfo("America/Chicago")
CALENDAR = Calendar(CHICAGO, OFFICE, (hours.holiday("2026-10-12"),))
FRIDAY = datetime(2026, 10, 9, 16, tzinfo=CHICAGO)
LENGTHS = deadlines.read().lengths("specialist", "routine")
LABORATORY = deadlines.read().lengths("laboratory", "urgent")


def there(day: int, hour: int = 16) -> datetime:
    return datetime(2026, 10, day, hour, tzinfo=CHICAGO)


def dues(asked: timers.Asked, lengths: Lengths = LENGTHS) -> dict[str, datetime]:
    """By kind, when asked on that Friday."""
    made = timers.changed({}, timers.of_asked(asked, lengths), CALENDAR, FRIDAY)
    return {one.kind: one.due_at for one in made.timers}


def test_given_a_routine_request_when_asked_then_two_reminders_and_an_end_after_the_grace() -> None:
    assert dues(timers.Asked("requested")) == {
        "receipt": FRIDAY + timedelta(minutes=15),
        "accept-half": there(13),
        "accept-due": there(14),
        "accept-by": there(16),
    }


def test_given_an_end_that_the_sender_stated_when_asked_then_that_alone() -> None:
    assert dues(timers.Asked("received", until=there(10))) == {
        "receipt": FRIDAY + timedelta(minutes=15),
        "accept-by": there(10),
    }


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        (timers.Asked("accepted"), "first-contact appointment"),
        (timers.Asked("accepted", "appointment-scheduled"), "progress progress-overdue"),
        (
            timers.Asked("accepted", "appointment-scheduled", visit=FRIDAY),
            "progress progress-overdue consult-note",
        ),
        (timers.Asked("in-progress"), "progress progress-overdue appointment"),
        (timers.Asked("in-progress", "visit-complete"), "progress progress-overdue consult-note"),
        (timers.Asked("on-hold", "waitlisted"), "waitlist"),
        (timers.Asked("on-hold"), "progress progress-overdue appointment"),
        (timers.Asked("accepted", offered=True), ""),
        *((timers.Asked(status), "") for status in (*sorted(TERMINAL), "draft")),
    ],
)
def test_given_a_state_when_looked_at_then_it_wants_what_is_next(
    asked: timers.Asked, kinds: str
) -> None:
    assert timers.of_asked(asked, LENGTHS).keys() == set(kinds.split())


def test_given_every_state_when_looked_at_then_who_is_not_done_always_has_a_next_deadline() -> None:
    for status in sorted(set(STATUSES) - TERMINAL - {"draft"}):
        for business in ("", "waitlisted", "awaiting-information", "in-service"):
            assert timers.of_asked(timers.Asked(status, business), LENGTHS), (status, business)


def test_given_a_laboratory_when_it_has_accepted_then_a_result_is_expected() -> None:
    assert dues(timers.Asked("accepted"), LABORATORY)["result"] == there(10)


def test_given_an_estimate_when_on_the_waiting_list_then_it_is_asked_again_then() -> None:
    waiting = timers.Asked("on-hold", "waitlisted", estimate=there(30))
    assert dues(waiting)["waitlist"] == there(30)


def test_given_an_end_of_a_visit_when_agreed_on_then_a_note_is_due_seven_days_after_it() -> None:
    asked = timers.Asked("accepted", "appointment-scheduled", visit=there(20))
    assert dues(asked)["consult-note"] == there(27)


def test_given_a_visit_when_it_is_booked_again_then_the_note_is_due_after_the_new_one() -> None:
    asked = timers.Asked("accepted", "appointment-scheduled", visit=there(20))
    booked = timers.changed({}, timers.of_asked(asked, LENGTHS), CALENDAR, FRIDAY)
    later = moved(booked, replace(asked, visit=there(22)), there(15))
    assert later["consult-note"].due_at == there(29)


# ---- how timers change


def moved(known: timers.Changed, asked: timers.Asked, now: datetime) -> dict[str, timers.Timer]:
    before = {one.kind: one for one in known.timers}
    change = timers.changed(before, timers.of_asked(asked, LENGTHS), CALENDAR, now)
    after = before | {one.kind: one for one in change.timers}
    return {kind: one for kind, one in after.items() if kind not in change.gone}


FIRST = timers.changed({}, timers.of_asked(timers.Asked("requested"), LENGTHS), CALENDAR, FRIDAY)


def test_given_a_deadline_that_is_still_wanted_when_looked_at_again_then_it_stays() -> None:
    again = moved(FIRST, timers.Asked("received"), there(13))
    assert again == {one.kind: one for one in FIRST.timers}


def test_given_an_answer_when_it_comes_then_nothing_of_the_question_is_left() -> None:
    after = moved(FIRST, timers.Asked("accepted"), there(13))
    assert after.keys() == {"first-contact", "appointment"}
    assert after["first-contact"].due_at == there(20)


def test_given_questions_back_when_they_are_answered_a_day_later_then_all_is_due_a_day_later() -> (
    None
):
    tuesday = there(13, 10)
    waiting = moved(FIRST, timers.Asked("received", "awaiting-information"), tuesday)
    assert waiting["accept-by"].stood_at == tuesday
    still = moved(
        timers.Changed(tuple(waiting.values())),
        timers.Asked("received", "awaiting-information"),
        there(13, 12),
    )
    assert still == waiting
    going = moved(timers.Changed(tuple(still.values())), timers.Asked("received"), there(14, 10))
    assert going["accept-half"].due_at == there(14)
    assert going["accept-due"].due_at == there(15)
    assert going["accept-by"].due_at == there(19), "a weekend lies between"
    assert all(one.stood_at is None for one in going.values())


def test_given_an_end_that_the_sender_stated_when_questions_come_back_then_it_does_not_stand() -> (
    None
):
    asked = timers.Asked("received", "awaiting-information", until=there(20))
    assert timers.of_asked(asked, LENGTHS)["accept-by"].stands is False


def test_given_word_of_its_owner_when_at_work_then_the_next_is_due_from_then_on() -> None:
    begun = timers.changed(
        {}, timers.of_asked(timers.Asked("in-progress"), LENGTHS), CALENDAR, FRIDAY
    )
    silent = moved(begun, timers.Asked("in-progress"), there(20))
    assert silent["progress"].due_at == FRIDAY + timedelta(days=30)
    heard = moved(begun, timers.Asked("in-progress", heard=True), there(20))
    assert heard["progress"].since == there(20)
    assert heard["progress-overdue"].due_at == there(20) + timedelta(days=40)


def test_given_a_timer_that_has_fired_when_its_state_lasts_then_it_is_not_set_again() -> None:
    fired = timers.Changed(tuple(replace(one, fired_at=there(16)) for one in FIRST.timers))
    again = moved(fired, timers.Asked("received", "awaiting-information"), there(19))
    assert all(one.fired_at and not one.stood_at for one in again.values())


@given(
    st.datetimes(wall("2026-01-01"), wall("2026-12-31")),
    st.integers(0, 5 * 24 * 60),
    st.integers(0, 90 * 24 * 60),
)
def test_given_any_time_that_the_clock_stands_when_it_goes_on_then_as_much_is_left(
    start: datetime, until: int, standing: int
) -> None:
    begun = start.replace(tzinfo=UTC)
    want = timers.Want((duration("2 business days"), duration("2 business days")))
    [first] = timers.changed({}, {"accept-by": want}, CALENDAR, begun).timers
    stopped = begun + timedelta(minutes=until)
    if stopped >= first.due_at:
        return
    stood = replace(first, stood_at=stopped)
    goes_on = stopped + timedelta(minutes=standing)
    [again] = timers.changed({"accept-by": stood}, {"accept-by": want}, CALENDAR, goes_on).timers
    assert CALENDAR.open_between(goes_on, again.due_at) == CALENDAR.open_between(
        stopped, first.due_at
    )
    assert again.due_at >= first.due_at


# ---- a whole year


HOLIDAYS = {
    "America/Chicago": ("2026-01-01", "2026-05-25", "2026-07-03", "2026-09-07", "2026-11-26", "2026-12-25"),
    "America/Phoenix": ("2026-01-01", "2026-05-25", "2026-07-03", "2026-09-07", "2026-11-26", "2026-12-25"),
    "Europe/Berlin": ("2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-05-25", "2026-12-25"),
    "Europe/London": ("2026-01-01", "2026-04-03", "2026-04-06", "2026-05-04", "2026-08-31", "2026-12-25"),
    "Atlantic/Reykjavik": ("2026-01-01", "2026-04-03", "2026-06-17", "2026-12-25"),
}  # fmt: skip
"""Zones that turn their clocks, on different days, and two that do not."""


@pytest.mark.parametrize("zone", sorted(HOLIDAYS))
def test_given_times_all_over_a_year_when_asked_then_all_is_due_at_that_time_of_a_working_day(
    zone: str,
) -> None:
    there = ZoneInfo(zone)
    holidays = tuple(hours.holiday(day) for day in HOLIDAYS[zone])
    calendar = Calendar(there, OFFICE, holidays)
    moment, turned = wall("2026-01-01 00:00").replace(tzinfo=there).astimezone(UTC), 0
    previous: dict[str, datetime] = {}
    offset = moment.astimezone(there).utcoffset()
    while moment.year < 2027:
        asked = timers.of_asked(timers.Asked("requested"), LENGTHS)
        made = timers.changed({}, asked, calendar, moment).timers
        due = {one.kind: one.due_at for one in made}
        begins = calendar.local(calendar.opening(moment))
        for kind in ("accept-due", "accept-by"):
            ends = calendar.local(due[kind])
            assert ends.time() == begins.time(), (kind, moment)
            assert calendar.works_on(ends.date())
        assert due["accept-half"] < due["accept-due"] < due["accept-by"]
        assert all(previous[kind] <= due[kind] for kind in previous), "never earlier than before"
        previous = due
        moment += timedelta(hours=5)
        turned += moment.astimezone(there).utcoffset() != offset
        offset = moment.astimezone(there).utcoffset()
    assert turned == (0 if zone in ("America/Phoenix", "Atlantic/Reykjavik") else 2)
