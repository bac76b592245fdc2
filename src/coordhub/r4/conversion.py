"""From an element to the values it is found by, for each kind of parameter and type of element.

http://hl7.org/fhir/R4/search.html#ptypes, http://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordhub.r4 import conversion_measures as measures
from coordhub.r4.element_tree import Context, Leaf
from coordhub.r4.index_values import Date, Ref, Str, Token, Uri, index_key, typed_identifier
from coordhub.r4.interval import Interval, parse_instant, parse_period, parse_timing
from coordhub.r4.reference import parse, parse_element

LONGEST_STRING = 200
LONGEST_REFERENCE = 500
"""Beyond it an address is not indexed: a btree takes keys below 2,700 bytes."""

_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def conversion(kind: str, leaf: str, parameter: int) -> Leaf | None:
    """What takes elements of FHIR type `leaf` for the parameter; None where R4 leaves them out."""
    make = _CONVERSIONS.get((kind, leaf))
    return None if make is None else make(parameter)


def _add_token(parameter: int, system: Any, code: Any, context: Context) -> None:
    if code and isinstance(code, str):
        known = index_key(system) if system and isinstance(system, str) else None
        context[0].tokens.append(Token(parameter, known, index_key(code)))


def _add_text(parameter: int, text: Any, context: Context) -> None:
    if text and isinstance(text, str):
        context[0].texts.append(Str(parameter, text[:LONGEST_STRING]))


def _coding(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            _add_token(parameter, element.get("system"), element.get("code"), context)
            _add_text(parameter, element.get("display"), context)

    return take


def _concept(parameter: int) -> Leaf:
    take_coding = _coding(parameter)

    def take(element: Any, context: Context) -> None:
        if isinstance(element, dict):
            for coding in element.get("coding") or ():
                take_coding(coding, context)
            _add_text(parameter, element.get("text"), context)

    return take


def _identifier(parameter: int) -> Leaf:
    def take(element: Any, context: Context) -> None:
        if not isinstance(element, dict):
            return
        value = element.get("value")
        _add_token(parameter, element.get("system"), value, context)
        kind = element.get("type")
        if not isinstance(kind, dict):
            return
        _add_text(parameter, kind.get("text"), context)
        for coding in kind.get("coding") or ():
            code = coding.get("code") if isinstance(coding, dict) else None
            if isinstance(code, str) and value and isinstance(value, str):
                system = coding.get("system")
                known = index_key(system) if system and isinstance(system, str) else None
                typed = Token(-parameter, known, index_key(typed_identifier(code, value)))
                context[0].identifiers.append(typed)

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
            if reference is None:
                return
            if len(reference.text) <= LONGEST_REFERENCE:
                context[0].references.append(Ref(parameter, reference))
            if reference.identifier_value:
                system = reference.identifier_system
                context[0].identifiers.append(
                    Token(
                        parameter,
                        index_key(system) if system else None,
                        index_key(reference.identifier_value),
                    )
                )

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


def _canonical(parameter: int) -> Leaf:
    """A canonical with a version is found with it and without it."""
    take_uri = _uri(parameter)

    def take(element: Any, context: Context) -> None:
        take_uri(element, context)
        if isinstance(element, str) and "|" in element:
            take_uri(element.partition("|")[0], context)

    return take


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
    ("uri", "canonical"): _canonical,
    ("number", "integer"): measures.number,
    ("number", "decimal"): measures.number,
    ("number", "Range"): measures.number_range,
    ("quantity", "Quantity"): measures.quantity,
    ("quantity", "Age"): measures.quantity,
    ("quantity", "Duration"): measures.quantity,
    ("quantity", "Money"): measures.money,
    ("quantity", "Range"): measures.quantity_range,
    ("special", "position"): measures.position,
}
