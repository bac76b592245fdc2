"""A write that is not made: everything a commit would check, and then nothing is kept.

http://hl7.org/fhir/R4/resource-operation-validate.html
"""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.access.caller import Caller
from coordhub.errors import FhirError, Issue
from coordhub.record.commit import apply
from coordhub.record.hub import Hub
from coordhub.record.operations import Operation
from coordhub.record.validation import structure


class _Undone(Exception):
    """Ends the transaction without a commit."""


async def rehearse(hub: Hub, caller: Caller, operations: Sequence[Operation]) -> tuple[Issue, ...]:
    """What a commit of these operations would be refused for, or would warn of.

    A fault of the hub itself is raised.
    """
    issues = tuple(structure.check(operations))
    if issues:
        return issues
    warnings: list[Issue] = []
    try:
        async with hub.engine.transaction() as conn:
            written, _ = await apply(hub, conn, caller, operations, interaction="operation")
            warnings += (warning for one in written for warning in one.warnings)
            raise _Undone
    except _Undone:
        return tuple(warnings)
    except FhirError as refused:
        if refused.status >= 500:
            raise
        return refused.issues
