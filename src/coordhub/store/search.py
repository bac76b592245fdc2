"""A search as one SQL statement: what matches, what the viewer may see, one page of it.

What a viewer wrote or finds in the directory, what a grant shows and what a rule opens are asked
each by itself, and one page of all is merged: Postgres may then begin with what the viewer sees, with
what matches, or with the newest, whichever is least. The newest with a code, and grants, come in one order
from two indexes, so that a page of what is common ends early. Where one patient's records are searched,
visibility is one condition on each row. A page begins after the sort values of
the last row of the page before: nothing is kept between pages, nothing that did not change appears
twice or is left out.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import asyncpg

from coordhub.errors import too_costly
from coordhub.r4 import types
from coordhub.r4.parameters import main_patient_parameters
from coordhub.r4.search import (
    CompositeValue,
    Condition,
    Criterion,
    QuantityValue,
    Query,
    ReferenceValue,
    TokenValue,
    Value,
)
from coordhub.r4.search_criteria import values_of
from coordhub.store import narrowing, persons
from coordhub.store.arguments import Arguments, Shared, any_of
from coordhub.store.criteria import Criteria
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import COLUMNS, WIDTH, Version, shard_of_id, version_of
from coordhub.store.sorting import Walk, beyond, keys_of, order_by, walk_of
from coordhub.store.visibility import Viewer, Way, shown, visible, ways

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """versions: the matches, in order. next: where the next page begins; None: no more.

    is_of_more: of a Patient that was named the viewer sees further records (`of_more`).
    """

    versions: list[Version]
    next: list[str] | None
    is_of_more: bool = False

    @classmethod
    def of(cls, rows: Sequence[Any], limit: int) -> Page:
        """Of rows as they came, one more than it holds; a row without a rid is that of `of_more`."""
        found = [row for row in rows if row[0] is not None]
        page = found[:limit]
        following = list(page[-1][WIDTH:]) if len(found) > limit else None
        return cls([version_of(row) for row in page], following, len(found) < len(rows))


async def search(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    query: Query,
    *,
    limit: int,
    after: Sequence[str] | None = None,
    source: int | None = None,
    named: Collection[str] = (),
) -> Page:
    """One page of at most `limit` matches that this viewer may see.

    after: `Page.next` of the page before. source: only what this organization wrote. named: Patients (ids) of
    whom is asked besides whether they have further records.
    Without _sort the newest creations come first. 400 too-costly if it takes longer than the
    connection's time limit.
    """
    statement, arguments = await composed(
        conn, engine, viewer, query, limit=limit, after=after, source=source, named=named
    )
    return Page.of(await in_time(conn.fetch(statement, *arguments)), limit)


def of_more(
    statement: str, viewer: Viewer, named: Collection[str], keys: int, arguments: Arguments
) -> str:
    """The same statement, with a row of nulls where there are further records of who is named.

    Beside its own rows: what Postgres plans for them is as it was. keys: how many sort values a row has.
    """
    if not named:
        return statement
    condition, values = persons.beside_any(viewer, named, arguments.following)
    arguments.extend(values)
    nulls = ", ".join(["null"] * (WIDTH + keys))
    return f"({statement}) union all (select {nulls} where {condition})"


async def in_time(asked: Awaitable[T]) -> T:
    """What the database answers to a search; 400 too-costly beyond the connection's time limit."""
    try:
        return await asked
    except asyncpg.QueryCanceledError as error:
        raise too_costly(
            "The search took too long. Ask for less: add a patient, a code, a date or an "
            "identifier, or sort by _lastUpdated."
        ) from error


def keeps_its_plan(query: Query) -> bool:
    """Whether one plan is right for all values: what is asked of one patient's record and more.

    Such a search goes by a connection that keeps its plans; to plan it costs more than to run it.
    """
    return _of_one_patient(query) is not None and len(query.criteria) > 1


async def composed(
    conn: Connection,
    engine: Engine,
    viewer: Viewer,
    query: Query,
    *,
    limit: int,
    after: Sequence[str] | None = None,
    source: int | None = None,
    named: Collection[str] = (),
) -> tuple[str, list[object]]:
    """The statement of a search and its arguments; it reads one row more than the page holds."""
    asking = viewer
    arguments, shared = Arguments(), Shared()
    systems = await _systems(conn, engine, query.criteria)
    criteria = Criteria(viewer, systems, arguments, shared)
    walk = walk_of(query.sort)
    walked = _walked(query, criteria, walk)
    whose = _within_one_record(query, criteria)
    others = tuple(each for each in query.criteria if each not in walked and each is not whose)
    matching = _alternatives(replace(query, criteria=others), source, criteria, arguments)
    first = arguments.following
    viewer = narrowing.of_query(viewer, query)
    seen = _seen(viewer, arguments, one_patient=whose is not None)
    keys = keys_of(query.sort)
    following = f" where {beyond(keys, after, arguments)}" if after is not None else ""
    ordered = f" order by {order_by(keys)}"
    order = f"{ordered} limit {arguments.add(limit + 1, 'int')}"

    def page(rows: str, first: str | None = None) -> str:
        """One page, in order, of `rows`; first: the first sort value, if not the key's own."""
        values = [first or keys[0].expression, *(key.expression for key in keys[1:])]
        columns = "".join(f", {value} as k{number}" for number, value in enumerate(values))
        if whose is not None:
            asked = " and ".join([criteria.condition(whose), seen[0].condition])
            parts = [
                # An OFFSET, even of nothing, keeps Postgres from asking before it has sorted.
                f"(select r.* from (select r.* from (select r.*{columns} from {rows} where {each}) r"
                f"{ordered} offset 0) r"
                f"{following} {'and' if following else 'where'} {asked}{order})"
                for each in matching
            ]
            return f"(select * from ({' union all '.join(parts)}) r{order})"
        parts = [
            f"(select r.* from (select r.*{columns} from {rows}{way.beside}"
            f" where {each} and {way.condition}) r"
            f"{following}{order})"
            for each in matching
            for way in seen
        ]
        return f"(select * from ({' union all '.join(parts)}) r{order})"

    marks = "".join(f", r.k{number}::text" for number in range(len(keys)))
    columns = f"select {COLUMNS}, {shown(viewer, 'r', first)}{marks} from"
    if walk is None:
        rows = "resource r"
        if walked:
            rows = (
                f"idx_token w join resource r on r.rid = w.rid and {criteria.coded(walked[0], 'w')}"
            )
        found = f"{page(rows, 'w.rid' if walked else None)} r"
    else:
        of_patient = f" and d.patient = {criteria.patient}" if criteria.patient else ""
        dated = (
            f"idx_date d join resource r on r.rid = d.rid and d.param = {walk.param}{of_patient}"
        )
        within = "".join(f" and {criteria.dated(each, 'd')}" for each in walked)
        first_asked = page(f"{dated}{within}", "d.low")
        found = f"{first_asked} r"
        if not walked:
            undated = (
                "(select * from resource r where not exists (select from idx_date d where d.rid = r.rid"
                f" and d.param = {walk.param})) r"
            )
            # An Append asks its parts in turn and stops when it has enough.
            most = arguments.add(limit + 1, "int")
            found = f"({first_asked} union all {page(undated, walk.missing)}) r limit {most}"
    whole = of_more(f"{columns} {found}", asking, named, len(keys), arguments)
    return f"{shared.beginning}{whole}", arguments.values


def _walked(query: Query, criteria: Criteria, walk: Walk | None) -> tuple[Criterion, ...]:
    """The criteria by whose index the matches are walked in order: of the date by which they are sorted, or one code.

    An EXISTS would be met from all rows that fit, or from all rows: Postgres does not know that they come
    in order. One patient's records are few, and are sorted.
    """
    asked = [each for each in query.criteria if isinstance(each, Criterion)]
    if walk is not None:
        by = query.sort[0].parameter
        return tuple(each for each in asked if each.parameter == by and criteria.is_dated(each))
    if query.sort or _of_one_patient(query) is not None:
        return ()
    return tuple(each for each in asked if criteria.is_of_code(each))[:1]


def _seen(viewer: Viewer, arguments: Arguments, *, one_patient: bool) -> list[Way]:
    """What the viewer sees, by several ways in; or by one: one patient's records are few enough to look at each."""
    if one_patient or viewer.everything:
        condition, values = visible(viewer, "r", arguments.following)
        conditions = [Way(condition)]
    else:
        conditions, values = ways(viewer, "r", arguments.following)
    arguments.extend(values)
    return conditions


def _alternatives(
    query: Query, source: int | None, criteria: Criteria, arguments: Arguments
) -> list[str]:
    """What matches; where there are links, two plans for it, of which one is gated off at run time."""
    matching = _matching(query, source, criteria, arguments)
    links = [each for each in query.criteria if not isinstance(each, Criterion)]
    if not links:
        return [" and ".join(matching)]
    criteria.probing = True
    walking = [criteria.condition(each) for each in query.criteria]
    common = " and ".join(criteria.common(each) for each in links)
    plain = matching[: -len(walking)]
    return [
        " and ".join([*matching, f"not ({common})"]),
        " and ".join([*plain, *walking, f"({common})"]),
    ]


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
    found = []
    for query in queries:
        criteria = Criteria(viewer, await _systems(conn, engine, query.criteria), arguments)
        _within_one_record(query, criteria)
        found.append(_matching(query, None, criteria, arguments, typed=typed))
    return found[0] if len(found) == 1 else [any_of(" and ".join(each) for each in found)]


def _matching(
    query: Query,
    source: int | None,
    criteria: Criteria,
    arguments: Arguments,
    *,
    typed: bool = True,
) -> list[str]:
    conditions = ["r.body is not null"]
    if typed:
        number = types.NUMBER[query.resource_type]
        conditions.insert(0, f"r.type = {arguments.add(number, 'smallint')}")
    if source is not None:
        conditions.append(f"r.source = {arguments.add(source, 'bigint')}")
    if query.ids is not None:
        ids = arguments.add(list(query.ids), "text[]")
        shards = arguments.add([shard_of_id(each) for each in query.ids], "smallint[]")
        conditions.append(
            f"r.fhir_id = any({ids}) and r.shard = any({shards} || array("
            f"select a.shard from assigned_id a where a.fhir_id = any({ids})))"
        )
    conditions.extend(criteria.updated(alternatives, "r") for alternatives in query.last_updated)
    if criteria.patient is not None:
        conditions.append(f"r.patient = {criteria.patient}")
    conditions.extend(criteria.condition(each) for each in query.criteria)
    return conditions


def _within_one_record(query: Query, criteria: Criteria) -> Criterion | None:
    """Have all be looked for in one patient's record if the matches can only be there; the criterion that says so."""
    of_patient = _of_one_patient(query)
    if of_patient is None or criteria.keeps_apart:
        return None
    criterion, patient = of_patient
    criteria.patient = f"({criteria.rids(ReferenceValue(patient, ('Patient',), None))} limit 1)"
    return criterion


def _of_one_patient(query: Query) -> tuple[Criterion, str] | None:
    """The criterion by which the matches can only be in one patient's record, and that one's id."""
    codes = main_patient_parameters(query.resource_type)
    for each in query.criteria:
        if (
            isinstance(each, Criterion)
            and each.parameter.code in codes
            and each.modifier is None
            and len(each.values) == 1
        ):
            (value,) = each.values
            (path,) = each.parameter.paths
            if (
                isinstance(value, ReferenceValue)
                and value.id is not None
                and (value.types == ("Patient",) or path.steps[0][1:] == ("type", "Patient"))
            ):
                return each, value.id
    return None


async def _systems(
    conn: Connection, engine: Engine, criteria: Iterable[Condition]
) -> dict[str, int]:
    uris = {
        system
        for condition in criteria
        for value in values_of(condition)
        for system in _stated(value)
    }
    return await engine.known_systems(conn, uris) if uris else {}


def _stated(value: Value) -> Iterable[str]:
    match value:
        case TokenValue(system=str(system)) | QuantityValue(system=str(system)):
            yield system
        case CompositeValue(parts):
            for part in parts:
                yield from _stated(part)
