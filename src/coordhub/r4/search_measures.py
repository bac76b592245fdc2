"""Numbers, quantities and places as a query writes them, and what they ask of a stored value.

A stored value is [low, high], both the same for what is no range. With `eq`, `ne` and `ap` a number
stands for all that round to it; with any other prefix it is exact.

http://hl7.org/fhir/R4/search.html#number, #quantity, http://hl7.org/fhir/R4/location.html#search
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import asin, cos, radians, sin, sqrt
from typing import Literal, cast

from coordhub.r4.conversion_measures import measurable
from coordhub.r4.index_values import index_key
from coordhub.r4.interval import PREFIXES, Prefix
from coordhub.r4.parameters import SearchParameter
from coordhub.r4.search_text import Invalid, split_escaped, unescape
from coordhub.r4.units import UCUM, Unit, unit_of

EARTH_RADIUS = 6_371_008.8
"""Metres, the mean radius (IUGG)."""

USUAL_DISTANCE = 50_000.0
"""Metres, where `near` says none."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison of an end of the stored range with a number."""

    end: Literal["low", "high"]
    operator: Literal["<", "<=", ">", ">="]
    at: Decimal


@dataclass(frozen=True, slots=True)
class MeasureCondition:
    """What is asked of [low, high]: all bounds, or any of them."""

    joined: Literal["and", "or"]
    bounds: tuple[Bound, ...]

    def matches(self, low: Decimal, high: Decimal) -> bool:
        """The same in Python as the store says in SQL."""
        answers = (
            _OPERATORS[each.operator](low if each.end == "low" else high, each.at)
            for each in self.bounds
        )
        return all(answers) if self.joined == "and" else any(answers)


@dataclass(frozen=True, slots=True)
class NumberValue:
    prefix: Prefix
    condition: MeasureCondition


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """A number with a unit.

    system, code: None where not stated. A code without a system may be the unit as people read it.
    unit: the canonical form of system and code, whose numbers `canonical` compares; None:
        `condition` compares the numbers as stated, of quantities with the very same unit.
    """

    prefix: Prefix
    condition: MeasureCondition
    system: str | None
    code: str | None
    unit: Unit | None
    canonical: MeasureCondition | None


@dataclass(frozen=True, slots=True)
class NearValue:
    """Within `distance` metres of a point, along the surface of the earth."""

    latitude: float
    longitude: float
    distance: float

    def matches(self, latitude: float, longitude: float) -> bool:
        """By the haversine formula, as the store says it in SQL."""
        one, other = radians(self.latitude), radians(latitude)
        half = sin((other - one) / 2) ** 2
        half += cos(one) * cos(other) * sin(radians(longitude - self.longitude) / 2) ** 2
        return 2 * EARTH_RADIUS * asin(min(1.0, sqrt(half))) <= self.distance


_OPERATORS = {
    "<": Decimal.__lt__,
    "<=": Decimal.__le__,
    ">": Decimal.__gt__,
    ">=": Decimal.__ge__,
}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", re.ASCII)


def read_number(parameter: SearchParameter, piece: str) -> NumberValue:
    prefix, value = _prefixed(parameter, unescape(piece))
    low, high = precision_of(value)
    return NumberValue(prefix, condition_of(prefix, value, low, high))


def read_quantity(parameter: SearchParameter, piece: str) -> QuantityValue:
    parts = [unescape(part) for part in split_escaped(piece, "|")]
    if len(parts) not in (1, 3):
        raise Invalid(
            f"{parameter.code} is written number, number|system|code, or number||code; "
            "write \\| for a bar within."
        )
    prefix, value = _prefixed(parameter, parts[0])
    low, high = precision_of(value)
    system, code = (parts[1] or None, parts[2] or None) if len(parts) == 3 else (None, None)
    unit = unit_of(system, code)
    canonical = None
    if unit is not None:
        canonical = condition_of(prefix, *(unit.canonical(each) for each in (value, low, high)))
        if prefix == "ap":
            # A tenth of the number as stated: of a temperature, not of what it is in kelvin.
            ends = (each.at for each in condition_of("ap", value, low, high).bounds)
            canonical = _approximately(*(unit.canonical(each) for each in ends))
    return QuantityValue(
        prefix,
        condition_of(prefix, value, low, high),
        index_key(system) if system else None,
        index_key(code) if code else None,
        unit,
        canonical,
    )


def read_near(parameter: SearchParameter, piece: str) -> NearValue:
    parts = [unescape(part) for part in split_escaped(piece, "|")]
    numbers = [_plain(part) for part in parts[:3] if part]
    if not 2 <= len(parts) <= 4 or None in numbers or not (parts[0] and parts[1]):
        raise Invalid(
            f"{parameter.code} is written latitude|longitude, latitude|longitude|distance (in km) "
            "or latitude|longitude|distance|unit."
        )
    given = [float(number) for number in numbers if number is not None]
    if abs(given[0]) > 90 or abs(given[1]) > 180:
        raise Invalid(f"{parameter.code} takes degrees: -90 to 90 and -180 to 180.")
    if len(given) == 2:
        return NearValue(given[0], given[1], USUAL_DISTANCE)
    unit = unit_of(UCUM, (parts[3] if len(parts) == 4 else "") or "km")
    if unit is None:
        raise Invalid(
            f"The unit of {parameter.code} is not known here. Give the distance in another UCUM code "
            "of length: m, km, [ft_i], [mi_i], [mi_us] or [nmi_i]."
        )
    if unit.dimension != "m1":
        raise Invalid(f"The unit of {parameter.code} is no length. Use one such as km or [mi_i].")
    if given[2] < 0:
        raise Invalid(f"{parameter.code} takes no distance below 0.")
    return NearValue(given[0], given[1], given[2] * float(unit.factor))


def precision_of(value: Decimal) -> tuple[Decimal, Decimal]:
    """[low, high) around a number: half of its last stated digit to either side.

    R4's own example takes `1e2` as [95, 105): with an exponent one digit more counts as stated.
    """
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    half = Decimal(5).scaleb(exponent - (2 if exponent > 0 else 1))
    return _sum(value, half.copy_negate()), _sum(value, half)


def condition_of(prefix: Prefix, value: Decimal, low: Decimal, high: Decimal) -> MeasureCondition:
    """What a number with its prefix asks; [low, high) are the numbers that round to it."""
    match prefix:
        case "eq":
            return _all(("low", ">=", low), ("high", "<", high))
        case "ne":
            either = (Bound("low", "<", low), Bound("high", ">=", high))
            return MeasureCondition("or", either)
        case "gt":
            return _all(("high", ">", value))
        case "ge":
            return _all(("high", ">=", value))
        case "lt":
            return _all(("low", "<", value))
        case "le":
            return _all(("low", "<=", value))
        case "sa":
            return _all(("low", ">", value))
        case "eb":
            return _all(("high", "<", value))
        case "ap":
            tenth = _scaled(value.copy_abs())
            return _approximately(
                max(high, _sum(value, tenth)), min(low, _sum(value, tenth.copy_negate()))
            )


def _approximately(high: Decimal, low: Decimal) -> MeasureCondition:
    return _all(("low", "<=", high), ("high", ">=", low))


def _all(
    *bounds: tuple[Literal["low", "high"], Literal["<", "<=", ">", ">="], Decimal],
) -> MeasureCondition:
    return MeasureCondition("and", tuple(Bound(*bound) for bound in bounds))


def _prefixed(parameter: SearchParameter, text: str) -> tuple[Prefix, Decimal]:
    prefix, rest = "eq", text
    if text[:2] in PREFIXES:
        prefix, rest = text[:2], text[2:]
    number = _plain(rest)
    if number is None:
        raise Invalid(
            f"{parameter.code} takes a number such as 5.4 or 1e-3, with one of the prefixes "
            "eq ne gt lt ge le sa eb ap."
        )
    return cast(Prefix, prefix), number


def _plain(text: str) -> Decimal | None:
    # A '+' that came unescaped in a query is a space by now.
    text = text.replace(" ", "+")
    if len(text) > 120 or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if measurable(number) else None


def _sum(one: Decimal, other: Decimal) -> Decimal:
    """Exactly, whatever the number of digits."""
    exponent = min(_exponent(one), _exponent(other), 0)
    number = int((Fraction(one) + Fraction(other)) * Fraction(10) ** -exponent)
    return Decimal((number < 0, tuple(map(int, str(abs(number)))), exponent))


def _scaled(value: Decimal) -> Decimal:
    """A tenth, exactly."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    return Decimal((sign, digits, exponent - 1))


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent
