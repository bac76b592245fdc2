"""From a Patch to the document that an update would have brought.

A patch is tried on the version that can be read, so that what its outcome names can be found and
locked in one order; under the lock of the row it is done again if the row has moved on since.

http://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordhub.errors import (
    FhirError,
    Issue,
    gone,
    malformed,
    not_found,
    unprocessable,
    version_conflict,
)
from coordhub.r4 import document as fhir_json
from coordhub.r4.fhirpath_patch import FhirPathPatch
from coordhub.r4.json_patch import JsonPatch
from coordhub.record import claiming
from coordhub.record.operations import Operation, Patch, Patched, Settled, Update
from coordhub.record.validation import structure
from coordhub.record.work import Work
from coordhub.store import resources
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer


async def attempt(work: Work, view: Viewer, operations: Sequence[Operation]) -> list[Settled]:
    """The operations with each Patch as the Update it amounts to now.

    404, 410, 412 where there is nothing to patch, 422 for what cannot be done and for every fault
    of what comes of it.
    """
    names = [(one.type, one.id) for one in operations if isinstance(one, Patch)]
    known = await resources.read_names(work.conn, view, names) if names else {}
    for one in operations:
        if isinstance(one, Patch) and (one.type, one.id) not in known:
            await claiming.refuse_late(work, one.type, one.id, one.at)
    settled: list[Settled] = [
        _update(one, known.get((one.type, one.id))) if isinstance(one, Patch) else one
        for one in operations
    ]
    _refuse_invalid(settled)
    return settled


def again(update: Update, current: Version | None) -> Update:
    """The same on the locked version, as its caller is shown it, where that is not the one it was tried on."""
    patched = update.patched
    assert patched is not None
    patch = Patch(
        update.type, update.id, patched.change, update.if_match, update.full_url, update.at
    )
    renewed = _update(patch, current)
    _refuse_invalid([renewed])
    return renewed


def _update(patch: Patch, version: Version | None) -> Update:
    if version is None:
        raise not_found(f"{patch.type}/{patch.id}", patch.at)
    if patch.if_match is not None and patch.if_match != version.version:
        raise version_conflict(
            version.reference, f'W/"{patch.if_match}"', version.version, patch.at
        )
    if version.body is None:
        raise gone(version.reference, version.version, patch.at)
    return Update(
        patch.type, patch.id, _outcome(patch.change, version.body, patch.at), patch.if_match,
        patch.full_url, patch.at, patched=Patched(patch.change, version.version),
    )  # fmt: skip


def _outcome(change: JsonPatch | FhirPathPatch, body: str, at: str) -> dict[str, Any]:
    """The document as if it had been sent: read again, so that no limit of a body is passed by."""
    before = fhir_json.parse(body.encode())
    kind, fhir_id = before["resourceType"], before["id"]
    try:
        after = fhir_json.parse(fhir_json.encode(change.apply(before, at)))
    except RecursionError:
        raise malformed("The patch nests the resource too deep.", at) from None
    issues = [
        Issue("invalid", f"A patch does not change {name}.", f"{at or kind}.{name}")
        for name, value in (("resourceType", kind), ("id", fhir_id))
        if after.get(name) != value
    ]
    if issues:
        raise FhirError(422, *issues)
    return after


def _refuse_invalid(settled: Sequence[Settled]) -> None:
    patched = [one for one in settled if isinstance(one, Update) and one.patched is not None]
    issues = list(structure.check(patched, among=settled))
    if issues:
        raise unprocessable(*issues)
