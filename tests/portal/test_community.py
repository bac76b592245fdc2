"""The community drawn: services on a map and by place, gaps by quarter, figures over the months."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from coordhub.directory.finding import Listed
from coordhub.insight import measures, reports
from coordhub.portal import atlas, gaps, language, plots
from coordhub.referral.matching import Offered
from coordhub.referral.places import Place, Point
from coordhub.store.measures import Area, Sent
from coordhub.store.offers import Service

ENGLISH = language.words("en")
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
SQUARE = ((-72.54, 42.46), (-72.46, 42.46), (-72.46, 42.54), (-72.54, 42.54))


def entry(name, *points, town="", code="", afar=False, area=None):
    service = Service(
        json.dumps({"name": name}), f"HealthcareService/{name}", BEGUN, 1, True, False, (), (), None, None
    )  # fmt: skip
    address = {"address": {"city": town, "postalCode": code}}
    areas = None if area is None else (Place(polygons=((area,),)),)
    offered = Offered("", 1, at=tuple(Point(*one) for one in points), virtual=afar, areas=areas)
    return Listed(service, offered, (json.dumps(address),) if town else ())


def test_given_services_when_drawn_then_near_ones_are_one_circle_and_areas_are_on_the_sheet():
    made = atlas.drawing(
        [
            entry("b", (42.5, -72.5), town="Milltown", area=SQUARE),
            entry("a", (42.5, -72.5), town="Milltown", area=SQUARE),
            entry("c", (42.45, -72.45), town="Orange"),
            entry("line", (42.5, -72.5), afar=True),
        ]
    )
    assert made is not None
    assert sorted((one.count, one.title) for one in made.spots) == [(1, "c"), (2, "a, b")]
    assert len(made.outlines) == 1
    assert {one.text for one in made.labels} == {"Milltown", "Orange"}
    places = [one.split(",") for one in made.outlines[0].split()]
    places += [(one.x, one.y) for one in made.spots]
    for x, y in places:
        assert 0 <= float(x) <= float(made.width)
        assert 0 <= float(y) <= float(made.height)
    length, km = made.bar
    assert 0 < float(length) <= atlas.WIDE / 4
    assert km == 2
    # to the north is up, to the east is right
    two, one = (next(each for each in made.spots if each.count == n) for n in (2, 1))
    assert float(two.y) < float(one.y)
    assert float(two.x) < float(one.x)
    assert atlas.drawing([entry("nowhere")]) is None
    assert atlas.drawing([entry("alone", (42.5, -72.5))]) is not None


def test_given_services_when_listed_by_place_then_each_is_there_and_those_from_afar_last():
    listed = atlas.towns(
        [
            entry("x", town="Orange", code="01364-1234"), entry("y", town="Milltown", code="01301"),
            entry("a", town="Milltown", code="01301"), entry("q"), entry("line", afar=True, town="Orange"),
        ]
    )  # fmt: skip
    assert [(one.name, one.postal_code, one.afar, [each for each, _ in one.services]) for one in listed] == [
        ("Milltown", "01301", False, ["a", "y"]), ("Orange", "01364", False, ["x"]), ("", "", False, ["q"]),
        ("", "", True, ["line"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "asked", "chosen", "after"),
    [
        ("2026-11-26", "", "2026-Q3", None),
        ("2026-11-26", "2026-Q4", "2026-Q3", None),
        ("2026-11-26", "2025-Q4", "2025-Q4", "2026-Q1"),
        ("2026-01-02", "nonsense", "2025-Q4", None),
    ],
)
def test_given_a_quarter_when_chosen_then_it_is_one_that_is_over(now, asked, chosen, after):
    hub = SimpleNamespace(
        clock=lambda: datetime.fromisoformat(now).replace(tzinfo=UTC), zone=ZoneInfo("UTC")
    )
    found = gaps.quarter(hub, asked, ENGLISH)
    assert (found.text, found.after) == (chosen, after)
    assert found.start < found.end <= hub.clock()


def test_given_areas_when_shown_then_what_is_not_told_has_no_number_and_no_share():
    told = measures.told_areas(
        [
            Area("food-insecurity", "013", 40, 20, 20, 3, 50, 25),
            Area("", "010", 60, 0, 60, 0, 9, 4),
        ]
    )
    first, second = gaps.lines(told, "", ENGLISH)
    assert (first.kind, first.needs, first.asked, first.full) == ("Another need", "60", "", None)
    assert (second.kind, second.unmet, second.nobody, second.full) == (
        "Food insecurity", "20", "", 50,
    )  # fmt: skip
    assert gaps.lines(told, "food-insecurity", ENGLISH) == [second]


def test_given_months_when_drawn_then_one_that_is_not_told_is_a_gap_and_the_numbers_are_those_of_its_page():
    edges = [
        datetime(2025 + number // 12, number % 12 + 1, 1, tzinfo=UTC) for number in range(10, 23)
    ]
    found = []
    for number, (start, end) in enumerate(pairwise(edges)):
        sent = [
            Sent(
                each, start, start + timedelta(hours=10) if each % 2 else None, True,
                start + timedelta(hours=each), True, 1, 0, 1, 0, 1,
            )
            for each in range(4 if number == 5 else 24)
        ]  # fmt: skip
        found.append(
            reports.Report(start, end, tuple(measures.of_sent(sent)), is_mature=number < 9)
        )
    drawn = {one.title: one for one in plots.plots(found, ENGLISH)}
    assert "All needs met" in drawn  # nothing is known of it, but that it is none
    closed, accepted = drawn["Closed loop"], drawn["Time to the first acceptance"]
    assert [len(run.split()) for run in closed.runs] == [5, 6]
    assert len(closed.dots) == 11
    assert [one.few for one in closed.cells] == [number == 5 for number in range(12)]
    assert (closed.cells[0].value, closed.cells[5].value, closed.top) == ("50.0 %", "–", "100 %")
    assert (accepted.cells[0].value, accepted.cells[0].p90) == ("11.5 h", "21.0 h")
    assert accepted.newest == "11.5 h"
    assert [len(run.split()) for run in accepted.nineties] == [5, 6]
    assert (accepted.first, accepted.last) == ("Nov 2025", "Oct 2026")
    assert all(one.formula for one in drawn.values())
    assert "Taken on" not in drawn
