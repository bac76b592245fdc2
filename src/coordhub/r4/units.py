"""Units of measure in one canonical form, so that 1 g finds 1000 mg.

A UCUM code is read into a factor and powers of base units, in exact fractions. Amount of substance,
equivalents, osmoles and arbitrary units are dimensions of their own: `mol` is no plain number here
and `[iU]` compares with `[iU]` only. A code with an atom that is not in the table is not canonical
and compares as it was stated.

http://hl7.org/fhir/R4/search.html#quantity, https://ucum.org/ucum
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from coordhub.r4.unit_table import DERIVED, OWN, OWN_WITHOUT_PREFIX

UCUM: Final = "http://unitsofmeasure.org"

_DIGITS = Context(prec=40)
"""Exact for what people measure; what has no end (a third) is cut alike wherever it is compared."""

_LONGEST_CODE = 64
_LARGEST_POWER = 24


@dataclass(frozen=True, slots=True)
class Unit:
    """A value v of the unit is (v + offset) * factor of `dimension`, such as `g1.m-3`."""

    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)

    def canonical(self, value: Decimal) -> Decimal:
        """The same value in base units."""
        above, below = value.as_integer_ratio()
        if self.offset:
            above = above * self.offset.denominator + self.offset.numerator * below
            below *= self.offset.denominator
        return _DIGITS.divide(
            Decimal(above * self.factor.numerator), Decimal(below * self.factor.denominator)
        )


@lru_cache(maxsize=4096)
def unit_of(system: str | None, code: str | None) -> Unit | None:
    """The unit of a Quantity; None where it is not UCUM, or not in the table."""
    if system != UCUM or not code or len(code) > _LONGEST_CODE:
        return None
    if code in _WITH_OFFSET:
        factor, offset = _WITH_OFFSET[code]
        return Unit("K1", factor, offset)
    tokens = _TOKEN.findall(code)
    if "".join(tokens) != code:
        return None
    reading = _Reading(tokens)
    try:
        factor, powers = reading.term()
    except (_Unknown, ZeroDivisionError):
        return None
    if reading.tokens:
        return None
    dimension = ".".join(f"{name}{power}" for name, power in sorted(powers.items()) if power)
    return Unit(dimension or "1", factor)


class _Unknown(Exception):
    pass


_Powers = dict[str, int]
_TOKEN = re.compile(r"[./()]|\{[^{}]*\}|10[*^][+-]?[0-9]*|(?:\[[^\[\]]*\]|[^./(){}\[\]])+")
_ATOM = re.compile(r"((?:\[[^\[\]]*\]|[^0-9+\-\[\]])+)([+-]?[0-9]+)?")


class _Reading:
    """UCUM's grammar, from left to right: `/` divides by the next component only."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def term(self) -> tuple[Fraction, _Powers]:
        factor, powers = Fraction(1), dict[str, int]()
        sign = 1
        if self.tokens and self.tokens[0] == "/":
            self.tokens.pop(0)
            sign = -1
        while True:
            number, of = self.component()
            factor *= number**sign
            for name, power in of.items():
                powers[name] = powers.get(name, 0) + sign * power
            if not self.tokens or self.tokens[0] == ")":
                return factor, powers
            operator = self.tokens.pop(0)
            if operator not in (".", "/"):
                raise _Unknown
            sign = -1 if operator == "/" else 1

    def component(self) -> tuple[Fraction, _Powers]:
        if not self.tokens:
            raise _Unknown
        token = self.tokens.pop(0)
        if token == "(":
            inner = self.term()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise _Unknown
            return inner
        if token.startswith("{"):
            return Fraction(1), {}
        found = _simple(token)
        if self.tokens and self.tokens[0].startswith("{"):
            self.tokens.pop(0)
        return found


def _simple(token: str) -> tuple[Fraction, _Powers]:
    if token[:3] in ("10*", "10^"):
        return Fraction(10) ** _power(token[3:] or "1"), {}
    if token.isdecimal() and len(token) < _LARGEST_POWER:
        return Fraction(int(token)), {}
    match = _ATOM.fullmatch(token)
    if match is None:
        raise _Unknown
    power = _power(match[2] or "1")
    factor, powers = _atom(match[1])
    return factor**power, {name: each * power for name, each in powers.items()}


def _power(text: str) -> int:
    if text in "+-" or abs(int(text)) > _LARGEST_POWER:
        raise _Unknown
    return int(text)


def _atom(name: str) -> tuple[Fraction, _Powers]:
    if name in _ATOMS:
        return _ATOMS[name]
    for length in (1, 2):
        prefix, metric = name[:length], name[length:]
        if prefix in _PREFIXES and metric in _METRIC:
            factor, powers = _ATOMS[metric]
            return factor * _PREFIXES[prefix], powers
    raise _Unknown


_PREFIXES: Final = {
    prefix: Fraction(10) ** power
    for prefix, power in {
        "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
        "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21,
        "y": -24,
    }.items()
}  # fmt: skip

_WITH_OFFSET: Final = {
    "Cel": (Fraction(1), Fraction("273.15")),
    "[degF]": (Fraction(5, 9), Fraction("459.67")),
}

_ATOMS: dict[str, tuple[Fraction, _Powers]] = {
    name: (Fraction(1), {name: 1}) for name in (*OWN, *OWN_WITHOUT_PREFIX)
}
_METRIC: set[str] = set(OWN)


def _derived() -> Iterator[tuple[str, tuple[Fraction, _Powers], bool]]:
    for name, factor, of, metric in DERIVED:
        number, powers = _Reading(_TOKEN.findall(of)).term() if of else (Fraction(1), {})
        yield name, (Fraction(factor) * number, powers), metric


for _name, _meaning, _is_metric in _derived():
    _ATOMS[_name] = _meaning
    if _is_metric:
        _METRIC.add(_name)
