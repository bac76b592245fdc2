"""The values of a search parameter as a query writes them, read by kind of parameter.

`,` parts alternatives, `|` the system from the code; `\\` takes the meaning from `,` `|` `$` and
itself.

http://hl7.org/fhir/R4/search.html#ptypes, http://hl7.org/fhir/R4/search.html#escaping
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from coordhub.r4.conversion import index_key
from coordhub.r4.extract import normalise
from coordhub.r4.interval import (
    PREFIXES,
    DateCondition,
    Prefix,
    date_condition,
    parse_instant,
)
from coordhub.r4.parameters import SearchParameter
from coordhub.r4.reference import Reference, parse
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


Value = StringValue | TokenValue | ReferenceValue | DateValue | MissingValue


class Invalid(Exception):
    """The value or modifier is not what R4 allows here; the text says what would be."""


class NotServed(Exception):
    """R4 has it, this hub does not offer it."""


_SERVED = {"string": {"exact", "contains"}, "token": {"not"}, "reference": set(), "date": set()}
_DEFINED = {
    "string": {"exact", "contains", "text"},
    "token": {"text", "not", "above", "below", "in", "not-in", "of-type"},
    "reference": {"identifier", "above", "below"},
    "date": set(),
}
_PIECE = re.compile(r"\\([,|$\\])")
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
    match parameter.kind:
        case "string":
            return tuple(_string(parameter, modifier, piece) for piece in pieces)
        case "token":
            return tuple(_token(parameter, piece) for piece in pieces)
        case "reference":
            return tuple(_reference(parameter, type_, piece, base) for piece in pieces)
        case "date":
            return tuple(_date(parameter, piece, now) for piece in pieces)
        case other:
            raise NotServed(f"{parameter.code} is a {other} parameter; these are not served yet.")


def split_values(text: str) -> list[str]:
    """The alternatives of a value, unescaped."""
    return [unescape(piece) for piece in split_escaped(text)]


def split_escaped(text: str, separator: str = ",") -> list[str]:
    """The parts between separators that are not escaped; escapes stay in them."""
    pieces = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            pieces.append("")
            continue
        pieces[-1] += character
        escaped = character == "\\" and not escaped
    return pieces


def unescape(text: str) -> str:
    return _PIECE.sub(r"\1", text)


def _check_modifier(parameter: SearchParameter, modifier: str | None) -> str | None:
    """The type that a reference's modifier names; None without one."""
    if modifier is None or modifier in _SERVED[parameter.kind]:
        return None
    if parameter.kind == "reference" and modifier in NUMBER:
        if parameter.targets and modifier not in parameter.targets:
            raise Invalid(
                f"{parameter.code} does not refer to {modifier}, but to "
                f"{', '.join(parameter.targets)}."
            )
        return modifier
    if modifier in _DEFINED[parameter.kind]:
        raise NotServed(f"The modifier :{modifier} of {parameter.code} is not served yet.")
    allowed = sorted({"missing", *_SERVED[parameter.kind]})
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
