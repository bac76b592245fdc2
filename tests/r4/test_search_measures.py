"""Numbers, quantities and places of a query, against R4's own examples."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.r4.parameters import parameters
from coordhub.r4.search_measures import (
    condition_of,
    precision_of,
    read_near,
    read_number,
    read_quantity,
)
from coordhub.r4.search_text import Invalid

PROBABILITY = parameters("RiskAssessment")["probability"]
QUANTITY = parameters("Observation")["value-quantity"]
NEAR = parameters("Location")["near"]


def matches(asked: str, stored: str) -> bool:
    value = Decimal(stored)
    return read_number(PROBABILITY, asked).condition.matches(value, value)


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1e2", "95", "105"),
        ("5.4", "5.35", "5.45"),
        ("5.40e-3", "0.005395", "0.005405"),
        ("-7", "-7.5", "-6.5"),
    ],
)
def test_given_a_number_then_it_stands_for_all_that_round_to_it_as_r4_says(
    asked: str, low: str, high: str
) -> None:
    assert precision_of(Decimal(asked)) == (Decimal(low), Decimal(high))
    assert matches(asked, low)
    assert not matches(asked, high)


@pytest.mark.parametrize(
    ("asked", "found", "not_found"),
    [
        ("gt100", "100.1", "100"),
        ("ge100", "100", "99.9"),
        ("lt100", "99.9", "100"),
        ("le100", "100", "100.1"),
        ("sa100", "100.1", "100"),
        ("eb100", "99.9", "100"),
        ("ne100", "99.4", "99.6"),
        ("ap100", "110", "110.1"),
        ("100", "100.4", "100.5"),
    ],
)
def test_given_a_prefix_then_it_compares_as_r4_says(asked: str, found: str, not_found: str) -> None:
    assert matches(asked, found)
    assert not matches(asked, not_found)


def test_given_a_range_then_prefixes_look_at_the_end_that_they_speak_of() -> None:
    low, high = Decimal(5), Decimal(9)
    found = {
        prefix: read_number(PROBABILITY, f"{prefix}7").condition.matches(low, high)
        for prefix in ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb")
    }
    assert found == {
        "eq": False, "ne": True, "gt": True, "ge": True, "lt": True, "le": True, "sa": False,
        "eb": False,
    }  # fmt: skip


_NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)


@given(_NUMBERS, _NUMBERS)
def test_given_two_numbers_then_ne_is_not_eq_and_the_order_is_that_of_numbers(
    asked: Decimal, stored: Decimal
) -> None:
    low, high = precision_of(asked)
    assert low < asked < high

    def answer(prefix: str) -> bool:
        return condition_of(prefix, asked, low, high).matches(stored, stored)  # type: ignore[arg-type]

    assert answer("ne") is not answer("eq")
    assert answer("gt") is (stored > asked) is answer("sa")
    assert answer("le") is (stored <= asked) is not answer("gt")
    assert answer("eq") <= answer("ap")


def test_given_a_unit_then_its_canonical_form_is_asked_for() -> None:
    value = read_quantity(QUANTITY, "gt5.4|http://unitsofmeasure.org|mg")
    assert value.unit is not None
    assert value.unit.dimension == "g1"
    assert value.canonical is not None
    assert value.canonical.bounds[0].at == Decimal("0.0054")
    assert read_quantity(QUANTITY, "5.4|http://unitsofmeasure.org|nonsense").unit is None
    assert read_quantity(QUANTITY, "5.4|http://other.example|mg").unit is None
    assert read_quantity(QUANTITY, "5.4||mg").unit is None


def test_given_an_approximate_temperature_then_a_tenth_is_of_degrees_and_not_of_kelvin() -> None:
    value = read_quantity(QUANTITY, "ap37|http://unitsofmeasure.org|Cel")
    assert value.canonical is not None
    assert value.canonical.matches(Decimal("313.15"), Decimal("313.15"))
    assert not value.canonical.matches(Decimal("315"), Decimal("315"))


def test_given_a_place_then_distance_has_its_unit_and_its_default() -> None:
    assert read_near(NEAR, "1|2").distance == 50_000
    assert read_near(NEAR, "1|2|3").distance == 3_000
    assert read_near(NEAR, "1|2|3|[mi_i]").distance == pytest.approx(4828.032)
    assert read_near(NEAR, "1|2|3|[mi_us]").distance == pytest.approx(3 * 6336000 / 3937)
    assert read_near(NEAR, "1|2|3|[nmi_i]").distance == 5556
    for unit, said in (("kg", "is no length"), ("[league]", "not known here"), ("miles", "[mi_i]")):
        with pytest.raises(Invalid, match=re.escape(said)):
            read_near(NEAR, f"1|2|3|{unit}")
    paris = read_near(NEAR, "48.8566|2.3522|343.6|km")
    assert paris.matches(51.5074, -0.1278)
    assert not read_near(NEAR, "48.8566|2.3522|343.4|km").matches(51.5074, -0.1278)
