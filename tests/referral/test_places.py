"""Within an area or not: by boundary, postal code, region; and how far."""

from __future__ import annotations

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.referral.places import (
    BOUNDARY,
    GEOLOCATION,
    Place,
    Point,
    distance_km,
    location_of,
    place_of,
    within,
)

SQUARE = [[-96.0, 36.0], [-95.0, 36.0], [-95.0, 37.0], [-96.0, 37.0], [-96.0, 36.0]]
HOLE = [[-95.6, 36.4], [-95.4, 36.4], [-95.4, 36.6], [-95.6, 36.6], [-95.6, 36.4]]


def bounded(geometry: object, **elements: object) -> Place:
    data = base64.b64encode(json.dumps(geometry).encode()).decode()
    extension = {"url": BOUNDARY, "valueAttachment": {"data": data}}
    return location_of({"resourceType": "Location", "extension": [extension], **elements})


def at(latitude: float, longitude: float, **parts: str) -> Place:
    return Place(point=Point(latitude, longitude), **parts)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
        {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE]]},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]}},
        {"type": "FeatureCollection",
         "features": [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]}}]},
    ],
)  # fmt: skip
def test_given_a_boundary_when_the_position_is_known_then_it_decides(geometry) -> None:
    area = bounded(geometry, address={"state": "TX"})
    assert within(at(36.2, -95.8, state="ok"), area) is True
    assert within(at(36.5, -95.5), area) is False  # in the hole
    assert within(at(35.9, -95.5, state="tx"), area) is False


def test_given_a_boundary_when_no_position_is_known_then_only_another_state_rules_it_out() -> None:
    area = bounded({"type": "Polygon", "coordinates": [SQUARE]}, address={"state": "OK"})
    assert within(Place(state="ok"), area) is None
    assert within(Place(), area) is None
    assert within(Place(state="tx"), area) is False


@pytest.mark.parametrize(
    "geometry", [None, 1, {"type": "Polygon"}, {"type": "Polygon", "coordinates": [[["x", 1]] * 4]}]
)
def test_given_a_boundary_that_cannot_be_read_when_asked_then_it_says_nothing(geometry) -> None:
    assert bounded(geometry) == Place()
    assert (
        location_of({"extension": [{"url": BOUNDARY, "valueAttachment": {"data": "%"}}]}) == Place()
    )


@pytest.mark.parametrize(
    ("person", "area", "said"),
    [
        (Place(postal_code="74101"), Place(postal_code="74101"), True),
        (Place(postal_code="74101-1234"), Place(postal_code="74101"), True),
        (Place(postal_code="74102"), Place(postal_code="74101"), False),
        (Place(state="ok"), Place(postal_code="74101", state="ok"), None),
        (Place(state="tx"), Place(postal_code="74101", state="ok"), False),
        (Place(postal_code="74101", city="tulsa"), Place(postal_code="74101", city="metro"), True),
        (Place(district="tulsa county", state="ok"), Place(district="tulsa county", state="ok"), True),
        (Place(district="creek county", state="ok"), Place(district="tulsa county", state="ok"), False),
        (Place(state="ok", country="us"), Place(state="ok", country="usa"), True),
        (Place(country="us"), Place(state="ok", country="us"), None),
        (Place(), Place(state="ok"), None),
        (Place(state="ok"), Place(), None),
    ],
)  # fmt: skip
def test_given_an_address_when_asked_then_the_narrowest_part_decides(person, area, said) -> None:
    assert within(person, area) is said


def test_given_a_service_from_afar_when_asked_then_only_the_state_counts() -> None:
    area = Place(postal_code="74101", state="ok")
    assert within(Place(postal_code="73000", state="ok"), area, widely=True) is True
    assert within(Place(postal_code="74101", state="tx"), area, widely=True) is False


def test_given_an_address_when_read_then_folded_with_its_geolocation() -> None:
    parts = [{"url": "latitude", "valueDecimal": 36.15}, {"url": "longitude", "valueDecimal": -95}]
    address = {
        "postalCode": " 74101", "district": "Tulsa  County", "state": "OK",
        "extension": [{"url": GEOLOCATION, "extension": parts}],
    }  # fmt: skip
    assert place_of(address) == Place(
        "74101", district="tulsa county", state="ok", point=Point(36.15, -95.0)
    )
    parts[0]["valueDecimal"] = 95
    assert place_of(address).point is None


_points = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))


@given(_points, _points)
def test_a_distance_is_the_same_both_ways_and_never_more_than_half_way_round(one, other) -> None:
    assert distance_km(one, one) == pytest.approx(0, abs=1e-6)
    assert distance_km(one, other) == pytest.approx(distance_km(other, one))
    assert distance_km(one, other) <= math.pi * 6371.1


def test_given_two_towns_when_measured_then_as_on_the_map() -> None:
    assert distance_km(Point(36.154, -95.993), Point(35.468, -97.516)) == pytest.approx(157, abs=2)
