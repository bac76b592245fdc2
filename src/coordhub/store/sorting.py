"""The order of a search's matches: sort values of every kind, and where a page begins among them.

http://hl7.org/fhir/R4/search.html#sort
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordhub.r4.parameters import SearchParameter, sources
from coordhub.r4.search import SortKey
from coordhub.store.criteria import TABLES, Arguments


@dataclass(frozen=True, slots=True)
class Key:
    """A sort value: its SQL on a resource's row `r`, its type, and its direction."""

    expression: str
    sql_type: str
    descending: bool


_TEXT = ("text", "''", "U&'\\+10FFFF'")
_NUMBER = ("numeric", "'-Infinity'", "'Infinity'")
_KINDS = {
    "date": ("i.low", "i.high", "timestamptz", "'-infinity'", "'infinity'"),
    "string": ("i.value", "i.value", *_TEXT),
    "token": ("i.code", "i.code", *_TEXT),
    "uri": ("i.value", "i.value", *_TEXT),
    "reference": ("coalesce(t.fhir_id, i.uri)", "coalesce(t.fhir_id, i.uri)", *_TEXT),
    "number": ("i.low", "i.high", *_NUMBER),
    "quantity": (
        "coalesce(i.canonical_low, i.low)",
        "coalesce(i.canonical_high, i.high)",
        *_NUMBER,
    ),
}
"""What is compared ascending and descending, its type, and values below and above all others."""

_TARGET = " left join resource t on t.rid = i.target and t.shard = (i.target & 255)::smallint"


def keys_of(sort: Sequence[SortKey]) -> list[Key]:
    """The sort values, made total by the rid; what a resource lacks is last in either direction."""
    keys = [_key(each.parameter, each.descending) for each in sort]
    return [*keys, Key("r.rid", "bigint", not keys)]


def order_by(keys: Sequence[Key]) -> str:
    return ", ".join(
        f"r.k{number}{' desc' if key.descending else ''}" for number, key in enumerate(keys)
    )


def beyond(keys: Sequence[Key], after: Sequence[str], arguments: Arguments) -> str:
    """Rows that come after the given sort values: greater in the first key that differs."""
    marks = [
        arguments.add(value, f"text::{key.sql_type}")
        for key, value in zip(keys, after, strict=True)
    ]
    steps = []
    for number, key in enumerate(keys):
        same = [f"r.k{before} = {marks[before]}" for before in range(number)]
        steps.append(
            " and ".join([*same, f"r.k{number} {'<' if key.descending else '>'} {marks[number]}"])
        )
    return "(" + " or ".join(f"({step})" for step in steps) + ")"


def _key(parameter: SearchParameter, descending: bool) -> Key:
    if parameter.code == "_lastUpdated":
        return Key("r.updated", "timestamptz", descending)
    if parameter.code == "_id":
        return Key("r.fhir_id", "text", descending)
    least, most, sql_type, below, above = _KINDS[parameter.kind]
    known = sources(parameter.resource_type)[parameter.code]
    numbers = ", ".join(str(each.id) for each in known)
    return Key(
        f"coalesce((select {'max' if descending else 'min'}({most if descending else least})"
        f" from {TABLES[parameter.kind]} i{_TARGET if parameter.kind == 'reference' else ''}"
        f" where i.rid = r.rid and i.shard = r.shard and i.param in ({numbers})),"
        f" {below if descending else above})",
        sql_type,
        descending,
    )
