"""Index rows of a resource, and the difference between two versions' rows.

An update writes what changed, not everything again: inserting index rows is most of what a write
costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from coordhub.r4.extract import Extracted, normalise


class TokenRow(NamedTuple):
    param: int
    system: int
    code: str
    rid: int
    source: int
    patient: int | None


class StringRow(NamedTuple):
    param: int
    value: str
    exact: str
    rid: int
    source: int
    patient: int | None


class ReferenceRow(NamedTuple):
    param: int
    target: int | None
    uri: str | None
    rid: int
    source: int
    patient: int | None


class DateRow(NamedTuple):
    param: int
    low: datetime
    high: datetime
    rid: int
    source: int
    patient: int | None


@dataclass(slots=True)
class IndexRows:
    """Rows of the four index tables, without repeats."""

    tokens: set[TokenRow] = field(default_factory=set)
    strings: set[StringRow] = field(default_factory=set)
    references: set[ReferenceRow] = field(default_factory=set)
    dates: set[DateRow] = field(default_factory=set)

    def update(self, other: IndexRows) -> None:
        self.tokens |= other.tokens
        self.strings |= other.strings
        self.references |= other.references
        self.dates |= other.dates

    def without(self, other: IndexRows) -> IndexRows:
        return IndexRows(
            self.tokens - other.tokens,
            self.strings - other.strings,
            self.references - other.references,
            self.dates - other.dates,
        )


def systems_in(extracted: Iterable[Extracted]) -> set[str]:
    """The systems that must be interned before `rows_of` can be asked."""
    return {token.system for one in extracted for token in one.tokens if token.system}


def rows_of(
    extracted: Extracted,
    *,
    rid: int,
    source: int,
    patient: int | None,
    systems: Mapping[str, int],
    targets: Mapping[str, int],
) -> IndexRows:
    """The index rows of one resource.

    targets: rid of each local `Type/id`; a reference that is not among them is kept by its address.
    """
    owner = (rid, source, patient)
    rows = IndexRows()
    for token in extracted.tokens:
        rows.tokens.add(
            TokenRow(
                token.parameter, systems[token.system] if token.system else 0, token.code, *owner
            )
        )
    for text in extracted.strings:
        rows.strings.add(StringRow(text.parameter, normalise(text.value), text.value, *owner))
    for found in extracted.references:
        local = found.reference.local
        target = targets.get(local) if local is not None else None
        if target is not None:
            rows.references.add(ReferenceRow(found.parameter, target, None, *owner))
        elif found.reference.text:
            rows.references.add(ReferenceRow(found.parameter, None, found.reference.text, *owner))
    for date in extracted.dates:
        rows.dates.add(DateRow(date.parameter, date.low, date.high, *owner))
    return rows
