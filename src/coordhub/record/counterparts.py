"""What a partner means by ids of its own server: the hub's resource of which it has the copy.

A partner that gives its own ids to what it is sent names it by them when it writes to the hub: as an
absolute URL below its base, or as it would at home. Both are read as the hub's own reference, where it
may see what is meant; else it stays as it was written.

http://hl7.org/fhir/R4/references.html#literal
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from coordhub.access import viewer
from coordhub.r4 import reference
from coordhub.r4.types import NUMBER
from coordhub.record.operations import Create, Delete, Settled, Update
from coordhub.record.work import Work
from coordhub.store import counterparts as store
from coordhub.store.counterparts import Known


async def absolute(work: Work, operations: Sequence[Settled]) -> dict[str, str]:
    """Absolute references below the caller's own bases, to what the hub has of it: as `Type/id` of the hub.

    Not the focus of a new Task: what that is about is read anew (`record.elsewhere`).
    """
    if work.caller.is_hub or work.caller.is_person:
        return {}
    named = {
        found.text: f"{found.type}/{found.id}"
        for found in _references(work, operations)
        if found.kind == "absolute" and found.id is not None
    }
    for operation in operations:
        if isinstance(operation, Create) and operation.type == "Task" and named:
            focus = operation.document.get("focus")
            named.pop(focus.get("reference", "") if isinstance(focus, dict) else "", None)
    if not named:
        return {}
    known = await store.meant(work.conn, viewer.of(work.caller), set(named.values()))
    at_home = {f"{one.address.rstrip('/')}/{one.theirs}": one.ours for one in known}
    return {
        text: at_home[url]
        for text in named
        if (url := text.partition("#")[0].partition("/_history/")[0]) in at_home
    }


async def relative(
    work: Work, operations: Sequence[Settled]
) -> tuple[list[Settled], dict[str, str]]:
    """The same of what is written as `Type/id` and unknown here: operations and references.

    To be asked once everything named was looked for: an id of the hub goes before.
    """
    settled = list(operations)
    if work.caller.is_hub or work.caller.is_person:
        return settled, {}
    names = {
        (found.type or "", found.id or "")
        for found in _references(work, operations)
        if found.kind == "local"
    }
    names |= {(one.type, one.id) for one in operations if isinstance(one, Update)}
    unknown = {
        f"{kind}/{fhir_id}"
        for kind, fhir_id in names
        if kind in NUMBER and (kind, fhir_id) not in work.located
    }
    if not unknown:
        return settled, {}
    ours = _unambiguous(await store.meant(work.conn, viewer.of(work.caller), unknown))
    for position, one in enumerate(settled):
        meant = ours.get(f"{one.type}/{one.id}") if isinstance(one, Update) else None
        if isinstance(one, Update) and meant is not None:
            fhir_id = meant.partition("/")[2]
            document = {**one.document, "id": fhir_id}
            settled[position] = replace(one, id=fhir_id, document=document)
    return settled, ours


def _references(work: Work, operations: Sequence[Settled]) -> Iterable[reference.Reference]:
    for operation in operations:
        if not isinstance(operation, Delete):
            for _, element in work.references_in(operation.document):
                found = reference.parse_element(element, base=work.hub.base)
                if found is not None:
                    yield found


def _unambiguous(known: Sequence[Known]) -> dict[str, str]:
    """Of two servers of one organization each may have given the same id to something else."""
    meant: dict[str, set[str]] = {}
    for one in known:
        meant.setdefault(one.theirs, set()).add(one.ours)
    return {theirs: ours.pop() for theirs, ours in meant.items() if len(ours) == 1}
