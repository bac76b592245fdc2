"""When a service is open, by its schedules: as the candidate finder then takes it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from coordhub.directory.hsds import reading
from coordhub.directory.hsds.entries import entries
from coordhub.referral.calendar import Calendar
from coordhub.referral.offered import offered

NEW_YORK = "America/New_York"
NINE = {"opens_at": "09:00", "closes_at": "17:00"}


def calendar(
    *schedules: dict[str, Any], zone: str | None = NEW_YORK, **more: Any
) -> tuple[Calendar | None, list[str]]:
    """Of a service with these schedules, and what was wrong with them."""
    rows = {
        "organizations": [{"id": "o", "name": "Ward House"}],
        "services": [{"id": "s", "organization_id": "o", "name": "Pantry", "status": "active"}],
        "schedules": [{"id": str(n), "service_id": "s", **one} for n, one in enumerate(schedules)],
        **more,
    }
    tables = reading.read({"tables.json": json.dumps(rows).encode()})
    [_, service] = entries(tables, "ward", zone=zone).entries
    faults = [one.field for one in tables.faults if one.field != "attributes"]
    read = offered(service.document, "x", 1, updated=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    return read.hours, faults


def is_open(found: Calendar | None, moment: str, zone: str = NEW_YORK) -> bool:
    assert found is not None
    return found.is_open(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("schedule", "opened", "closed"),
    [
        ({"freq": "WEEKLY", "byday": "MO,TH"}, ["2026-11-23T09:00", "2026-11-26T16:59"], ["2026-11-24T10:00"]),
        ({"freq": "MONTHLY", "byday": "2MO"}, ["2026-11-09T10:00", "2026-12-14T10:00"],
         ["2026-11-02T10:00", "2026-11-16T10:00", "2026-11-09T18:00", "2026-11-10T10:00"]),
        ({"freq": "MONTHLY", "byday": "-1FR"}, ["2026-11-27T10:00"], ["2026-11-20T10:00"]),
        ({"freq": "MONTHLY", "bymonthday": "1,15"}, ["2026-12-15T10:00"], ["2026-12-14T10:00"]),
        ({"freq": "WEEKLY", "byday": "MO", "interval": 2, "dtstart": "2026-11-02"},
         ["2026-11-16T10:00", "2027-01-11T10:00"], ["2026-11-09T10:00"]),
        ({"freq": "WEEKLY", "byday": "MO", "count": 2, "dtstart": "2026-11-02"}, ["2026-11-09T10:00"],
         ["2026-11-16T10:00"]),
        ({"freq": "WEEKLY", "byday": "MO", "until": "2026-11-09"}, ["2026-11-09T10:00"], ["2026-11-16T10:00"]),
        ({"freq": "WEEKLY", "byday": "MO", "valid_from": "2026-11-05", "valid_to": "2026-11-10"},
         ["2026-11-09T10:00"], ["2026-11-02T10:00", "2026-11-16T10:00"]),
        ({}, ["2026-11-22T10:00", "2026-11-23T10:00"], ["2026-11-22T08:00"]),
        ({"freq": "MONTHLY", "byday": "2MO", "opens_at": "22:00", "closes_at": "02:00"},
         ["2026-11-09T23:00", "2026-11-10T01:59"], ["2026-11-09T01:00", "2026-11-10T02:00"]),
    ],
)  # fmt: skip
def test_given_a_schedule_when_a_moment_is_asked_for_then_it_is_open_on_the_days_of_its_rule(
    schedule: dict[str, Any], opened: list[str], closed: list[str]
) -> None:
    found, faults = calendar({**NINE, **schedule})
    assert faults == []
    assert [is_open(found, one) for one in opened] == [True] * len(opened)
    assert [is_open(found, one) for one in closed] == [False] * len(closed)


def test_given_several_schedules_when_asked_then_it_is_open_by_any_and_closed_on_holidays() -> None:
    found, faults = calendar(
        {**NINE, "byday": "TU"},
        {**NINE, "freq": "MONTHLY", "byday": "2MO"},
        holiday_schedules=[
            {
                "id": "h",
                "service_id": "s",
                "closed": "true",
                "start_date": "2026-12-14",
                "end_date": "2026-12-15",
            }
        ],
    )
    assert faults == []
    assert is_open(found, "2026-11-10T10:00")
    assert is_open(found, "2026-11-09T10:00")
    assert not is_open(found, "2026-12-14T10:00")
    assert not is_open(found, "2026-12-15T10:00")
    assert found is not None
    at_night = datetime(2026, 12, 9, 20, tzinfo=ZoneInfo(NEW_YORK))
    assert found.opening(at_night) == datetime(2026, 12, 22, 9, tzinfo=ZoneInfo(NEW_YORK))


@pytest.mark.parametrize(
    ("stated", "feed", "zone"),
    [
        ({}, NEW_YORK, NEW_YORK),
        ({"timezone": -5}, NEW_YORK, NEW_YORK),  # in winter
        ({"timezone": -4}, NEW_YORK, NEW_YORK),
        ({"timezone": 3}, NEW_YORK, "Etc/GMT-3"),
        ({"opens_at": "09:00-05:00", "closes_at": "17:00-05:00"}, NEW_YORK, NEW_YORK),
        ({"opens_at": "09:00Z", "closes_at": "17:00Z"}, NEW_YORK, "Etc/UTC"),
        ({"timezone": -5}, None, "Etc/GMT+5"),
    ],
)
def test_given_an_offset_when_read_then_it_means_the_feeds_zone_where_that_has_it(
    stated: dict[str, Any], feed: str | None, zone: str
) -> None:
    found, faults = calendar({**NINE, "byday": "MO", **stated}, zone=feed)
    assert faults == []
    assert found is not None
    assert found.zone.key == zone
    wall = datetime(2026, 11, 23, 9, tzinfo=found.zone)
    assert found.is_open(wall)
    assert not found.is_open(wall - timedelta(minutes=1))


def test_given_hours_in_no_zone_that_is_known_when_asked_then_it_is_not_known() -> None:
    assert calendar({**NINE, "byday": "MO"}, zone=None) == (None, [])


def test_given_an_offset_of_half_an_hour_or_two_zones_when_read_then_it_is_said() -> None:
    _, faults = calendar({**NINE, "byday": "MO", "timezone": 5.5})
    assert faults == ["timezone"]
    found, faults = calendar({**NINE, "byday": "MO"}, {**NINE, "byday": "TU", "timezone": 3})
    assert faults == ["timezone"]
    assert is_open(found, "2026-11-23T10:00")
