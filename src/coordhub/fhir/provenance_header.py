"""The header X-Provenance: where what is written comes from, said beside the write.

http://hl7.org/fhir/R4/provenance.html#header

A Provenance without `target`, which the hub sets to what the request writes and stores in the same
commit. A request that it cannot be part of is refused, not answered without it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from coordhub import errors
from coordhub.r4 import document
from coordhub.record.operations import Create, Delete, Operation

NAME: Final = "X-Provenance"
AT: Final = "http.X-Provenance"
"""Prefix of what is said about it."""

_GOES_WITH: Final = frozenset({"create", "update", "patch", "transaction"})


def read(text: str | None, interaction: str, deepest: int) -> dict[str, Any] | None:
    """The Provenance; 400 if it is none, names its target, or comes with something else."""
    if text is None:
        return None
    if interaction not in _GOES_WITH:
        raise errors.bad_request(
            f"{NAME} goes with a create, an update, a patch or a transaction.", AT
        )
    try:
        found = document.parse(text.encode("latin-1"), deepest=deepest)
    except errors.FhirError as refused:
        said = " ".join(issue.diagnostics for issue in refused.issues)
        raise errors.malformed(
            f"{NAME} holds a Provenance as JSON in one line. {said}", AT
        ) from None
    if found.get("resourceType") != "Provenance":
        raise errors.bad_request(f"{NAME} holds a Provenance.", f"{AT}.resourceType")
    if "target" in found:
        raise errors.bad_request(
            "Leave the target out: it is what this request writes.", f"{AT}.target"
        )
    return found


def beside(operations: Sequence[Operation], provenance: dict[str, Any] | None) -> list[Operation]:
    """The operations with the Provenance of all that they write."""
    if provenance is None:
        return list(operations)
    named: list[Operation] = []
    targets: list[dict[str, str]] = []
    for operation in operations:
        if isinstance(operation, Delete):
            named.append(operation)
            continue
        full_url = operation.full_url or uuid.uuid4().urn
        named.append(replace(operation, full_url=full_url))
        targets.append({"reference": full_url})
    if not targets:
        raise errors.bad_request(f"Nothing is written that {NAME} could be about.", AT)
    return [*named, Create("Provenance", {**provenance, "target": targets}, at=AT)]
