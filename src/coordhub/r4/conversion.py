"""From an element to the values it is found by, for each kind of parameter and type of element.

http://hl7.org/fhir/R4/search.html#ptypes, http://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from coordhub.r4.element_tree import Context, Leaf
from coordhub.r4.index_values import Date, Number, Quantity, Ref, Str, Token, Uri
from coordhub.r4.interval import Interval, parse_instant, parse_period, parse_timing
from coordhub.r4.reference import parse, parse_element

LONGEST_STRING = 200
LONGEST_KEY = 500
LONGEST_REFERENCE = 500
"""Beyond it an address is not indexed: a btree takes keys below 2,700 bytes."""

_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def conversion(kind: str, leaf: str, parameter: int) -> Leaf | None:
    """What takes elements of FHIR type `leaf` for the parameter; None where R4 leaves them out."""
    make = _CONVERSIONS.get((kind, leaf))
    return None if make is None else make(parameter)


def index_key(text: str) -> str:
    """The text itself, or where it is too long for a key of an index, its start and its digest."""
    if len(text) <= LONGEST_KEY:
        return text
    return f"{text[: LONGEST_KEY - 80]} sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _add_token(parameter: int, system: Any, code: Any, context: Context) -> None:
    if code and isinstance(code, str):
        known = index_key(system) if system and isinstance(system, str) else None
        context[0].tokens.append(Token(parameter, known, index_key(code)))


def _coding(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            _add_token(parameter, element.get("system"), element.get("code"), context)

    return take


def _concept(parameter: int) -> Leaf:
    take_coding = _coding(parameter)

    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            for coding in element.get("coding") or ():
                take_coding(coding, context)

    return take


def _identifier(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            _add_token(parameter, element.get("system"), element.get("value"), context)

    return take


def _contact_point(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            _add_token(parameter, None, element.get("value"), context)

    return take


def _code(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        _add_token(parameter, None, element, context)

    return take


def _boolean(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, bool):
            context[0].tokens.append(Token(parameter, None, "true" if element else "false"))

    return take


def _deceased(parameter: int) -> Leaf:
    """`deceased.exists() and deceased != false`: false too where nothing is said."""

    def take(patient: Any, context: Context) -> None:
        deceased = "deceasedDateTime" in patient or patient.get("deceasedBoolean") is True
        context[0].tokens.append(Token(parameter, None, "true" if deceased else "false"))

    return take


def _string(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if element and isinstance(element, str):
            context[0].strings.append(Str(parameter, element[:LONGEST_STRING]))

    return take


def _parts(names: tuple[str, ...]) -> Callable[[int], Leaf]:
    def make(parameter: int) -> Leaf:
        take_string = _string(parameter)

        def take(element: Any, context: Context) -> None:
            if isinstance(element, dict):
                for name in names:
                    part = element.get(name)
                    if isinstance(part, list):
                        for item in part:
                            take_string(item, context)
                    elif part is not None:
                        take_string(part, context)

        return take

    return make


def _dates(read: Callable[[Any], Interval | None], type_: type) -> Callable[[int], Leaf]:
    def make(parameter: int) -> Leaf:
        def take(element: Any, context: Context) -> None:
            if isinstance(element, type_):
                interval = read(element)
                if interval is not None:
                    context[0].dates.append(Date(parameter, interval[0], interval[1]))

        return take

    return make


def _reference(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            reference = parse_element(element, base=context[1])
            if reference is not None and len(reference.text) <= LONGEST_REFERENCE:
                context[0].references.append(Ref(parameter, reference))

    return take


def _canonical_reference(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if element and isinstance(element, str):
            url = element.partition("|")[0]
            if len(url) > LONGEST_REFERENCE:
                return
            context[0].references.append(Ref(parameter, parse(url, base=context[1])))

    return take


def _uri(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if element and isinstance(element, str):
            context[0].uris.append(Uri(parameter, index_key(element)))

    return take


def _number(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, int | Decimal) and not isinstance(element, bool):
            context[0].numbers.append(Number(parameter, *precision_of(element)))

    return take


def _number_range(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            low, high = _range_ends(element)
            if low is not None or high is not None:
                context[0].numbers.append(Number(parameter, low, high))

    return take


def _quantity(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if not isinstance(element, dict):
            return
        value = element.get("value")
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            return
        low: Decimal | None
        high: Decimal | None
        low, high = precision_of(value)
        comparator = element.get("comparator")
        if comparator in ("<", "<="):
            low, high = None, Decimal(value)
        elif comparator in (">", ">="):
            low, high = Decimal(value), None
        context[0].quantities.append(Quantity(parameter, *_unit(element), low, high))

    return take


def _money(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            value = element.get("value")
            if isinstance(value, int | Decimal) and not isinstance(value, bool):
                currency = element.get("currency")
                unit = ("urn:iso:std:iso:4217" if currency else None, currency, currency)
                context[0].quantities.append(Quantity(parameter, *unit, *precision_of(value)))

    return take


def _quantity_range(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            low, high = _range_ends(element)
            if low is not None or high is not None:
                end = element.get("low") or element.get("high")
                context[0].quantities.append(Quantity(parameter, *_unit(end), low, high))

    return take


def precision_of(value: int | Decimal) -> tuple[Decimal, Decimal]:
    """[low, high) around a number: half of its last stated digit to either side."""
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    half = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    return number - half, number + half


def _range_ends(element: Mapping[str, Any]) -> Iterator[Decimal | None]:
    for name, side in (("low", 0), ("high", 1)):
        end = element.get(name)
        value = end.get("value") if isinstance(end, dict) else None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            yield precision_of(value)[side]
        else:
            yield None


def _unit(element: Any) -> tuple[str | None, str | None, str | None]:
    return element.get("system"), element.get("code"), element.get("unit")


_instant = _dates(parse_instant, str)
_CONVERSIONS: dict[tuple[str, str], Callable[[int], Leaf]] = {
    ("token", "Coding"): _coding,
    ("token", "CodeableConcept"): _concept,
    ("token", "Identifier"): _identifier,
    ("token", "ContactPoint"): _contact_point,
    ("token", "code"): _code,
    ("token", "string"): _code,
    ("token", "id"): _code,
    ("token", "uri"): _code,
    ("token", "boolean"): _boolean,
    ("token", "deceased"): _deceased,
    ("string", "string"): _string,
    ("string", "markdown"): _string,
    ("string", "HumanName"): _parts(_NAME_PARTS),
    ("string", "Address"): _parts(_ADDRESS_PARTS),
    ("date", "date"): _instant,
    ("date", "dateTime"): _instant,
    ("date", "instant"): _instant,
    ("date", "Period"): _dates(parse_period, dict),
    ("date", "Timing"): _dates(parse_timing, dict),
    ("reference", "Reference"): _reference,
    ("reference", "canonical"): _canonical_reference,
    ("reference", "uri"): _canonical_reference,
    ("uri", "uri"): _uri,
    ("uri", "url"): _uri,
    ("uri", "canonical"): _uri,
    ("number", "integer"): _number,
    ("number", "decimal"): _number,
    ("number", "Range"): _number_range,
    ("quantity", "Quantity"): _quantity,
    ("quantity", "Age"): _quantity,
    ("quantity", "Duration"): _quantity,
    ("quantity", "Money"): _money,
    ("quantity", "Range"): _quantity_range,
}
