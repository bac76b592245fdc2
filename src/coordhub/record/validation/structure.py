"""The structure of each operation's document, all issues at once.

http://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coordhub.errors import Issue
from coordhub.r4 import structure
from coordhub.r4.views import is_subsetted
from coordhub.record.operations import Delete, Operation, Patch, Update


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
        if isinstance(operation, Update) and is_subsetted(operation.document):
            yield Issue(
                "business-rule",
                "This is a part of the resource (tagged SUBSETTED); stored, it would delete the "
                "rest. Read it whole, change that, and send it with If-Match.",
                f"{operation.at or operation.type}.meta.tag",
            )
        elif not isinstance(operation, Delete | Patch):
            yield from structure.check(
                operation.document,
                expected_type=operation.type,
                at=operation.at or None,
                named=named,
            )
