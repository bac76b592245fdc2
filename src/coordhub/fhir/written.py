"""What is answered to a write, by what the sender prefers to be told.

http://hl7.org/fhir/R4/http.html#ops
"""

from __future__ import annotations

from coordhub.fhir.context import Answer
from coordhub.fhir.headers import Preference
from coordhub.r4 import outcome
from coordhub.record.operations import Written


def answer(written: Written, preference: Preference, *, replayed: bool = False) -> Answer:
    """The answer to a create, an update or a delete.

    Warnings are the OperationOutcome where one is preferred; else they go beside the answer: in the
    outcome of a Bundle's entry, in Warning headers. A Location stands on what was created and on
    what a conditional create or an update found.
    """
    deleted = written.body is None
    status, body, is_outcome = written.status, b"", False
    if preference.returns == "OperationOutcome":
        body, is_outcome = outcome.render(written.warnings or (outcome.ALL_OK,)), True
        status = 200 if status == 204 else status
    elif preference.returns == "representation" and written.body is not None:
        body = written.body.encode()
    return Answer(
        status,
        body,
        reference=written.reference if written.id else None,
        version=written.version or None,
        updated=written.updated if written.version else None,
        is_outcome=is_outcome,
        located=not deleted,
        audited=True,
        replayed=replayed,
        warnings=written.warnings,
    )
