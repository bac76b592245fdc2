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

_OWN: Final = ("g", "m", "s", "K", "C", "cd", "rad", "mol", "eq", "osm", "[iU]")
_OWN_WITHOUT_PREFIX: Final = (
    "deg",
    "[pH]",
    "[arb'U]",
    "[CFU]",
    "[PFU]",
    "[HPF]",
    "[LPF]",
    "[diop]",
    "[hnsf'U]",
    "[APL'U]",
    "[GPL'U]",
    "[MPL'U]",
    "[USP'U]",
    "[Amb'a'1'U]",
    "[CCID_50]",
    "[TCID_50]",
    "[EID_50]",
    "[knk'U]",
    "[mclg'U]",
    "[smgy'U]",
    "[bdsk'U]",
    "[ELU]",
    "[EU]",
    "[FFU]",
    "[BAU]",
    "[AU]",
    "[Lf]",
    "[tb'U]",
    "[todd'U]",
    "[dye'U]",
)
# name: (factor, what of, whether it takes prefixes); in the order in which they build on another
_DERIVED: Final[tuple[tuple[str, str, str, bool], ...]] = (
    ("L", "0.001", "m3", True), ("l", "0.001", "m3", True), ("[IU]", "1", "[iU]", True),
    ("[ppth]", "0.001", "", False), ("[ppm]", "0.000001", "", False),
    ("[ppb]", "0.000000001", "", False), ("%", "0.01", "", False),
    ("min", "60", "s", False), ("h", "3600", "s", False), ("d", "86400", "s", False),
    ("wk", "604800", "s", False), ("a", "31557600", "s", False), ("a_j", "31557600", "s", False),
    ("mo", "2629800", "s", False), ("mo_j", "2629800", "s", False),
    ("N", "1", "kg.m/s2", True), ("Pa", "1", "N/m2", True), ("J", "1", "N.m", True),
    ("W", "1", "J/s", True), ("Hz", "1", "s-1", True), ("A", "1", "C/s", True),
    ("V", "1", "J/C", True), ("Ohm", "1", "V/A", True), ("S", "1", "A/V", True),
    ("F", "1", "C/V", True), ("Wb", "1", "V.s", True), ("T", "1", "Wb/m2", True),
    ("H", "1", "Wb/A", True), ("Bq", "1", "s-1", True), ("Gy", "1", "J/kg", True),
    ("Sv", "1", "J/kg", True), ("Ci", "37000000000", "Bq", True), ("[rad]", "0.01", "Gy", True),
    ("RAD", "0.01", "Gy", True), ("[rem]", "0.01", "Sv", True), ("REM", "0.01", "Sv", True),
    ("kat", "1", "mol/s", True), ("U", "0.000001", "mol/min", True), ("bar", "100000", "Pa", True),
    ("atm", "101325", "Pa", False), ("m[Hg]", "133322", "Pa", True),
    ("m[H2O]", "9806.65", "Pa", True), ("dyn", "0.00001", "N", True), ("P", "0.1", "Pa.s", True),
    ("cal", "4.184", "J", True), ("[Cal]", "4184", "J", False), ("cal_th", "4.184", "J", True),
    ("t", "1000000", "g", True), ("[in_i]", "0.0254", "m", False),
    ("[ft_i]", "0.3048", "m", False), ("[yd_i]", "0.9144", "m", False),
    ("[mi_i]", "1609.344", "m", False), ("[lb_av]", "453.59237", "g", False),
    ("[oz_av]", "28.349523125", "g", False), ("[stone_av]", "6350.29318", "g", False),
    ("[gr]", "0.06479891", "g", False), ("[gal_us]", "3.785411784", "L", False),
    ("[qt_us]", "0.946352946", "L", False), ("[pt_us]", "0.473176473", "L", False),
    ("[cup_us]", "0.2365882365", "L", False), ("[foz_us]", "0.0295735295625", "L", False),
    ("[tbs_us]", "0.01478676478125", "L", False), ("[tsp_us]", "0.00492892159375", "L", False),
    ("[drp]", "0.00005", "L", False), ("[sin_i]", "0.00064516", "m2", False),
)  # fmt: skip
_ATOMS: dict[str, tuple[Fraction, _Powers]] = {
    name: (Fraction(1), {name: 1}) for name in (*_OWN, *_OWN_WITHOUT_PREFIX)
}
_METRIC: set[str] = set(_OWN)


def _derived() -> Iterator[tuple[str, tuple[Fraction, _Powers], bool]]:
    for name, factor, of, metric in _DERIVED:
        number, powers = _Reading(_TOKEN.findall(of)).term() if of else (Fraction(1), {})
        yield name, (Fraction(factor) * number, powers), metric


for _name, _meaning, _is_metric in _derived():
    _ATOMS[_name] = _meaning
    if _is_metric:
        _METRIC.add(_name)
