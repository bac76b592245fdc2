"""The routes of the FHIR door as the OpenAPI document tells them.

https://spec.openapis.org/oas/v3.1.0, http://hl7.org/fhir/R4/http.html

Values only; `http` makes routes of them. Bodies are described here and not by models: what is
checked is all of R4, by its own definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordhub.fhir.context import JSON
from coordhub.fhir.dispatch import ID
from coordhub.r4 import types
from coordhub.r4.compartments import OWNERS

_TYPE = {
    "name": "resource_type",
    "in": "path",
    "required": True,
    "description": "A resource type of FHIR R4.",
    "schema": {"type": "string", "enum": list(types.NAMES)},
}
_OWNER = {
    **_TYPE,
    "name": "owner",
    "description": "Whose compartment.",
    "schema": {"type": "string", "enum": list(OWNERS)},
}
_MEMBER = {**_TYPE, "schema": {"type": "string", "enum": [*types.NAMES, "*"]}}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Logical id of the resource.",
    "schema": {"type": "string", "pattern": f"^{ID.pattern}$"},
}
_VID = {
    "name": "vid",
    "in": "path",
    "required": True,
    "description": "Version of the resource: a whole number from 1 on.",
    "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,9}$"},
}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


_PRETTY = _query("_pretty", "`true`: with line breaks and indents.", {"type": "boolean"})
_COUNT = _query(
    "_count", "Entries of one page.", {"type": "integer", "minimum": 1, "maximum": 1000}
)
_CURSOR = _query("_cursor", "From a link `next`, which is followed as it is.", {"type": "string"})
_CRITERIA = {
    "name": "criteria",
    "in": "query",
    "style": "form",
    "explode": True,
    "description": (
        "Search parameters of the type, as `/fhir/metadata` lists them, with `_id`, `_lastUpdated` "
        "and `_sort`. An unknown one is refused, naming the nearest."
    ),
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}
_VIEW = (
    _query(
        "_summary", "Only a part, tagged SUBSETTED.",
        {"type": "string", "enum": ["true", "text", "data", "false"]},
    ),
    _query("_elements", "Top-level elements, with commas between.", {"type": "string"}),
)  # fmt: skip
_SHAPE = (
    _query("_include", "[type]:[parameter], or *: what matches refer to.", {"type": "string"}),
    _query("_revinclude", "[type]:[parameter], or *: what refers to matches.", {"type": "string"}),
    _query(
        "_total", "How many match on all pages; an estimate counts to 10,000.",
        {"type": "string", "enum": ["none", "estimate", "accurate"]},
    ),
    _query(
        "_summary", "Only a part of each, or only the count.",
        {"type": "string", "enum": ["true", "text", "data", "count", "false"]},
    ),
    _query("_elements", "Top-level elements, with commas between.", {"type": "string"}),
)  # fmt: skip
_TYPES = _query("_type", "Resource types, with commas between.", {"type": "string"})
_SPAN = (
    _query("_since", "Only what was written from this instant on.", {"type": "string"}),
    _query("_at", "Only what was current at this time.", {"type": "string"}),
)
_IF_MATCH = _header("If-Match", 'The version that the change is based on, `W/"3"`; 412 otherwise.')
_IF_NONE_MATCH = _header("If-None-Match", "304 if this is the current version.")
_IF_MODIFIED_SINCE = _header("If-Modified-Since", "304 if nothing changed since.")
_IF_NONE_EXIST = _header("If-None-Exist", "Search criteria: create only if nothing matches.")
_PREFER = _header("Prefer", "`return=minimal`, `representation` or `OperationOutcome`.")
_HANDLING = _header("Prefer", "`handling=lenient`: leave out what is not served, and say so.")
_IDEMPOTENCY = _header(
    "Idempotency-Key", "1 to 255 visible characters; the same request again gets the first answer."
)


def _content(description: str, kind: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "description": f"{kind} of FHIR R4 (4.0.1).",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}},
    }
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _body(kind: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "description": f"{kind} of FHIR R4 (4.0.1).",
                    "required": ["resourceType"],
                    "properties": {"resourceType": {"type": "string"}},
                },
                "example": example,
            }
        },
    }


_FORM = {
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {"type": "object", "additionalProperties": {"type": "string"}}
        }
    }
}
_REASONS = {
    304: "Not changed.",
    400: "The request cannot be understood, or asks for what is not offered.",
    401: "No token, or one that this hub does not accept.",
    403: "The token, or the state of the referral, does not let this caller do it.",
    404: "Not there, or not this caller's to see.",
    409: "The state of the referral does not allow it.",
    410: "Deleted.",
    412: "If-Match names another version, or criteria match more than one.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Not valid FHIR R4, or against a rule of the hub; every issue at once.",
    503: "Not just now; see Retry-After.",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the OpenAPI document."""

    name: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    status: int = 200
    answer: str = "The resource"
    reasons: tuple[int, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: dict[str, Any] | None = None
    public: bool = False

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        said: dict[int | str, dict[str, Any]] = {}
        if self.status == 204:
            said[204] = {"description": self.answer}
        else:
            said[self.status] = _content(self.answer + ".", self.answer)
        for status in (*self.reasons, *(() if self.public else (401,)), 503):
            if status == 304:
                said[304] = {"description": _REASONS[304]}
            else:
                said[status] = _content(_REASONS[status], "OperationOutcome")
        return said

    @property
    def extra(self) -> dict[str, Any]:
        said: dict[str, Any] = {"parameters": [*self.parameters, _PRETTY]}
        if self.body is not None:
            said["requestBody"] = self.body
        said["security"] = [] if self.public else [{"token": []}]
        return said


_PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:example:mrn", "value": "1001"}],
    "name": [{"family": "Example", "given": ["Alex"]}],
}
_TRANSACTION = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:6f0c6a1e-6d9c-4a53-9f4c-0b8a4f1f8f10",
            "resource": _PATIENT,
            "request": {"method": "POST", "url": "Patient"},
        }
    ],
}
_WRITE = (400, 403, 409, 412, 413, 415, 422)

ROUTES: tuple[Route, ...] = (
    Route(
        "capabilities", "GET", "/metadata", "System", "What this hub serves",
        "The CapabilityStatement; needs no token.", answer="CapabilityStatement", public=True,
    ),
    Route(
        "transaction", "POST", "", "System", "Batch or transaction",
        "A Bundle of type `transaction` is stored whole or not at all; references between its "
        "entries (`urn:uuid:...`, relative, conditional) are resolved. In one of type `batch` each "
        "entry stands for itself.",
        answer="Bundle", reasons=_WRITE, parameters=(_PREFER, _IDEMPOTENCY),
        body=_body("Bundle", _TRANSACTION),
    ),
    Route(
        "search", "GET", "/{resource_type}", "Resources", "Search",
        "What the caller may see and the criteria match, in pages; follow the link `next`.",
        answer="Bundle", reasons=(400, 403, 404),
        parameters=(_TYPE, _CRITERIA, *_SHAPE, _COUNT, _CURSOR, _HANDLING),
    ),
    Route(
        "search_all", "GET", "", "System", "Search several types",
        "The types of `_type`, or all that the token may search, by the parameters that all have.",
        answer="Bundle", reasons=(400, 403),
        parameters=(_TYPES, _CRITERIA, *_SHAPE, _COUNT, _CURSOR, _HANDLING),
    ),
    Route(
        "search_compartment", "GET", "/{owner}/{id}/{resource_type}", "Resources",
        "Search a compartment",
        "What belongs to a patient, an encounter ...; `*` for all types.",
        answer="Bundle", reasons=(400, 403, 404),
        parameters=(_OWNER, _ID, _MEMBER, _CRITERIA, *_SHAPE, _COUNT, _CURSOR, _HANDLING),
    ),
    Route(
        "search_by_post", "POST", "/{resource_type}/_search", "Resources", "Search, by POST",
        "The same with the criteria in a form, which keeps them out of addresses.",
        answer="Bundle", reasons=(400, 403, 404, 413, 415),
        parameters=(_TYPE, _HANDLING), body=_FORM,
    ),
    Route(
        "create", "POST", "/{resource_type}", "Resources", "Create",
        "The id is given by the hub. With If-None-Exist 200 and the one match, if there is one.",
        status=201, reasons=(*_WRITE, 404),
        parameters=(_TYPE, _IF_NONE_EXIST, _PREFER, _IDEMPOTENCY),
        body=_body("The resource", _PATIENT),
    ),
    Route(
        "read", "GET", "/{resource_type}/{id}", "Resources", "Read",
        "The current version, as it was sent.", reasons=(304, 403, 404, 410),
        parameters=(_TYPE, _ID, *_VIEW, _IF_NONE_MATCH, _IF_MODIFIED_SINCE),
    ),
    Route(
        "update", "PUT", "/{resource_type}/{id}", "Resources", "Update",
        "A new version. Send If-Match with the ETag of what the change is based on.",
        reasons=(*_WRITE, 404), parameters=(_TYPE, _ID, _IF_MATCH, _PREFER, _IDEMPOTENCY),
        body=_body("The resource", {**_PATIENT, "id": "the-id-of-the-address"}),
    ),
    Route(
        "delete", "DELETE", "/{resource_type}/{id}", "Resources", "Delete",
        "The history remains.", status=204, answer="Deleted, or was not there",
        reasons=(400, 403, 404, 409, 412), parameters=(_TYPE, _ID, _IF_MATCH, _IDEMPOTENCY),
    ),
    Route(
        "history", "GET", "/{resource_type}/{id}/_history", "Resources", "History",
        "All versions, newest first, in pages.", answer="Bundle", reasons=(400, 403, 404),
        parameters=(_TYPE, _ID, *_SPAN, _COUNT, _CURSOR),
    ),
    Route(
        "history_of_type", "GET", "/{resource_type}/_history", "Resources", "History of a type",
        "All versions of all its resources, newest first, deletions too.",
        answer="Bundle", reasons=(400, 403, 404),
        parameters=(_TYPE, *_SPAN, _COUNT, _CURSOR),
    ),
    Route(
        "history_of_system", "GET", "/_history", "System", "History of everything",
        "All versions of what the caller may see, newest first, deletions too.",
        answer="Bundle", reasons=(400,), parameters=(*_SPAN, _COUNT, _CURSOR),
    ),
    Route(
        "validate", "POST", "/{resource_type}/$validate", "Operations", "Would it be accepted?",
        "All that a create is checked for; nothing is written.",
        answer="OperationOutcome", reasons=(400, 403, 404, 413, 415),
        parameters=(_TYPE,), body=_body("The resource", _PATIENT),
    ),
    Route(
        "everything", "GET", "/Patient/{id}/$everything", "Operations", "The record of a patient",
        "The patient's compartment in pages, and what it refers to.",
        answer="Bundle", reasons=(400, 403, 404, 410), parameters=(_ID, _TYPES, _COUNT, _CURSOR),
    ),
    Route(
        "lastn", "GET", "/Observation/$lastn", "Operations", "The newest results of each code",
        "`patient` or `subject` and any other search parameter of Observation; `max` of each code.",
        answer="Bundle", reasons=(400, 403), parameters=(_CRITERIA,),
    ),
    Route(
        "vread", "GET", "/{resource_type}/{id}/_history/{vid}", "Resources", "Read a version",
        "One version, current or not.", reasons=(403, 404, 410), parameters=(_TYPE, _ID, _VID),
    ),
)  # fmt: skip
