"""The values of a search parameter as a query writes them, read by kind of parameter.

`,` parts alternatives, `|` the system from the code, `$` the components of a composite.

http://hl7.org/fhir/R4/search.html#ptypes, http://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, cast

from coordhub.r4.composites import component_parameters
from coordhub.r4.extract import normalise
from coordhub.r4.index_values import index_key, typed_identifier
from coordhub.r4.interval import (
    PREFIXES,
    DateCondition,
    Prefix,
    date_condition,
    parse_instant,
)
from coordhub.r4.parameters import SearchParameter, hierarchies
from coordhub.r4.reference import Reference, parse
from coordhub.r4.search_measures import (
    NearValue,
    NumberValue,
    QuantityValue,
    read_near,
    read_number,
    read_quantity,
)
from coordhub.r4.search_text import (
    Invalid,
    ModifierNotServed,
    NotServed,
    split_escaped,
    unescape,
)
from coordhub.r4.types import NUMBER


@dataclass(frozen=True, slots=True)
class StringValue:
    """text: normalised; as it was written where the modifier is `exact`."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`code`: any_system. `|code`: neither any_system nor a system. `system|`: no code.

    A system that the parameter's binding implies is already left out.
    """

    system: str | None
    code: str | None
    any_system: bool


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """A target: `reference` as written, or an `id` alone, of any of `types` (empty: any type)."""

    id: str | None
    types: tuple[str, ...]
    reference: Reference | None


@dataclass(frozen=True, slots=True)
class DateValue:
    """[low, high) of what was written, and what the prefix makes of it."""

    prefix: Prefix
    low: datetime
    high: datetime
    condition: DateCondition


@dataclass(frozen=True, slots=True)
class MissingValue:
    missing: bool


@dataclass(frozen=True, slots=True)
class UriValue:
    text: str

    def ancestors(self) -> list[str]:
        """Itself and what stands above it, with and without the slash at the end, for `:above`."""
        scheme, mark, path = self.text.rstrip("/").rpartition("://")
        steps = path.split("/")
        found = ["/".join(steps[:length]) for length in range(1, len(steps) + 1)]
        return [f"{scheme}{mark}{each}{slash}" for each in found for slash in ("", "/")]


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """A value for each component, which one element must have together."""

    parts: tuple[Value, ...]


Value: TypeAlias = (
    "StringValue | TokenValue | ReferenceValue | DateValue | MissingValue | NumberValue"
    " | QuantityValue | UriValue | NearValue | CompositeValue"
)


# Modifiers of each kind, beside `missing`, which all have.
_SERVED = {
    "string": {"exact", "contains"},
    "token": {"not", "text", "of-type"},
    "reference": {"identifier", "above", "below"},
    "uri": {"above", "below"},
}
_TERMINOLOGY = {"above", "below", "in", "not-in"}
_HIERARCHY = {"above", "below"}
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


def read_values(
    parameter: SearchParameter,
    modifier: str | None,
    text: str,
    base: str | None,
    now: datetime | None,
) -> tuple[Value, ...]:
    """The alternatives that one (name, value) pair asks for; raises Invalid or NotServed."""
    if modifier == "missing":
        if text not in ("true", "false"):
            raise Invalid(f"{parameter.code}:missing is true or false.")
        return (MissingValue(text == "true"),)
    type_ = _check_modifier(parameter, modifier)
    pieces = split_escaped(text)
    if not all(pieces):
        raise Invalid(f"{parameter.code} has an empty value between commas.")
    return tuple(_read(parameter, modifier, type_, piece, base, now) for piece in pieces)


def _read(
    parameter: SearchParameter,
    modifier: str | None,
    type_: str | None,
    piece: str,
    base: str | None,
    now: datetime | None,
) -> Value:
    match parameter.kind, modifier:
        case "token", "text":
            return _string(parameter, None, piece)
        case "token", "of-type":
            return _typed_identifier(parameter, piece)
        case ("reference", "identifier") | ("token", _):
            return _token(parameter, piece)
        case "string", _:
            return _string(parameter, modifier, piece)
        case "reference", _:
            return _reference(parameter, type_, piece, base)
        case "date", _:
            return _date(parameter, piece, now)
        case "number", _:
            return read_number(parameter, piece)
        case "quantity", _:
            return read_quantity(parameter, piece)
        case "uri", _:
            return UriValue(index_key(unescape(piece)))
        case "composite", _:
            return _composite(parameter, piece, base, now)
    return read_near(parameter, piece)


def _check_modifier(parameter: SearchParameter, modifier: str | None) -> str | None:
    """The type that a reference's modifier names; None without one."""
    if modifier is None:
        return None
    served = _SERVED.get(parameter.kind, set())
    if parameter.kind == "reference" and modifier in NUMBER:
        if parameter.targets and modifier not in parameter.targets:
            raise Invalid(
                f"{parameter.code} does not refer to {modifier}, but to "
                f"{', '.join(parameter.targets)}."
            )
        return modifier
    if modifier == "of-type" and not any(path.leaf == "Identifier" for path in parameter.paths):
        raise Invalid(f"{parameter.code} is no identifier; :of-type is for these only.")
    if parameter.kind == "reference" and modifier in _HIERARCHY and not hierarchies(parameter):
        raise ModifierNotServed(
            f"What {parameter.code} refers to is in no hierarchy that R4 defines; "
            f"leave :{modifier} out."
        )
    if modifier in served:
        return None
    if parameter.kind == "token" and modifier in _TERMINOLOGY:
        raise ModifierNotServed(
            f"{parameter.code}:{modifier} needs a terminology, and none is loaded here; "
            "name the codes."
        )
    allowed = sorted({"missing", *served})
    also = ", or the type of the target" if parameter.kind == "reference" else ""
    raise Invalid(
        f"{parameter.code} is a {parameter.kind} parameter and knows no such modifier; it takes "
        f":{', :'.join(allowed)}{also}."
    )


def _string(parameter: SearchParameter, modifier: str | None, piece: str) -> StringValue:
    text = unescape(piece)
    if modifier != "exact":
        text = normalise(text)
    if not text:
        raise Invalid(f"{parameter.code} is only white space or accents.")
    return StringValue(text)


def _typed_identifier(parameter: SearchParameter, piece: str) -> TokenValue:
    parts = [unescape(part) for part in split_escaped(piece, "|")]
    if len(parts) != 3 or not (parts[1] and parts[2]):
        raise Invalid(
            f"{parameter.code}:of-type is written system|code|value, of the type and the value."
        )
    system, code, value = parts
    typed = index_key(typed_identifier(code, value))
    return TokenValue(index_key(system) if system else None, typed, any_system=False)


def _composite(
    parameter: SearchParameter, piece: str, base: str | None, now: datetime | None
) -> CompositeValue:
    components = component_parameters(parameter)
    parts = split_escaped(piece, "$")
    if len(parts) != len(components) or not all(parts):
        raise Invalid(
            f"{parameter.code} takes {' $ '.join(each.code for each in components)}, with no space "
            "around the $."
        )
    return CompositeValue(
        tuple(
            _read(component, None, None, part, base, now)
            for component, part in zip(components, parts, strict=True)
        )
    )


def _token(parameter: SearchParameter, piece: str) -> TokenValue:
    parts = [index_key(unescape(part)) for part in split_escaped(piece, "|")]
    if len(parts) > 2:
        raise Invalid(
            f"{parameter.code} has more than one '|'; write system|code, and \\| for a bar within."
        )
    if len(parts) == 1:
        return TokenValue(None, parts[0], any_system=True)
    system, code = parts[0] or None, parts[1] or None
    if system is None and code is None:
        raise Invalid(f"{parameter.code} has neither system nor code.")
    if system is not None and system == parameter.system:
        if code is None:
            raise NotServed(
                f"{parameter.code} has codes of that system only; ask {parameter.code}:missing."
            )
        return TokenValue(None, code, any_system=True)
    return TokenValue(system, code, any_system=False)


def _reference(
    parameter: SearchParameter, type_: str | None, piece: str, base: str | None
) -> ReferenceValue:
    text = unescape(piece)
    if _ID.fullmatch(text):
        return ReferenceValue(text, (type_,) if type_ else parameter.targets, None)
    reference = parse(text, base=base)
    if reference.kind not in ("local", "absolute", "urn"):
        raise Invalid(f"{parameter.code} takes an id, Type/id, an absolute address or a urn.")
    if reference.kind != "local":
        return ReferenceValue(None, (type_,) if type_ else parameter.targets, reference)
    if reference.version is not None:
        raise NotServed(f"{parameter.code} with a version is not served; leave /_history/ out.")
    named = reference.type or ""
    if named not in NUMBER or (type_ is not None and named != type_):
        raise Invalid(f"{parameter.code} names a type that does not fit.")
    if parameter.targets and named not in parameter.targets:
        raise Invalid(
            f"{parameter.code} does not refer to {named}, but to {', '.join(parameter.targets)}."
        )
    return ReferenceValue(reference.id, (named,), reference)


def _date(parameter: SearchParameter, piece: str, now: datetime | None) -> DateValue:
    prefix = piece[:2]
    text = piece
    if prefix in PREFIXES:
        text = piece[2:]
    else:
        prefix = "eq"
    # A '+' that came unescaped in a query is a space by now.
    interval = parse_instant(text.replace(" ", "+"))
    if interval is None:
        raise Invalid(
            f"{parameter.code} takes a date such as 2026, 2026-03, 2026-03-01 or "
            "2026-03-01T10:00:00Z, with one of the prefixes eq ne gt lt ge le sa eb ap."
        )
    known = cast(Prefix, prefix)
    condition = date_condition(known, interval.low, interval.high, now=now)
    return DateValue(known, interval.low, interval.high, condition)
