"""Nobody is reminded at night, nor twice on a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.referral import quiet, timers
from coordhub.referral.calendar import WHOLE_DAY, Calendar

NIGHT = (20 * 60, 8 * 60)
ZONES = ("America/Chicago", "Europe/Berlin", "America/Phoenix")


def at(text: str, zone: str = "America/Chicago") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


CHICAGO = Calendar(ZoneInfo("America/Chicago"), (WHOLE_DAY,) * 7)


@pytest.mark.parametrize(
    ("now", "last", "told"),
    [
        ("2026-10-13 16:00", None, "2026-10-13 16:00"),
        ("2026-10-13 22:30", None, "2026-10-14 08:00"),
        ("2026-10-13 03:00", None, "2026-10-13 08:00"),
        ("2026-10-13 20:00", None, "2026-10-14 08:00"),
        ("2026-10-13 08:00", None, "2026-10-13 08:00"),
        ("2026-10-13 16:00", "2026-10-13 09:00", "2026-10-14 08:00"),
        ("2026-10-13 16:00", "2026-10-12 19:59", "2026-10-13 16:00"),
        ("2026-10-31 21:00", "2026-10-31 08:00", "2026-11-01 08:00"),
    ],
)
def test_given_a_time_of_day_when_reminded_then_by_day_and_once(
    now: str, last: str | None, told: str
) -> None:
    assert quiet.moment(CHICAGO, NIGHT, at(now), at(last) if last else None) == at(told)


@pytest.mark.parametrize("hours", [(0, 0), (12 * 60, 13 * 60)])
def test_given_other_quiet_hours_when_reminded_then_by_them(hours: tuple[int, int]) -> None:
    noon = quiet.moment(CHICAGO, hours, at("2026-10-13 12:15"), None)
    assert noon == at("2026-10-13 12:15" if hours == (0, 0) else "2026-10-13 13:00")


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-12-31")),
    st.lists(st.integers(0, 3000), min_size=2, max_size=40),
)
def test_given_any_year_when_reminders_come_then_one_a_day_and_none_at_night(
    zone: str, start: datetime, gaps: list[int]
) -> None:
    calendar = Calendar(ZoneInfo(zone), (WHOLE_DAY,) * 7)
    now = start.replace(tzinfo=calendar.zone)
    last: datetime | None = None
    told = []
    for gap in gaps:
        now += timedelta(minutes=gap)
        if last is not None and last > now:
            continue  # it is told together with what waits
        last = quiet.moment(calendar, NIGHT, now, last)
        assert last >= now
        told.append(last)
    walls = [calendar.local(one) for one in told]
    assert len({one.date() for one in walls}) == len(walls)
    assert all(8 <= one.hour < 20 for one in walls)


def test_given_several_of_a_kind_when_told_then_in_one_sentence() -> None:
    texts = quiet.said([timers.FIRST_CONTACT, timers.ACCEPT_HALF, timers.ACCEPT_HALF])
    assert texts == [f"2 x: {quiet.SAYS['accept-half']}", quiet.SAYS["first-contact"]]
