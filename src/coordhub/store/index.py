"""Index rows of a resource, and the difference between two versions' rows.

An update writes what changed, not everything again: inserting index rows is most of what a write
costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from coordhub.r4.extract import Extracted, normalise
from coordhub.r4.index_values import Composite, Date, Number, Quantity, Ref, Str, Token
from coordhub.r4.units import unit_of

OPEN_LOW = Decimal("-Infinity")
OPEN_HIGH = Decimal("Infinity")


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


class NumberRow(NamedTuple):
    param: int
    low: Decimal
    high: Decimal
    rid: int
    source: int
    patient: int | None


class Measure(NamedTuple):
    """As stated, and in base units where the unit has a canonical form."""

    low: Decimal
    high: Decimal
    dimension: str | None
    canonical_low: Decimal | None
    canonical_high: Decimal | None


class QuantityRow(NamedTuple):
    param: int
    system: int
    code: str | None
    unit: str | None
    measure: Measure
    rid: int
    source: int
    patient: int | None


class UriRow(NamedTuple):
    param: int
    value: str
    rid: int
    source: int
    patient: int | None


class CompositeRow(NamedTuple):
    param: int
    system: int
    code: str
    rid: int
    source: int
    patient: int | None
    value_system: int | None = None
    value: str | None = None
    unit: str | None = None
    measure: Measure | None = None
    first: datetime | None = None
    last: datetime | None = None
    target: int | None = None
    third: Decimal | None = None


class PositionRow(NamedTuple):
    param: int
    latitude: float
    longitude: float
    rid: int
    source: int
    patient: int | None


class PersonRow(NamedTuple):
    """param: number of the kind of key (identity.normalise.BLOCKS)."""

    param: int
    key: int
    rid: int
    source: int
    patient: int | None


@dataclass(slots=True)
class IndexRows:
    """Rows of the index tables, without repeats."""

    tokens: set[TokenRow] = field(default_factory=set)
    strings: set[StringRow] = field(default_factory=set)
    references: set[ReferenceRow] = field(default_factory=set)
    dates: set[DateRow] = field(default_factory=set)
    numbers: set[NumberRow] = field(default_factory=set)
    quantities: set[QuantityRow] = field(default_factory=set)
    uris: set[UriRow] = field(default_factory=set)
    composites: set[CompositeRow] = field(default_factory=set)
    positions: set[PositionRow] = field(default_factory=set)
    persons: set[PersonRow] = field(default_factory=set)

    def update(self, other: IndexRows) -> None:
        for kind in _KINDS:
            getattr(self, kind).update(getattr(other, kind))

    def without(self, other: IndexRows) -> IndexRows:
        return IndexRows(*(getattr(self, kind) - getattr(other, kind) for kind in _KINDS))

    def flat(self) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """The rows of each kind as plain values, a measure as its five."""
        for kind in _KINDS:
            rows = getattr(self, kind)
            if kind in ("quantities", "composites"):
                yield kind, [_plain(row) for row in rows]
            else:
                yield kind, list(rows)

    def __len__(self) -> int:
        return sum(len(getattr(self, kind)) for kind in _KINDS)


_KINDS = tuple(each.name for each in fields(IndexRows))

_NO_MEASURE = (None,) * len(Measure._fields)


def _plain(row: QuantityRow | CompositeRow) -> tuple[Any, ...]:
    at = row._fields.index("measure")
    return (*row[:at], *(row.measure or _NO_MEASURE), *row[at + 1 :])


def systems_in(extracted: Iterable[Extracted]) -> set[str]:
    """The systems that must be interned before `rows_of` can be asked."""
    found: set[str | None] = set()
    for one in extracted:
        found.update(token.system for token in one.tokens)
        found.update(token.system for token in one.identifiers)
        found.update(quantity.system for quantity in one.quantities)
        for composite in one.composites:
            found.update(
                part.system for part in composite.parts if isinstance(part, Token | Quantity)
            )
    return {system for system in found if system}


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
    for token in (*extracted.tokens, *extracted.identifiers):
        rows.tokens.add(
            TokenRow(
                token.parameter, systems[token.system] if token.system else 0, token.code, *owner
            )
        )
    for text in extracted.strings:
        rows.strings.add(StringRow(text.parameter, normalise(text.value), text.value, *owner))
    for text in extracted.texts:
        folded = normalise(text.value)
        rows.strings.add(StringRow(text.parameter, folded, folded, *owner))
    for found in extracted.references:
        target, uri = _target(found, targets)
        if target is not None or uri is not None:
            rows.references.add(ReferenceRow(found.parameter, target, uri, *owner))
    for date in extracted.dates:
        rows.dates.add(DateRow(date.parameter, date.low, date.high, *owner))
    for number in extracted.numbers:
        rows.numbers.add(NumberRow(number.parameter, *_ends(number), rid, source, patient))
    for quantity in extracted.quantities:
        system = systems[quantity.system] if quantity.system else 0
        rows.quantities.add(
            QuantityRow(
                quantity.parameter, system, quantity.code, quantity.unit, _measure(quantity), *owner
            )
        )
    for address in extracted.uris:
        rows.uris.add(UriRow(address.parameter, address.value, *owner))
    for composite in extracted.composites:
        rows.composites.add(_composite(composite, owner, systems, targets))
    for place in extracted.positions:
        rows.positions.add(PositionRow(*place, *owner))
    return rows


def _target(found: Ref, targets: Mapping[str, int]) -> tuple[int | None, str | None]:
    local = found.reference.local
    target = targets.get(local) if local is not None else None
    return target, found.reference.text or None if target is None else None


def _ends(number: Number | Quantity) -> tuple[Decimal, Decimal]:
    return (
        OPEN_LOW if number.low is None else number.low,
        OPEN_HIGH if number.high is None else number.high,
    )


def _measure(quantity: Quantity) -> Measure:
    unit = unit_of(quantity.system, quantity.code)
    low, high = _ends(quantity)
    if unit is None:
        return Measure(low, high, None, None, None)
    canonical_low = OPEN_LOW if quantity.low is None else unit.canonical(quantity.low)
    if quantity.high is None:
        canonical_high = OPEN_HIGH
    elif quantity.high == quantity.low:
        canonical_high = canonical_low
    else:
        canonical_high = unit.canonical(quantity.high)
    return Measure(low, high, unit.dimension, canonical_low, canonical_high)


def _composite(
    composite: Composite,
    owner: tuple[int, int, int | None],
    systems: Mapping[str, int],
    targets: Mapping[str, int],
) -> CompositeRow:
    # the code first, as in the table, where a parameter names it last
    first, second, *more = sorted(composite.parts, key=lambda part: not isinstance(part, Token))
    assert isinstance(first, Token)
    row = CompositeRow(
        composite.parameter, systems[first.system] if first.system else 0, first.code, *owner
    )
    if more and isinstance(more[0], Number):
        row = row._replace(third=more[0].low)
    match second:
        case Token(_, system, code):
            return row._replace(value_system=systems[system] if system else 0, value=code)
        case Quantity():
            return row._replace(
                value_system=systems[second.system] if second.system else 0,
                value=second.code,
                unit=second.unit,
                measure=_measure(second),
            )
        case Number():
            return row._replace(measure=Measure(*_ends(second), None, None, None))
        case Str(_, value):
            return row._replace(value=normalise(value))
        case Date(_, low, high):
            return row._replace(first=low, last=high)
        case Ref():
            target, uri = _target(second, targets)
            return row._replace(target=target, value=uri)
