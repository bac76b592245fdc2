"""The structure of each operation's document, all issues at once.

http://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from coordhub.errors import Issue
from coordhub.r4 import structure
from coordhub.record.operations import Delete, Operation


def check(operation: Operation) -> list[Issue]:
    """What R4's definitions say against the document; empty when it may be stored."""
    if isinstance(operation, Delete):
        return []
    return structure.check(
        operation.document, expected_type=operation.type, at=operation.at or None
    )
