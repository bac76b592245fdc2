"""The operation $validate: whether a create, update or delete would be accepted.

http://hl7.org/fhir/R4/resource-operation-validate.html

All that a write is checked for, against what is stored now, and nothing is written. The answer is
200 with an OperationOutcome whichever way it turns out.
"""

from __future__ import annotations

from typing import Any

from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, moments
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import outcome
from coordhub.record.operations import Create, Delete, Operation, Update
from coordhub.record.rehearsal import rehearse

MODES = ("create", "update", "delete")
_BASE_PROFILE = "http://hl7.org/fhir/StructureDefinition/"


async def answer(context: Context, asked: Asked) -> Answer:
    """An OperationOutcome: every issue, or that all is well; 400 if the invocation makes no sense."""
    resource, given = _given(asked)
    mode = moments.once(given, "mode")
    issues = _profiles(asked, given)
    operation = _operation(asked, resource, mode)
    if isinstance(operation, Update) and operation.document.get("id") not in (None, operation.id):
        issues.append(
            Issue(
                "invalid",
                f"The id of the resource is not {operation.id}, as in the address.",
                f"{operation.type}.id",
            )
        )
    issues += await rehearse(context.hub, asked.caller, [operation])
    return Answer(200, outcome.render(issues or (outcome.ALL_OK,)), is_outcome=True)


def _given(asked: Asked) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """The resource, and the other parameters: from the address and from a Parameters."""
    document = asked.document
    if (
        document is not None
        and document.get("resourceType") == asked.target.type == "Parameters"
        and not any(
            isinstance(one, dict) and one.get("name") == "resource"
            for one in document.get("parameter", [])
        )
    ):
        return document, list(asked.query)
    return invocation.with_resource(asked)


def _operation(asked: Asked, resource: dict[str, Any] | None, mode: str | None) -> Operation:
    kind, fhir_id = asked.target.type or "", asked.target.id
    if mode == "profile":
        mode = None
    if mode is not None and mode not in MODES:
        raise FhirError(400, Issue("invalid", f"mode is one of {', '.join(MODES)}.", "http.mode"))
    if fhir_id is None and mode in ("update", "delete"):
        raise FhirError(
            400, Issue("invalid", f"To {mode} ask at {kind}/[id]/$validate.", "http.mode")
        )
    if mode == "delete":
        return Delete(kind, fhir_id or "")
    if resource is None:
        raise FhirError(
            400, Issue("required", f"A {kind}, or Parameters with `resource`.", "Parameters")
        )
    if fhir_id is None or mode == "create":
        return Create(kind, resource)
    return Update(kind, fhir_id, resource)


def _profiles(asked: Asked, given: list[tuple[str, str]]) -> list[Issue]:
    """Resources are held against R4 itself; other profiles are not known."""
    own = _BASE_PROFILE + (asked.target.type or "")
    return [
        Issue("not-supported", "This profile is not known here.", "Parameters.parameter")
        for name, value in given
        if name == "profile" and value.split("|")[0] != own
    ]
