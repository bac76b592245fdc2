"""A search as one SQL statement: what matches, what the viewer may see, one page of it.

Every criterion is a semi-join with the index table of its kind, visibility is a condition on the
resource row, and a page begins after the sort values of the last row of the page before: nothing
is kept between pages, nothing that did not change appears twice or is left out.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coordhub.r4 import types
from coordhub.r4.extract import normalise
from coordhub.r4.parameters import SearchParameter
from coordhub.r4.search import (
    Criterion,
    DateValue,
    MissingValue,
    Query,
    ReferenceValue,
    StringValue,
    TokenValue,
)
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import COLUMNS, Version, shard_of_id, version_of
from coordhub.store.visibility import Viewer, visible

_TABLES = {
    "token": "idx_token",
    "string": "idx_string",
    "reference": "idx_reference",
    "date": "idx_date",
}


@dataclass(frozen=True, slots=True)
class Page:
    """versions: the matches of this page, in order. next: where the next page begins; None: no more."""

    versions: list[Version]
    next: list[str] | None


class Arguments:
    """The values of a statement, each with the type that Postgres is told."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def add(self, value: object, sql_type: str) -> str:
        self.values.append(value)
        return f"${len(self.values)}::{sql_type}"

    def extend(self, values: Sequence[object]) -> None:
        self.values.extend(values)

    @property
    def following(self) -> int:
        return len(self.values) + 1


@dataclass(frozen=True, slots=True)
class _Key:
    """A sort value: its SQL, its type, and its direction."""

    expression: str
    sql_type: str
    descending: bool


async def search(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    query: Query,
    *,
    limit: int,
    after: Sequence[str] | None = None,
    source: int | None = None,
) -> Page:
    """One page of at most `limit` matches that this viewer may see.

    after: `Page.next` of the page before. source: only what this organization wrote.
    Without _sort the newest creations come first.
    """
    arguments = Arguments()
    condition, values = visible(viewer, "r", arguments.following)
    arguments.extend(values)
    where = ["r.body is not null", condition]
    if source is not None:
        where.append(f"r.source = {arguments.add(source, 'bigint')}")
    where += await conditions(conn, engine, viewer, [query], arguments)
    keys = keys_of(query)
    columns = "".join(f", {key.expression} as k{number}" for number, key in enumerate(keys))
    statement = (
        f"select {COLUMNS}{''.join(f', r.k{number}::text' for number in range(len(keys)))}"
        f" from (select r.*{columns} from resource r where {' and '.join(where)}) r"
    )
    if after is not None:
        statement += f" where {beyond(keys, after, arguments)}"
    order = [f"r.k{number}{' desc' if key.descending else ''}" for number, key in enumerate(keys)]
    statement += f" order by {', '.join(order)} limit {arguments.add(limit + 1, 'int')}"
    rows = await conn.fetch(statement, *arguments.values)
    page = rows[:limit]
    more = len(rows) > limit
    return Page([version_of(row) for row in page], list(page[-1][10:]) if more else None)


async def conditions(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    queries: Sequence[Query],
    arguments: Arguments,
    *,
    typed: bool = True,
) -> list[str]:
    """What must hold of `resource r`: one of the queries; typed: that it is of the query's type."""
    found = [
        _matching(query, await _systems(conn, engine, query), arguments, typed=typed)
        for query in queries
    ]
    return found[0] if len(found) == 1 else [_any(" and ".join(each) for each in found)]


def _matching(
    query: Query, systems: dict[str, int], arguments: Arguments, *, typed: bool
) -> list[str]:
    found = []
    if typed:
        found.append(f"r.type = {arguments.add(types.NUMBER[query.resource_type], 'smallint')}")
    if query.ids is not None:
        found.append(f"r.fhir_id = any({arguments.add(list(query.ids), 'text[]')})")
    found.extend(
        _any(
            _date(value, "r.updated", "(r.updated + interval '1 ms')", arguments)
            for value in alternatives
        )
        for alternatives in query.last_updated
    )
    found.extend(_criterion(criterion, systems, arguments) for criterion in query.criteria)
    return found


async def _systems(conn: Connection, engine: Engine, query: Query) -> dict[str, int]:
    uris = {
        value.system
        for criterion in query.criteria
        for value in criterion.values
        if isinstance(value, TokenValue) and value.system
    }
    return await engine.known_systems(conn, uris) if uris else {}


def _any(conditions: Iterable[str]) -> str:
    return "(" + " or ".join(f"({condition})" for condition in conditions) + ")"


def _criterion(criterion: Criterion, systems: dict[str, int], arguments: Arguments) -> str:
    parameter = criterion.parameter
    table = _TABLES[parameter.kind]
    head = (
        f"exists (select from {table} i where i.shard = r.shard and i.rid = r.rid"
        f" and i.param = {arguments.add(parameter.id, 'smallint')}"
    )
    first = criterion.values[0]
    if isinstance(first, MissingValue):
        return f"{'not ' if first.missing else ''}{head})"
    fits = _any(_value(value, criterion.modifier, systems, arguments) for value in criterion.values)
    return f"{'not ' if criterion.modifier == 'not' else ''}{head} and {fits})"


def _value(
    value: object, modifier: str | None, systems: dict[str, int], arguments: Arguments
) -> str:
    match value:
        case TokenValue(system, code, any_system):
            parts = []
            if not any_system:
                number = systems.get(system, -1) if system else 0
                parts.append(f"i.system = {arguments.add(number, 'int')}")
            if code is not None:
                parts.append(f"i.code = {arguments.add(code, 'text')}")
            return " and ".join(parts)
        case StringValue(text):
            if modifier == "exact":
                folded = arguments.add(normalise(text), "text")
                return f"i.value = {folded} and i.exact = {arguments.add(text, 'text')}"
            pattern = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return f"i.value like {arguments.add(f'%{pattern}%' if modifier == 'contains' else f'{pattern}%', 'text')}"
        case ReferenceValue(fhir_id, allowed, reference):
            if fhir_id is None:
                return f"i.uri = {arguments.add(reference.text if reference else '', 'text')}"
            known = arguments.add(fhir_id, "text")
            numbers = [types.NUMBER[name] for name in allowed if name in types.NUMBER] or list(
                types.NUMBER.values()
            )
            of_type = f"t.type = any({arguments.add(numbers, 'smallint[]')})"
            shard = arguments.add(shard_of_id(fhir_id), "smallint")
            return (
                f"i.target = any(array(select t.rid from resource t where t.fhir_id = {known} and {of_type} and t.shard"
                f" = any(array(select {shard} union all select a.shard from assigned_id a where a.fhir_id = {known}))))"
            )
        case DateValue():
            return _date(value, "i.low", "i.high", arguments)
    raise AssertionError(value)


def _date(value: DateValue, low: str, high: str, arguments: Arguments) -> str:
    comparisons = (
        f"{low if each.bound == 'low' else high} {each.operator} {arguments.add(each.at, 'timestamptz')}"
        for each in value.condition.comparisons
    )
    return "(" + f" {value.condition.joined} ".join(comparisons) + ")"


def keys_of(query: Query) -> list[_Key]:
    """The sort values, made total by the rid; what a resource lacks comes last in either direction."""
    keys = [_key(sort.parameter, sort.descending) for sort in query.sort]
    return [*keys, _Key("r.rid", "bigint", not keys)]


def _key(parameter: SearchParameter, descending: bool) -> _Key:
    if parameter.code == "_lastUpdated":
        return _Key("r.updated", "timestamptz", descending)
    if parameter.code == "_id":
        return _Key("r.fhir_id", "text", descending)
    column, sql_type, first, last = {
        "date": ("high" if descending else "low", "timestamptz", "'-infinity'", "'infinity'"),
        "string": ("value", "text", "''", "U&'\\+10FFFF'"),
        "token": ("code", "text", "''", "U&'\\+10FFFF'"),
    }[parameter.kind]
    return _Key(
        f"coalesce((select {'max' if descending else 'min'}(i.{column}) from {_TABLES[parameter.kind]} i"
        f" where i.rid = r.rid and i.shard = r.shard and i.param = {parameter.id}),"
        f" {first if descending else last})",
        sql_type,
        descending,
    )


def beyond(keys: Sequence[_Key], after: Sequence[str], arguments: Arguments) -> str:
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
