"""Figures on a page: which month, what is said of each, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from coordhub.insight import measures, reports
from coordhub.portal import figures, language
from coordhub.store.measures import Received

ENGLISH = language.words("en")
BEGUN = datetime(2026, 10, 3, tzinfo=UTC)


def at(now: datetime, zone: str = "America/Chicago") -> SimpleNamespace:
    return SimpleNamespace(clock=lambda: now, zone=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("now", "asked", "text", "beside"),
    [
        # in Chicago it is still November
        (datetime(2026, 12, 1, 3, tzinfo=UTC), "", "2026-10", ("2026-09", "2026-11")),
        (datetime(2026, 12, 1, 8, tzinfo=UTC), "", "2026-11", ("2026-10", "2026-12")),
        (datetime(2027, 1, 15, tzinfo=UTC), "", "2026-12", ("2026-11", "2027-01")),
        (datetime(2027, 1, 15, tzinfo=UTC), "2026-11", "2026-11", ("2026-10", "2026-12")),
        (datetime(2027, 1, 15, tzinfo=UTC), "2026-13", "2026-12", ("2026-11", "2027-01")),
        (datetime(2027, 1, 15, tzinfo=UTC), "2027-01", "2027-01", ("2026-12", None)),
    ],
)
def test_given_what_is_asked_when_a_month_is_chosen_then_it_and_those_beside_it(
    now, asked, text, beside
):
    chosen = figures.month(at(now), asked, ENGLISH)
    assert (chosen.text, (chosen.before, chosen.after)) == (text, beside)
    assert chosen.start.utcoffset() is not None
    assert chosen.start < chosen.end <= chosen.start + timedelta(days=32)


def test_given_figures_when_shown_then_a_few_are_said_to_be_few_and_what_is_not_there_is_a_dash():
    asked = [
        Received(number, "completed", None, BEGUN, None, BEGUN + timedelta(hours=2), BEGUN)
        for number in range(20)
    ]
    asked += [Received(number, "rejected", None, BEGUN, None, None, BEGUN) for number in range(3)]
    made = reports.Report(
        BEGUN, BEGUN, (*measures.of_sent([]), *measures.of_received(asked)), is_mature=True
    )
    groups = dict(figures.lines(made, ENGLISH))
    assert list(groups) == ["What you referred", "What you were asked"]
    received = {one.title: one for one in groups["What you were asked"]}
    assert received["Referrals received"].value == "23"
    assert (received["Completed"].value, received["Completed"].few) == ("fewer than 10", True)
    assert received["Time to take on"].value == "2.0 h"
    assert received["Time to take on"].beside == "nine of ten within 2.0 h"
    assert received["Not answered in time"].value == "0.0 %"
    assert [one.value for one in groups["What you referred"]][:2] == ["0", "–"]
    assert all(one.formula for lines in groups.values() for one in lines)
