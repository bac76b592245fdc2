"""What a RelatedPerson may see, by relationship, age and period."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from coordhub.access.proxy import (
    HIDDEN,
    HIDDEN_TYPES,
    OF_CHILDREN,
    ROLE_CODE,
    Sight,
    sights,
)
from coordhub.r4.sensitivity import SDV, VSP

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def related(*codes: str, **elements: Any) -> dict[str, Any]:
    coding = [{"system": ROLE_CODE, "code": code} for code in codes]
    return {"resourceType": "RelatedPerson", "relationship": [{"coding": coding}], **elements}


def born(text: str | None) -> dict[str, Any]:
    return {"resourceType": "Patient", **({"birthDate": text} if text else {})}


def of(person: dict[str, Any] | None, patient: dict[str, Any] | None) -> list[Sight]:
    return list(sights(person, patient, 12, NOW))


def permits(person: dict[str, Any], birth_date: str | None) -> list[tuple[int, datetime | None]]:
    return [(one.covers, one.until) for one in of(person, born(birth_date)) if one.permit]


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "birth_date", "expected"),
    [
        ("MTH", "2018-03-04", [(OF_CHILDREN, day(2030, 3, 4)), (0, day(2036, 3, 4))]),
        ("MTH", "2012-03-04", [(0, day(2030, 3, 4))]),
        ("MTH", "2014-06-02", [(OF_CHILDREN, day(2026, 6, 2)), (0, day(2032, 6, 2))]),
        ("MTH", "2014-06-01", [(0, day(2032, 6, 1))]),
        ("MTH", "2008-06-02", [(0, day(2026, 6, 2))]),
        ("MTH", "2008-06-01", []),
        ("MTH", "1990-01-01", []),
        ("MTH", None, []),
        ("MTH", "2012", [(0, day(2030, 1, 1))]),
        ("MTH", "2012-05", [(0, day(2030, 5, 1))]),
        ("MTH", "2012-02-29", [(0, day(2030, 2, 28))]),
        ("MTH", "9990-01-01", []),
        ("GUARD", "2012-03-04", [(0, day(2030, 3, 4))]),
        ("GUARD", "1990-01-01", [(0, None)]),
        ("GUARD", None, [(0, None)]),
        ("HPOWATT", "1940-01-01", [(0, None)]),
        ("SPS", "1990-01-01", []),
        ("GRMTH", "2018-01-01", []),
    ],
)
def test_given_a_relationship_and_an_age_when_asked_then_so_much_is_seen_so_long(
    code: str, birth_date: str | None, expected: list[tuple[int, datetime | None]]
) -> None:
    assert permits(related(code), birth_date) == expected


def test_given_any_proxy_when_asked_then_domestic_violence_is_hidden_without_end() -> None:
    assert HIDDEN == SDV | VSP
    for code in ("MTH", "GUARD", "SPS"):
        hidden = [one for one in of(related(code), born("2018-01-01")) if not one.permit]
        assert hidden == [
            Sight(False, NOW, hides=HIDDEN),
            Sight(False, NOW, types=HIDDEN_TYPES),
        ]
    assert "Consent" in HIDDEN_TYPES
    assert OF_CHILDREN & HIDDEN == 0


@pytest.mark.parametrize("person", [None, related("MTH", active=False)])
def test_given_one_who_acts_no_more_when_asked_then_everything_is_hidden(
    person: dict[str, Any] | None,
) -> None:
    assert of(person, born("2018-01-01")) == [Sight(False, NOW)]


def test_given_a_period_when_asked_then_it_is_seen_within_and_all_is_hidden_outside() -> None:
    person = related("MTH", period={"start": "2026-07-01", "end": "2026-07-31"})
    found = of(person, born("2012-01-01"))
    start, end = day(2026, 7, 1), day(2026, 8, 1)
    assert Sight(False, NOW, start) in found
    assert Sight(False, end) in found
    assert [one for one in found if one.permit] == [Sight(True, start, end)]


def test_given_a_period_that_is_over_when_asked_then_all_is_hidden_from_now() -> None:
    found = of(related("MTH", period={"end": "2020"}), born("2012-01-01"))
    assert Sight(False, NOW) in found
    assert not [one for one in found if one.permit]


def test_given_a_code_of_another_system_or_no_patient_when_asked_then_nothing_is_permitted() -> (
    None
):
    other = {"relationship": [{"coding": [{"system": "urn:x", "code": "MTH"}]}, {"text": "mother"}]}
    assert permits(other, "2018-01-01") == []
    assert not [one for one in of(related("MTH"), None) if one.permit]
