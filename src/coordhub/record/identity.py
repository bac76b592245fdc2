"""The ids of what is written: given or chosen, their shards, and the references rewritten to them.

An id is the hub's own by default: a random UUID that carries its shard, which is the one of its
patient. A client with the permission may choose ids by PUT.

http://hl7.org/fhir/R4/http.html#trules, #upsert
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from coordhub.r4 import reference
from coordhub.r4.types import NUMBER
from coordhub.record.hub import DIRECTORY_SHARD
from coordhub.record.operations import Create, Delete, Settled
from coordhub.record.work import Work
from coordhub.store.resources import Version, locate, shard_of_id
from coordhub.store.visibility import Viewer


async def locate_names(
    work: Work,
    operations: Sequence[Settled],
    base: str,
    view: Viewer,
    met: Iterable[str],
) -> None:
    """Find in one statement all that the operations name: their targets and their references.

    Of the only target, if it needs no lock, also what is stored; and of Patients, whose changes may touch
    referrals that are to be locked before.

    met: `Type/id` of what their conditions were found to mean.
    """
    names = {(name.partition("/")[0], name.partition("/")[2]) for name in met}
    changed: set[tuple[str, str]] = set()
    for operation in operations:
        if not isinstance(operation, Create):
            changed.add((operation.type, operation.id))
        if not isinstance(operation, Delete):
            for _, element in work.references_in(operation.document):
                found = reference.parse_element(element, base=base)
                if found is not None and found.local is not None and found.type and found.id:
                    names.add((found.type, found.id))
    names |= changed
    work.located |= await locate(
        work.conn,
        view,
        sorted(name for name in names if name[0] in NUMBER),
        whole=changed
        if work.unlocked and len(changed) == 1
        else sorted(name for name in changed if name[0] == "Patient"),
    )


def assign_ids(
    work: Work,
    operations: Sequence[Settled],
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
    for text in work.patients_in(work.rewritten(document, mapping)):
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
