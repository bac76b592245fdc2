"""The structure of each operation's document, all issues at once.

http://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coordhub.errors import Issue
from coordhub.r4 import structure
from coordhub.record.operations import Delete, Operation, Patch


def check(
    operations: Sequence[Operation], *, among: Sequence[Operation] | None = None
) -> Iterator[Issue]:
    """What R4's definitions say against the documents; nothing when they may be stored.

    A reference by fullUrl (`urn:uuid:`) is judged by the type of the document that has it. Of a
    Patch nothing is known before it has been tried.
    among: the whole commit, where `operations` are a part of it.
    """
    named = {
        operation.full_url: operation.type
        for operation in among or operations
        if not isinstance(operation, Delete) and operation.full_url
    }
    for operation in operations:
        if not isinstance(operation, Delete | Patch):
            yield from structure.check(
                operation.document,
                expected_type=operation.type,
                at=operation.at or None,
                named=named,
            )
