"""The values that a resource is found by, one kind of value for each kind of search parameter.

`parameter` is the number of the search parameter (`SearchParameter.id`).

http://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from coordhub.r4.reference import Reference

LONGEST_KEY = 500


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
    """[low, high], both the same for what is no range; None is an open end."""

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


class Position(NamedTuple):
    """A place on earth, in degrees (WGS84)."""

    parameter: int
    latitude: float
    longitude: float


Part = Token | Str | Date | Ref | Number | Quantity


class Composite(NamedTuple):
    """What one element holds for each component of the parameter; the parts have parameter 0."""

    parameter: int
    parts: tuple[Part, ...]


@dataclass(slots=True)
class Extracted:
    """The values of one resource by kind, without repetitions.

    texts: what people read beside a token's code, for `:text`.
    identifiers: of a reference, the identifier it states, for `:identifier`; of a token with the
        number of its parameter negative, type and value of an Identifier, for `:of-type`
        (`typed_identifier` makes the code).
    """

    tokens: list[Token] = field(default_factory=list)
    strings: list[Str] = field(default_factory=list)
    dates: list[Date] = field(default_factory=list)
    references: list[Ref] = field(default_factory=list)
    uris: list[Uri] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    quantities: list[Quantity] = field(default_factory=list)
    composites: list[Composite] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    texts: list[Str] = field(default_factory=list)
    identifiers: list[Token] = field(default_factory=list)

    def beside(self, before: Extracted) -> tuple[Extracted, Extracted]:
        """This and the one before without the kinds in which they say the same.

        Whole kinds, not single values: two values of a kind may be one row of its table.
        """
        mine, theirs = Extracted(), Extracted()
        for kinds in _TABLES:
            if any(getattr(self, kind) != getattr(before, kind) for kind in kinds):
                for kind in kinds:
                    setattr(mine, kind, getattr(self, kind))
                    setattr(theirs, kind, getattr(before, kind))
        return mine, theirs


_TABLES = (
    ("tokens", "identifiers"), ("strings", "texts"), ("dates",), ("references",), ("uris",),
    ("numbers",), ("quantities",), ("composites",), ("positions",),
)  # fmt: skip
"""Kinds of values that are kept in one table."""


def typed_identifier(code: str, value: str) -> str:
    """The code under which an Identifier of type `code` is found by its value; no code has a `|`."""
    return f"{code}|{value}"


def index_key(text: str) -> str:
    """The text itself; where it is too long for a key of an index, its start and its digest."""
    if len(text) <= LONGEST_KEY:
        return text
    return f"{text[: LONGEST_KEY - 80]} sha256:{hashlib.sha256(text.encode()).hexdigest()}"
