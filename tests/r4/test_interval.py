"""Intervals of stated instants, and R4's prefixes between them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordhub.r4.interval import (
    BEGINNING,
    END,
    Prefix,
    date_condition,
    parse_instant,
    parse_period,
    parse_timing,
)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", at(2026, 1, 1), at(2027, 1, 1)),
        ("2026-02", at(2026, 2, 1), at(2026, 3, 1)),
        ("2026-12", at(2026, 12, 1), at(2027, 1, 1)),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        ("2026-03-01T10:30", at(2026, 3, 1, 10, 30), at(2026, 3, 1, 10, 31)),
        ("2026-03-01T10:30:15Z", at(2026, 3, 1, 10, 30, 15), at(2026, 3, 1, 10, 30, 16)),
        ("2026-03-01T01:30:00+02:00", at(2026, 2, 28, 23, 30), at(2026, 2, 28, 23, 30, 1)),
        ("2026-03-01T23:30:00-05:00", at(2026, 3, 2, 4, 30), at(2026, 3, 2, 4, 30, 1)),
        (
            "2026-03-01T10:30:15.6Z",
            at(2026, 3, 1, 10, 30, 15, 600000),
            at(2026, 3, 1, 10, 30, 15, 700000),
        ),
        (
            "2026-03-01T10:30:15.123456789Z",
            at(2026, 3, 1, 10, 30, 15, 123456),
            at(2026, 3, 1, 10, 30, 15, 123457),
        ),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1), at(2017, 1, 1, 0, 0, 1)),
        ("9999", at(9999, 1, 1), END),
        ("9999-12-31", at(9999, 12, 31), END),
        ("0001-01-01T00:00:00+14:00", BEGINNING, at(1, 1, 1, 0, 0, 1)),
    ],
)
def test_given_a_stated_instant_then_its_interval_is_as_wide_as_its_precision(
    text: str, low: datetime, high: datetime
) -> None:
    assert parse_instant(text) == (low, high)


@pytest.mark.parametrize(
    "text",
    ["", "26", "2026-13", "2026-02-30", "2026-1-1", "0000", "2026-03-01T24:00:00Z", "tomorrow",
     "2026-03-01T10", "2026-03-01T10:00:00+15:00", "2026-03-01 10:00", "２０２６"],
)  # fmt: skip
def test_given_what_is_no_date_then_there_is_no_interval(text: str) -> None:
    assert parse_instant(text) is None


def test_given_periods_then_open_ends_are_unbounded_and_the_end_is_included() -> None:
    assert parse_period({"start": "2026-01", "end": "2026-02"}) == (at(2026, 1, 1), at(2026, 3, 1))
    assert parse_period({"start": "2026"}) == (at(2026, 1, 1), END)
    assert parse_period({"end": "2026"}) == (BEGINNING, at(2027, 1, 1))
    assert parse_period({"extension": []}) is None


def test_given_a_timing_then_it_reaches_from_its_first_to_its_last_event() -> None:
    timing = {"event": ["2026-03-05", "2026-03-01"]}
    assert parse_timing(timing) == (at(2026, 3, 1), at(2026, 3, 6))
    assert parse_timing({"repeat": {"boundsPeriod": {"start": "2026"}}}) == (at(2026, 1, 1), END)
    assert parse_timing({"repeat": {"frequency": 1}}) is None


# The search value is March 2026; each row: a resource's interval and which prefixes it fits.
@pytest.mark.parametrize(
    ("resource", "fits"),
    [
        ({"start": "2026-03-10", "end": "2026-03-10"}, "eq ge le ap"),
        ({"start": "2026-03", "end": "2026-03"}, "eq ge le ap"),
        ({"start": "2026-02-10", "end": "2026-03-10"}, "ne lt le ap"),
        ({"start": "2026-03-10", "end": "2026-04-10"}, "ne gt ge ap"),
        ({"start": "2026", "end": "2026"}, "ne gt lt ge le ap"),
        ({"start": "2026-04-01", "end": "2026-04-02"}, "ne gt ge sa"),
        ({"start": "2026-02-01", "end": "2026-02-28"}, "ne lt le eb"),
        ({"start": "2026-02-10"}, "ne gt lt ge le ap"),
        ({"end": "2026-02-28"}, "ne lt le eb"),
    ],
)
def test_given_a_month_with_each_prefix_then_it_fits_what_r4_says(
    resource: dict[str, str], fits: str
) -> None:
    value = parse_instant("2026-03")
    interval = parse_period(resource)
    assert value is not None
    assert interval is not None
    prefixes: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
    found = [prefix for prefix in prefixes if date_condition(prefix, *value).matches(*interval)]
    assert found == fits.split()


def test_given_an_approximate_date_long_ago_then_a_tenth_of_the_distance_is_allowed() -> None:
    value = parse_instant("2016-01-01")
    near = parse_instant("2016-10-01")
    assert value is not None
    assert near is not None
    assert not date_condition("ap", *value).matches(*near)
    assert date_condition("ap", *value, now=at(2026, 1, 1)).matches(*near)
    assert not date_condition("ap", *value, now=at(2017, 1, 1)).matches(*near)
