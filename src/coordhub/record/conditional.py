"""Which resource criteria mean: conditional creates, updates, patches and deletions, and references.

Conditional identity is per writing organization and among what the caller sees. Of all that a commit
names by criteria the identities are locked first, in one order, so that of any number of equal
requests one creates and the others find what it made. A patch creates nothing: where its caller has
no match of its own, what others wrote and show it is looked through too, as for the Task that asks it.

http://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #cdelete, #ccpatch
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.errors import (
    FhirError,
    Issue,
    bad_request,
    precondition_failed,
    unprocessable,
)
from coordhub.r4 import reference
from coordhub.r4.search import Query, parse_query
from coordhub.record.operations import Create, Delete, Operation, Patch, Settled, Update
from coordhub.record.work import Work
from coordhub.store import matches as store
from coordhub.store.resources import Version


@dataclass(slots=True)
class Meant:
    """Operations whose resource is known by its id, or that make one.

    origins: of each, the position of what was asked; a deletion may mean several or none.
    matched: by position here, what a create found instead.
    """

    operations: list[Create | Update | Patch | Delete] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    matched: dict[int, Version] = field(default_factory=dict)

    def add(self, operation: Operation, origin: int) -> None:
        self.operations.append(operation)
        self.origins.append(origin)


def criteria_of(operation: Operation) -> str | None:
    return operation.if_none_exist if isinstance(operation, Create) else operation.criteria


def criteria_key(caller: Caller, resource_type: str, criteria: str) -> int:
    """The advisory lock of one conditional identity: signed 64 bits, as Postgres takes it."""
    return _key(f"{caller.organization}|{_identity(resource_type, criteria)}")


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _identity(resource_type: str, criteria: str) -> str:
    return f"{resource_type}|{sorted(parse_qsl(criteria, keep_blank_values=True))}"


async def settle(
    work: Work, operations: Sequence[Operation], there: Mapping[int, Version]
) -> Meant:
    """Find what the criteria of the operations match, and say which resource each means.

    there: by position, what a create is known to mean otherwise.
    Two operations with one identity: 400 naming both. More matches than may be: 412.
    """
    asked = {
        position: (operation.type, criteria)
        for position, operation in enumerate(operations)
        if (criteria := criteria_of(operation)) is not None
    }
    meant = Meant()
    found: Mapping[int, list[Version]] = {}
    if asked:
        _refuse_one_identity_twice(operations, asked)
        queries = {
            position: _query(kind, criteria, operations[position].at)
            for position, (kind, criteria) in asked.items()
        }
        await work.hold()
        keys = {criteria_key(work.caller, kind, criteria) for kind, criteria in asked.values()}
        await store.lock_identities(work.conn, _key(f"{work.caller.organization}"), keys)
        found = await _matches(work, operations, queries)
    for position, operation in enumerate(operations):
        if position in there:
            meant.matched[len(meant.operations)] = there[position]
            meant.add(operation, position)
        elif position in asked:
            _mean(work, meant, position, operation, found.get(position, []))
        else:
            meant.add(operation, position)
    return meant


def _refuse_one_identity_twice(
    operations: Sequence[Operation], asked: Mapping[int, tuple[str, str]]
) -> None:
    seen: dict[str, int] = {}
    for position, (kind, criteria) in asked.items():
        first = seen.setdefault(_identity(kind, criteria), position)
        if first != position:
            raise bad_request(
                f"{operations[position].at or 'This'} has the same identity (criteria) as "
                f"{operations[first].at}. Send each resource once.",
                operations[position].at,
                code="duplicate",
            )


def _query(resource_type: str, criteria: str, at: str) -> Query:
    pairs = parse_qsl(criteria, keep_blank_values=True)
    if not pairs:
        raise bad_request("The criteria are empty. Use for example identifier=system|value.", at)
    try:
        query = parse_query(resource_type, pairs)
    except FhirError as error:
        raise FhirError(
            error.status,
            *(Issue(i.code, i.diagnostics, at or i.expression, i.severity) for i in error.issues),
        ) from error
    if not (query.criteria or query.last_updated or query.ids is not None):
        raise bad_request(
            f"These criteria leave no {resource_type} out. Use for example identifier=system|value.",
            at,
        )
    return query


async def _matches(
    work: Work, operations: Sequence[Operation], queries: Mapping[int, Query]
) -> dict[int, list[Version]]:
    engine, view = work.hub.engine, viewer.searching(work.caller)
    most = max(_most(operations[position]) for position in queries)
    found = await store.find(
        work.conn, engine, view, queries, limit=most + 1, source=work.caller.organization
    )
    others = {
        position: query
        for position, query in queries.items()
        if not found[position] and isinstance(operations[position], Patch)
    }
    if others:
        found |= await store.find(work.conn, engine, view, others, limit=2)
    return found


def _most(operation: Operation) -> int:
    return operation.most if isinstance(operation, Delete) else 1


def _mean(
    work: Work, meant: Meant, position: int, operation: Operation, matches: Sequence[Version]
) -> None:
    if len(matches) > _most(operation):
        raise precondition_failed(
            f"The criteria match more than one {operation.type}. "
            "Use criteria that identify one, such as an identifier.",
            operation.at,
        )
    match operation:
        case Create():
            if matches:
                meant.matched[len(meant.operations)] = matches[0]
            meant.add(operation, position)
        case Update():
            meant.add(_update(work, operation, matches), position)
        case Delete():
            for found in matches:
                meant.add(replace(operation, id=found.id, criteria=None), position)
        case Patch():
            if not matches:
                raise FhirError(
                    404,
                    Issue(
                        "not-found",
                        f"No {operation.type} that is known here matches the criteria.",
                        operation.at,
                    ),
                )
            meant.add(replace(operation, id=matches[0].id, criteria=None), position)


def _update(work: Work, operation: Update, matches: Sequence[Version]) -> Settled:
    """One match is updated; none is created, under the id that the document has if it may choose."""
    at = f"{operation.at or operation.type}.id"
    if matches:
        if operation.id not in ("", matches[0].id):
            raise bad_request("The criteria match a resource of another id than the body's.", at)
        return replace(operation, id=matches[0].id, criteria=None)
    if operation.if_match is not None:
        raise FhirError(
            412,
            Issue("conflict", "Nothing matches the criteria, so no version of it can match.", at),
        )
    if operation.id:
        return operation
    work.caller.require(operation.type, "create")
    return Create(operation.type, operation.document, operation.full_url, None, operation.at)


async def resolve_references(work: Work, operations: Sequence[Settled]) -> dict[str, str]:
    """`Type?query` references of the documents -> `Type/id` of their one match. 422 naming each other."""
    wanted: dict[str, str] = {}
    for operation in operations:
        if isinstance(operation, Delete):
            continue
        for place, element in work.references_in(operation.document):
            if "?" not in element["reference"]:
                continue
            read = reference.parse_element(element)
            if read is not None and read.kind == "conditional":
                path = _located(operation.at, reference.expression(place))
                wanted.setdefault(read.text, f"{path}.reference")
    if not wanted:
        return {}
    queries: dict[str, Query] = {}
    for text, path in wanted.items():
        resource_type, _, criteria = text.partition("?")
        queries[text] = _query(resource_type, criteria, path)
    view = viewer.searching(work.caller)
    found = await store.find(work.conn, work.hub.engine, view, queries, limit=2)
    issues = [
        Issue(
            "multiple-matches",
            "The conditional reference matches more than one resource.",
            wanted[text],
        )
        if versions
        else Issue(
            "not-found", "The conditional reference matches nothing known here.", wanted[text]
        )
        for text, versions in found.items()
        if len(versions) != 1
    ]
    if issues:
        raise unprocessable(*issues)
    return {text: versions[0].reference for text, versions in found.items()}


def _located(at: str, path: str) -> str:
    """A path within an entry's resource, seen from the Bundle."""
    return f"{at}.{path.partition('.')[2]}" if at else path
