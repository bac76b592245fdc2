"""The body of a create or an update, and whether it is the one that its address names.

http://hl7.org/fhir/R4/http.html#create, #update
"""

from __future__ import annotations

from typing import Any

from coordhub.errors import FhirError, Issue
from coordhub.fhir.context import Asked


def of_type(asked: Asked) -> tuple[dict[str, Any], str]:
    """The document and the type of the address; 400 if the document is of another type."""
    kind = asked.target.type
    assert kind is not None
    document, issues = _document(asked, kind)
    if issues:
        raise FhirError(400, *issues)
    return document, kind


def of_instance(asked: Asked) -> tuple[dict[str, Any], str, str]:
    """The document, type and id of the address; 400 if the document is of another type or id."""
    kind, fhir_id = asked.target.instance()
    document, issues = _document(asked, kind)
    at = asked.within or kind
    if document.get("id") is None:
        issues.append(
            Issue("required", f"The body has no id; for this address it is {fhir_id}.", f"{at}.id")
        )
    elif document["id"] != fhir_id:
        issues.append(
            Issue("invalid", f"The id of the body is not {fhir_id}, as in the address.", f"{at}.id")
        )
    if issues:
        raise FhirError(400, *issues)
    return document, kind, fhir_id


def of_criteria(asked: Asked) -> tuple[dict[str, Any], str, str]:
    """The document, the type of the address, and the id of the document or nothing."""
    document, kind = of_type(asked)
    fhir_id = document.get("id", "")
    if not isinstance(fhir_id, str):
        raise FhirError(
            400, Issue("structure", "The id is no string.", f"{asked.within or kind}.id")
        )
    return document, kind, fhir_id


def _document(asked: Asked, kind: str) -> tuple[dict[str, Any], list[Issue]]:
    document = asked.document
    if document is None:
        raise FhirError(400, Issue("required", f"A {kind} is expected.", asked.within or kind))
    if document.get("resourceType") == kind:
        return document, []
    at = asked.within or "Resource"
    found = "has no resourceType" if "resourceType" not in document else "is of another type"
    return document, [
        Issue("invalid", f"The body {found}; this address takes {kind}.", f"{at}.resourceType")
    ]
