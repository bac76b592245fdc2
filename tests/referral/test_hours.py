"""What the directory says of when a service is at work."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from coordhub.referral import hours
from coordhub.referral.calendar import WHOLE_DAY, Calendar

wall = datetime.fromisoformat
DEFAULT = Calendar(ZoneInfo("America/Chicago"), (WHOLE_DAY,) * 5 + ((), ()))
BERLIN = {"extension": [{"url": hours.TIME_ZONE, "valueCode": "Europe/Berlin"}]}


def test_given_opening_hours_when_read_then_each_day_has_its_own() -> None:
    service = {
        **BERLIN,
        "availableTime": [
            {
                "daysOfWeek": ["mon", "tue"],
                "availableStartTime": "09:00:00",
                "availableEndTime": "12:00:00",
            },
            {
                "daysOfWeek": ["mon"],
                "availableStartTime": "11:00:00",
                "availableEndTime": "17:30:00",
            },
            {"daysOfWeek": ["sun"], "allDay": True},
        ],
    }
    found = hours.calendar_of([service], DEFAULT)
    assert str(found.zone) == "Europe/Berlin"
    assert found.weekly == (((540, 1050),), ((540, 720),), (), (), (), (), WHOLE_DAY)


def test_given_a_shelter_open_over_night_when_read_then_it_is_open_into_the_next_day() -> None:
    night = {"availableStartTime": "18:00:00", "availableEndTime": "08:00:00"}
    found = hours.calendar_of([{"availableTime": [{"daysOfWeek": ["sun"], **night}]}], DEFAULT)
    assert found.weekly[6] == ((1080, 1440),)
    assert found.weekly[0] == ((0, 480),)


def test_given_a_place_with_hours_when_its_service_says_none_then_those_of_the_place() -> None:
    place = {"hoursOfOperation": [{"daysOfWeek": ["sat"], "allDay": True}], **BERLIN}
    found = hours.calendar_of([{}, place, {}], DEFAULT)
    assert found.weekly == ((), (), (), (), (), WHOLE_DAY, ())
    assert str(found.zone) == "Europe/Berlin"


def test_given_days_when_it_is_not_available_when_read_then_they_are_days_there() -> None:
    service: dict[str, Any] = {
        **BERLIN,
        "notAvailable": [
            {"during": {"start": "2026-12-24", "end": "2026-12-26"}},
            {"during": {"start": "2026-10-12T10:00:00Z", "end": "2026-10-12T11:00:00Z"}},
            {"during": {"start": "2026-10-12"}},
            {"description": "now and then"},
        ],
    }
    found = hours.calendar_of([service], DEFAULT)
    assert found.closed == (
        (wall("2026-10-12 12:00"), wall("2026-10-12 13:00:01")),
        (wall("2026-12-24 00:00"), wall("2026-12-27 00:00")),
    )
    assert not found.works_on(wall("2026-12-25 00:00").date())


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"availableTime": [{"daysOfWeek": ["mon"]}]},
        {"availableTime": [{"daysOfWeek": ["someday"], "allDay": True}]},
        {"availableTime": "always"},
        {"extension": [{"url": hours.TIME_ZONE, "valueCode": "Mars/Olympus"}]},
        {"extension": [{"url": hours.TIME_ZONE, "valueCode": "../../etc/passwd"}]},
        {"notAvailable": [{"during": {"start": "2026-12-31", "end": "2026-12-01"}}]},
        {
            "notAvailable": [
                {"during": {"start": "0001-01-01T00:00:00Z", "end": "0001-01-01T05:00:00Z"}}
            ]
        },
        {"notAvailable": [{"during": {"start": "soon", "end": 7}}]},
    ],
)
def test_given_what_says_nothing_when_read_then_the_default(entry: dict[str, Any]) -> None:
    assert hours.calendar_of([entry], DEFAULT) == DEFAULT
