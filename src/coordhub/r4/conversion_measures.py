"""From measures to the values they are found by: numbers, quantities, ranges, places.

http://hl7.org/fhir/R4/search.html#number, #quantity, http://hl7.org/fhir/R4/location.html#search
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from coordhub.r4.element_tree import Context, Leaf
from coordhub.r4.index_values import Number, Position, Quantity, index_key

MOST_DIGITS = 100
LARGEST_EXPONENT = 300
"""A number beyond these measures nothing, and is not indexed."""


def number(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        value = _measured(element)
        if value is not None:
            context[0].numbers.append(Number(parameter, value, value))

    return take


def number_range(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            low, high = _range_ends(element)
            if low is not None or high is not None:
                context[0].numbers.append(Number(parameter, low, high))

    return take


def quantity(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        value = _measured(element.get("value")) if isinstance(element, dict) else None
        if value is None:
            return
        low: Decimal | None = value
        high: Decimal | None = value
        comparator = element.get("comparator")
        if comparator in ("<", "<="):
            low = None
        elif comparator in (">", ">="):
            high = None
        context[0].quantities.append(Quantity(parameter, *_unit(element), low, high))

    return take


def money(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        value = _measured(element.get("value")) if isinstance(element, dict) else None
        if value is not None:
            currency = _word(element.get("currency"))
            unit = ("urn:iso:std:iso:4217" if currency else None, currency, currency)
            context[0].quantities.append(Quantity(parameter, *unit, value, value))

    return take


def quantity_range(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            low, high = _range_ends(element)
            if low is not None or high is not None:
                end = element.get("low") if low is not None else element.get("high")
                context[0].quantities.append(Quantity(parameter, *_unit(end), low, high))

    return take


def position(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            latitude = _measured(element.get("latitude"))
            longitude = _measured(element.get("longitude"))
            if latitude is None or longitude is None:
                return
            if abs(latitude) <= 90 and abs(longitude) <= 180:
                place = Position(parameter, float(latitude), float(longitude))
                context[0].positions.append(place)

    return take


def measurable(value: Decimal) -> bool:
    """Whether a number is one that somebody may have measured, and not a burden made of digits."""
    return (
        value.is_finite()
        and len(value.as_tuple().digits) <= MOST_DIGITS
        and abs(value.adjusted()) <= LARGEST_EXPONENT
    )


def _measured(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, int) and abs(value) >= 10**LARGEST_EXPONENT:
        return None
    number = Decimal(value)
    return number if measurable(number) else None


def _range_ends(element: Mapping[str, Any]) -> Iterator[Decimal | None]:
    for name in ("low", "high"):
        end = element.get(name)
        yield _measured(end.get("value")) if isinstance(end, dict) else None


def _word(value: Any) -> str | None:
    return index_key(value) if value and isinstance(value, str) else None


def _unit(element: Any) -> tuple[str | None, str | None, str | None]:
    return _word(element.get("system")), _word(element.get("code")), _word(element.get("unit"))
