"""Which entries of two feeds are one service: certain, to be looked at, or not alike."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.directory.twins import Told, find, told

FOOD = {"coding": [{"system": "urn:test", "code": "food"}]}
BEDS = {"coding": [{"system": "urn:test", "code": "beds"}]}


def entry(rid: int, feed: str = "a", **said: Any) -> Told:
    given = {
        "name": "The Ward Street Pantry", "organization": "Ward House, Inc.", "phone": "(413) 555-0100",
        "line": "1 Ward Street", "kind": FOOD, "latitude": 42.1, **said,
    }  # fmt: skip
    service = {
        "name": given["name"], "type": [given["kind"]],
        "telecom": [{"system": "phone", "value": given["phone"]}],
    }  # fmt: skip
    place = {
        "address": {"line": [given["line"]], "postalCode": "01301-1111"},
        "position": {"latitude": given["latitude"], "longitude": -72.5},
    }
    return told(rid, feed, service, {"name": given["organization"]}, [place])


ELSEWHERE = {"phone": "555-999-0000", "line": "9 Elm Road", "latitude": 43.0}


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        ({}, "certain"),
        (
            {"name": "WARD ST PANTRY", "organization": "Ward House", "phone": "413.555.0100"},
            "certain",
        ),
        ({"line": "1 Ward St.", "phone": ""}, "certain"),
        ({**ELSEWHERE, "phone": "+1 413 555 0100"}, "certain"),
        ({"name": "Ward Street Pantri"}, "possible"),
        ({"organization": "Milltown Council"}, "possible"),
        ({"kind": BEDS}, "possible"),
        ({"phone": "", "line": "", "latitude": 42.1001}, "possible"),
        (ELSEWHERE, None),
        ({"name": "Night Shelter"}, None),
        ({"name": ""}, None),
        ({"name": "The Ward Street Pantry 2"}, None),
    ],
)
def test_given_two_entries_when_compared_then_certain_possible_or_not_alike(
    other: dict[str, Any], outcome: str | None
) -> None:
    found = find([entry(1), entry(2, "b", **other)])
    assert [("certain" if one.certain else "possible") for one in found] == (
        [outcome] if outcome else []
    )


def test_given_entries_of_one_feed_or_two_that_fit_when_compared_then_none_is_certain() -> None:
    assert find([entry(1), entry(2)]) == []
    found = find([entry(1), entry(2, "b"), entry(3, "b")])
    assert [(one.kept, one.other, one.certain) for one in found] == [(1, 2, False), (1, 3, False)]


def test_given_a_certain_twin_when_compared_then_nothing_else_is_proposed_for_it() -> None:
    found = find([entry(1), entry(2, "b"), entry(3, "b", name="Ward Street Pantri")])
    assert [(one.kept, one.other, one.certain) for one in found] == [(1, 2, True)]
