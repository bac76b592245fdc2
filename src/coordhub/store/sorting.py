"""The order of a search's matches: sort values of every kind, and where a page begins among them.

A date sorts by its first instant. What a resource lacks is last in either direction.

http://hl7.org/fhir/R4/search.html#sort
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordhub.r4.parameters import SearchParameter, single_valued, sources
from coordhub.r4.search import SortKey
from coordhub.store.arguments import Arguments
from coordhub.store.criteria import TABLES


@dataclass(frozen=True, slots=True)
class Key:
    """A sort value: its SQL on a resource's row `r`, its type, and its direction."""

    expression: str
    sql_type: str
    descending: bool


_TEXT = ("text", "''", "U&'\\+10FFFF'")
_NUMBER = ("numeric", "'-Infinity'", "'Infinity'")
_KINDS = {
    "date": ("i.low", "i.low", "timestamptz", "'-infinity'", "'infinity'"),
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
    return [*keys, Key("r.rid", "bigint", not keys or keys[0].descending)]


@dataclass(frozen=True, slots=True)
class Walk:
    """The order of the first key as an index has it, for a date that a resource has once or not.

    param: its number. missing: the sort value of a resource without it; these are asked after the
        others, and only if the page has room for them.
    """

    param: int
    missing: str


def walk_of(sort: Sequence[SortKey]) -> Walk | None:
    """The walk that gives the order of this sort; None where it must be sorted."""
    if not sort or sort[0].parameter.kind != "date" or not single_valued(sort[0].parameter):
        return None
    parameter = sort[0].parameter
    (known, *_) = sources(parameter.resource_type)[parameter.code]
    return Walk(
        known.id, "'-infinity'::timestamptz" if sort[0].descending else "'infinity'::timestamptz"
    )


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
