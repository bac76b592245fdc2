"""The values that a resource is found by, one kind of value for each kind of search parameter.

`parameter` is the number of the search parameter (`SearchParameter.id`).

http://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from coordhub.r4.reference import Reference


class Token(NamedTuple):
    """system: None where none is stated; never ''."""

    parameter: int
    system: str | None
    code: str


class Str(NamedTuple):
    """value: as stated, cut to 200 characters."""

    parameter: int
    value: str


class Date(NamedTuple):
    """[low, high) in UTC; an open end is datetime.min or max, aware."""

    parameter: int
    low: datetime
    high: datetime


class Ref(NamedTuple):
    parameter: int
    reference: Reference


class Uri(NamedTuple):
    parameter: int
    value: str


class Number(NamedTuple):
    """[low, high): half of the last stated digit to either side; None is an open end."""

    parameter: int
    low: Decimal | None
    high: Decimal | None


class Quantity(NamedTuple):
    """As Number; system and code of the unit, and the unit as people read it."""

    parameter: int
    system: str | None
    code: str | None
    unit: str | None
    low: Decimal | None
    high: Decimal | None


@dataclass(slots=True)
class Extracted:
    """The values of one resource by kind, without repetitions."""

    tokens: list[Token] = field(default_factory=list)
    strings: list[Str] = field(default_factory=list)
    dates: list[Date] = field(default_factory=list)
    references: list[Ref] = field(default_factory=list)
    uris: list[Uri] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    quantities: list[Quantity] = field(default_factory=list)
