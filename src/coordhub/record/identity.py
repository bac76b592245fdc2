"""Which resource each operation means: conditional criteria, ids, shards, and references rewritten.

An id is the hub's own by default: a random UUID that carries its shard, which is the one of its
patient. A client with the permission may choose ids by PUT. Conditional identity is per writing
organization and among what the caller sees; the lock on its criteria makes it free of races.

http://hl7.org/fhir/R4/http.html#ccreate, #trules, #upsert
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.errors import FhirError, Issue, bad_request, precondition_failed, unprocessable
from coordhub.r4 import compartment, reference
from coordhub.r4.search import parse_query
from coordhub.r4.types import NUMBER
from coordhub.record.hub import DIRECTORY_SHARD
from coordhub.record.operations import Create, Delete, Operation
from coordhub.record.work import Work
from coordhub.store import search
from coordhub.store.resources import Version, locate, shard_of_id
from coordhub.store.visibility import Viewer


def criteria_key(caller: Caller, resource_type: str, criteria: str) -> int:
    """The advisory lock of one conditional identity: signed 64 bits, as Postgres takes it."""
    pairs = sorted(parse_qsl(criteria, keep_blank_values=True))
    text = f"{caller.organization}|{resource_type}|{pairs}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


async def match_conditional_creates(
    work: Work, operations: Sequence[Operation]
) -> dict[int, Version]:
    """Existing resources that conditional creates match, by the operation's position.

    Locks each identity first, in sorted order, so that of any number of equal requests one creates.
    Two entries with one identity: 400 naming both. More than one match: 412.
    """
    keys: dict[int, int] = {}
    for position, operation in enumerate(operations):
        if isinstance(operation, Create) and operation.if_none_exist is not None:
            key = criteria_key(work.caller, operation.type, operation.if_none_exist)
            if key in keys:
                other = operations[keys[key]]
                raise bad_request(
                    f"{operation.at or 'This'} has the same identity (ifNoneExist) as {other.at}. "
                    "Send each resource once.",
                    operation.at,
                    code="duplicate",
                )
            keys[key] = position
    if not keys:
        return {}
    for key in sorted(keys):
        await work.conn.execute("select pg_advisory_xact_lock($1)", key)
    found: dict[int, Version] = {}
    for position in keys.values():
        operation = operations[position]
        assert isinstance(operation, Create)
        assert operation.if_none_exist is not None
        matches = await _search(
            work, operation.type, operation.if_none_exist, operation.at, own=True
        )
        if len(matches) > 1:
            raise precondition_failed(
                f"{operation.at or 'If-None-Exist'}: the criteria match more than one {operation.type}. "
                "Use criteria that identify one, such as an identifier."
            )
        if matches:
            found[position] = matches[0]
    return found


async def _search(
    work: Work, resource_type: str, criteria: str, at: str, *, own: bool
) -> list[Version]:
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
    view = viewer.of(work.caller)
    page = await search.search(
        work.conn,
        work.hub.engine,
        view,
        query,
        limit=2,
        source=work.caller.organization if own else None,
    )
    return page.versions


async def resolve_conditional_references(
    work: Work, operations: Sequence[Operation]
) -> dict[str, str]:
    """`Type?query` references of the documents -> `Type/id` of their one match. 422 naming each other."""
    wanted: dict[str, str] = {}
    for operation in operations:
        if isinstance(operation, Delete):
            continue
        for path, element in reference.walk(operation.document):
            found = reference.parse_element(element)
            if found is not None and found.kind == "conditional":
                wanted.setdefault(found.text, f"{_located(operation.at, path)}.reference")
    mapping: dict[str, str] = {}
    issues: list[Issue] = []
    for text, path in wanted.items():
        resource_type, _, criteria = text.partition("?")
        matches = await _search(work, resource_type, criteria, path, own=False)
        if len(matches) == 1:
            mapping[text] = matches[0].reference
        elif matches:
            issues.append(
                Issue(
                    "multiple-matches",
                    "The conditional reference matches more than one resource.",
                    path,
                )
            )
        else:
            issues.append(
                Issue("not-found", "The conditional reference matches nothing known here.", path)
            )
    if issues:
        raise unprocessable(*issues)
    return mapping


def _located(at: str, path: str) -> str:
    """A path within an entry's resource, seen from the Bundle."""
    return f"{at}.{path.partition('.')[2]}" if at else path


async def locate_names(
    work: Work,
    operations: Sequence[Operation],
    base: str,
    view: Viewer,
    met: Iterable[str],
) -> None:
    """Find in one statement all that the operations name: their targets and their references.

    met: `Type/id` of what their conditions were found to mean.
    """
    names = {(name.partition("/")[0], name.partition("/")[2]) for name in met}
    for operation in operations:
        if not isinstance(operation, Create):
            names.add((operation.type, operation.id))
        if not isinstance(operation, Delete):
            for _, element in reference.walk(operation.document):
                found = reference.parse_element(element, base=base)
                if found is not None and found.local is not None and found.type and found.id:
                    names.add((found.type, found.id))
    work.located |= await locate(
        work.conn, view, sorted(name for name in names if name[0] in NUMBER)
    )


def assign_ids(
    work: Work,
    operations: Sequence[Operation],
    matched: dict[int, Version],
    conditional: dict[str, str],
) -> tuple[list[str], dict[str, str]]:
    """The `Type/id` of each operation, and what references are to be rewritten to.

    New resources get the shard of their patient: patients first, then what refers to them.
    """
    references: list[str] = [""] * len(operations)
    mapping = dict(conditional)
    waiting: list[tuple[int, Create]] = []
    for position, operation in enumerate(operations):
        if position in matched:
            references[position] = matched[position].reference
        elif not isinstance(operation, Create):
            references[position] = f"{operation.type}/{operation.id}"
        elif operation.type == "Patient":
            references[position] = f"Patient/{work.hub.new_id(work.hub.new_shard())}"
        else:
            waiting.append((position, operation))
            continue
        if not isinstance(operation, Delete) and operation.full_url:
            mapping[operation.full_url] = references[position]
    made = {*references, *mapping.values()}
    for position, operation in waiting:
        shard = _shard_of_patient(work, operation.document, mapping, made)
        references[position] = f"{operation.type}/{work.hub.new_id(shard)}"
        if operation.full_url:
            mapping[operation.full_url] = references[position]
    return references, mapping


def _shard_of_patient(
    work: Work, document: dict[str, Any], mapping: dict[str, str], made: set[str]
) -> int:
    """made: the patients of this commit among others, whether they have a fullUrl or not."""
    for text in compartment.patient_references(reference.rewrite(document, mapping.get)):
        kind, _, fhir_id = text.partition("/")
        found = work.located.get((kind, fhir_id))
        if found is not None and found.visible:  # the id must not tell a hidden one from an absent
            return found.rid & 255
        if text in made:
            return shard_of_new_patient(fhir_id)
    return DIRECTORY_SHARD


def shard_of_new_patient(fhir_id: str) -> int:
    """The shard of a Patient that is being made: carried by an id of the hub's form, else hashed from it."""
    carried = shard_of_id(fhir_id)
    return carried if carried is not None else hashlib.sha256(fhir_id.encode()).digest()[0] or 1
