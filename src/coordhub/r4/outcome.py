"""OperationOutcome: issues as FHIR writes them.

http://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from coordhub.errors import Issue


class _CodeableConcept(msgspec.Struct, frozen=True):
    text: str


class _Issue(msgspec.Struct, frozen=True, omit_defaults=True):
    severity: str
    code: str
    details: _CodeableConcept | None = None
    diagnostics: str | None = None
    expression: tuple[str, ...] = ()


class _OperationOutcome(
    msgspec.Struct, frozen=True, tag_field="resourceType", tag="OperationOutcome"
):
    issue: list[_Issue]


_encoder: Final = msgspec.json.Encoder()

ALL_OK: Final = Issue("informational", "All is well.", severity="information")
"""What an outcome says that has nothing else to say: at least one issue is required."""


def render(issues: Iterable[Issue], *, details: str | None = None) -> bytes:
    """OperationOutcome as JSON; `details` is a text for people, put on the first issue."""
    listed = [
        _Issue(
            severity=issue.severity,
            code=issue.code,
            diagnostics=issue.diagnostics or None,
            expression=(issue.expression,) if issue.expression else (),
        )
        for issue in issues
    ] or [_Issue(ALL_OK.severity, ALL_OK.code, diagnostics=ALL_OK.diagnostics)]
    if details is not None:
        listed[0] = msgspec.structs.replace(listed[0], details=_CodeableConcept(details))
    return _encoder.encode(_OperationOutcome(listed))
