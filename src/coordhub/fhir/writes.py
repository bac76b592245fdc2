"""What a create, update, patch or delete asks of the record, by itself or as an entry of a Bundle.

http://hl7.org/fhir/R4/http.html#create, #update, #patch, #delete

An address without id names its resource by search criteria; for those the token must allow to
search, since what is answered tells what there is.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final
from urllib.parse import urlencode

from coordhub.errors import FhirError, Issue, method_not_allowed
from coordhub.fhir.audit_ids import is_reserved
from coordhub.fhir.context import Asked, Limits
from coordhub.fhir.paging import applied
from coordhub.fhir.resource import of_criteria, of_instance, of_type
from coordhub.r4 import fhirpath_patch, json_patch, structure
from coordhub.r4.fhirpath_patch import FhirPathPatch
from coordhub.r4.json_patch import JsonPatch
from coordhub.record.operations import Create, Delete, Operation, Patch, Update

JSON_PATCH: Final = "application/json-patch+json"


def operation_of(asked: Asked, limits: Limits) -> Operation:
    """400, 403 or 422 with what is wrong with it before the record is asked."""
    criteria = _criteria(asked)
    if criteria is not None:
        assert asked.target.type is not None
        asked.caller.require(asked.target.type, "search")
    _leave_the_audit(asked)
    conditions = asked.conditions
    match asked.target.interaction:
        case "create":
            document, kind = of_type(asked)
            return Create(kind, document, asked.full_url, conditions.if_none_exist, asked.within)
        case "update":
            document, kind, fhir_id = of_instance(asked) if criteria is None else of_criteria(asked)
            return Update(
                kind, fhir_id, document, conditions.if_match, asked.full_url, asked.within, criteria
            )
        case "patch":
            kind, fhir_id = _named(asked)
            change = _change(asked, limits)
            return Patch(
                kind, fhir_id, change, conditions.if_match, asked.full_url, asked.within, criteria
            )
        case "delete":
            kind, fhir_id = _named(asked)
            return Delete(kind, fhir_id, conditions.if_match, asked.at, criteria, limits.deleted)
    raise AssertionError(asked.target.interaction)


def _leave_the_audit(asked: Asked) -> None:
    """405 for a write under an id that AuditEvents of the hub have."""
    named = (asked.target.id, (asked.document or {}).get("id"))
    changes = asked.target.type == "AuditEvent" and asked.target.interaction != "create"
    if changes and any(isinstance(one, str) and is_reserved(one) for one in named):
        raise method_not_allowed(
            "AuditEvents with such an id are the hub's own record and cannot be written.", "GET"
        )


def is_write(asked: Asked) -> bool:
    return asked.target.interaction in ("create", "update", "patch", "delete")


def json_patch_document(data: bytes) -> dict[str, Any]:
    """The body of a JSON Patch as an entry of a Bundle carries it: a Binary."""
    return {
        "resourceType": "Binary",
        "contentType": JSON_PATCH,
        "data": base64.b64encode(data).decode(),
    }


def _named(asked: Asked) -> tuple[str, str]:
    assert asked.target.type is not None
    return asked.target.type, asked.target.id or ""


def _criteria(asked: Asked) -> str | None:
    if asked.target.interaction == "create":
        return asked.conditions.if_none_exist
    return None if asked.target.id is not None else urlencode(applied(asked.query))


def _change(asked: Asked, limits: Limits) -> JsonPatch | FhirPathPatch:
    """The patch that a body is: a Binary that holds a JSON Patch, or a Parameters."""
    document = asked.document or {}
    match document.get("resourceType"):
        case "Binary" if _media(document) == JSON_PATCH:
            return json_patch.read(
                _data(document, asked.within), deepest=limits.nesting, at=asked.within
            )
        case "Parameters":
            issues = structure.check(document, expected_type="Parameters", at=asked.within or None)
            if issues:
                raise FhirError(422, *issues)
            return fhirpath_patch.read(document, asked.within)
    raise FhirError(
        400,
        Issue(
            "invalid",
            f"A patch is a JSON Patch ({JSON_PATCH}; in a Bundle: a Binary of that contentType) or "
            "a FHIRPath Patch (a Parameters).",
            asked.within,
        ),
    )


def _media(binary: dict[str, Any]) -> str:
    return str(binary.get("contentType", "")).partition(";")[0].strip().lower()


def _data(binary: dict[str, Any], at: str) -> bytes:
    try:
        return base64.b64decode(str(binary.get("data", "")), validate=False)
    except (binascii.Error, ValueError):
        raise FhirError(
            400, Issue("value", "The data of the Binary is no base64.", f"{at}.data")
        ) from None
