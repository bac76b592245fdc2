"""The routes of the FHIR door as the OpenAPI document tells them.

https://spec.openapis.org/oas/v3.1.0, http://hl7.org/fhir/R4/http.html

Values only: `http` makes routes of them, `openapi` the document, in which an interaction of a type
stands once for each type that has a schema of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coordhub.fhir.dispatch import ID, OPERATIONS
from coordhub.r4 import types
from coordhub.r4.compartments import OWNERS

TYPE = {
    "name": "resource_type",
    "in": "path",
    "required": True,
    "description": "A resource type of FHIR R4.",
    "schema": {"type": "string", "enum": list(types.NAMES)},
}
_OWNER = {
    **TYPE,
    "name": "owner",
    "description": "Whose compartment.",
    "schema": {"type": "string", "enum": list(OWNERS)},
}
_MEMBER = {
    **TYPE,
    "name": "member",
    "description": "The type that is looked for; `*`: all.",
    "schema": {"type": "string", "enum": [*types.NAMES, "*"]},
}
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


PRETTY = _query("_pretty", "`true`: with line breaks and indents.", {"type": "boolean"})
_COUNT = _query("_count", "Entries of one page, 1000 at most.", {"type": "integer", "minimum": 1})
_NEED = _query("need", "A domain of SDOH Clinical Care, or `system|code`.", {"type": "string"})
_NEAR_PLACE = _query(
    "near", "`latitude|longitude|distance|unit`; 50 km where it says none.", {"type": "string"}
)
_POSTAL = _query("postal-code", "Of an area that has to be served.", {"type": "string"})
_STATE = _query("state", "Of an area that has to be served.", {"type": "string"})
_LANGUAGE = _query("language", "Spoken or interpreted there; BCP 47.", {"type": "string"})
_OPEN = _query("open", "`now`, or a moment at which it is known to be open.", {"type": "string"})
_AGE = _query("age", "In years, of whom it has to be for.", {"type": "integer", "minimum": 0})
_MATCHES = _query(
    "_count", "Matches of one page, 1000 at most; 0 asks only how many there are.",
    {"type": "integer", "minimum": 0},
)  # fmt: skip
_RECIPIENT = {
    **_query("recipient", "`Type/id` of who would see it.", {"type": "string"}),
    "required": True,
}
_CODE = _query(
    "code", "Of a Patient: `system|code` of what is to be ordered; an order says its own.",
    {"type": "array", "items": {"type": "string"}},
)  # fmt: skip
_PERIOD_START = {
    **_query("periodStart", "The first day of the time that is reported on.", {"type": "string"}),
    "required": True,
}
_PERIOD_END = {
    **_query("periodEnd", "The last day of it, 366 days later at most.", {"type": "string"}),
    "required": True,
}
_MEASURE = _query(
    "measure", "There is one: `urn:coordhub:measure:coordination`.", {"type": "string"}
)
_REPORT_TYPE = _query(
    "reportType", "`population`: figures. `subject-list`: the rows behind them, too, as far as you may see them.",
    {"type": "string", "enum": ["population", "subject-list", "summary"]},
)  # fmt: skip
_CURSOR = _query(
    "_cursor", "From a link `next` or `monitor`, which is followed as it is.", {"type": "string"}
)
CRITERIA = {
    "name": "criteria",
    "in": "query",
    "style": "form",
    "explode": True,
    "description": (
        "Search parameters of the type, as `/fhir/metadata` lists them, also with a modifier "
        "(`name:contains`), and `_sort`. An unknown one is refused, naming the nearest."
    ),
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}
_MODE = _query(
    "mode", "All of it is answered to both.", {"type": "string", "enum": ["full", "normative"]}
)
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
_SORT = _query(
    "_sort", "`_lastUpdated`: oldest first, as a change feed; go on by the links `next` and `monitor`.",
    {"type": "string", "enum": ["_lastUpdated", "-_lastUpdated"]},
)  # fmt: skip
_PERIOD = (
    _query("start", "Only from this date or instant on.", {"type": "string"}),
    _query("end", "Only up to the end of this date or instant.", {"type": "string"}),
)
_EVENTS = (
    _query("eventsSinceNumber", "From this number on.", {"type": "integer"}),
    _query("eventsUntilNumber", "Up to this number.", {"type": "integer"}),
    _query(
        "content",
        "empty, id-only or full-resource: at most what was agreed on.",
        {"type": "string"},
    ),
)
_IF_MATCH = _header("If-Match", 'The version that the change is based on, `W/"3"`; 412 otherwise.')
_IF_NONE_MATCH = _header("If-None-Match", "304 if this is the current version.")
_IF_MODIFIED_SINCE = _header("If-Modified-Since", "304 if nothing changed since.")
_PROVENANCE = _header(
    "X-Provenance",
    "A Provenance as JSON, without target: stored in the same commit, about all that is written.",
)
_IF_NONE_EXIST = _header("If-None-Exist", "Search criteria: create only if nothing matches.")
REQUEST_ID = _header(
    "X-Request-Id", "Names this request in the answer, the log and the audit; else the hub does."
)
PREFER = _header("Prefer", "`return=minimal`, `representation` or `OperationOutcome`.")
_HANDLING = _header("Prefer", "`handling=lenient`: leave out what is not served, and say so.")
_IDEMPOTENCY = _header(
    "Idempotency-Key", "1 to 255 visible characters; the same request again gets the first answer."
)


RESOURCE: Final = "The resource"
"""As `answer` or `body`: a resource of the type in the path."""

_FORM = {
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "description": "The parameters of the search by GET.",
                "additionalProperties": {"type": "string"},
            }
        }
    }
}
REASONS: Final = {
    304: "Not changed.",
    400: "The request cannot be understood, or asks for what is not offered.",
    401: "No token, or one that this hub does not accept.",
    403: "The token, or the state of the referral, does not let this caller do it.",
    404: "Not there, or not this caller's to see.",
    405: "Not possible at this address; Allow says what is.",
    406: "Answers are application/fhir+json only.",
    409: "The state of the referral does not allow it.",
    410: "Deleted.",
    412: "If-Match names another version, or criteria match more than one.",
    413: "The body is too large.",
    415: "The body is of a media type that is not read here.",
    422: "Not valid FHIR R4, or against a rule of the hub; every issue at once.",
    429: "Too many requests; see Retry-After.",
    503: "Not just now; see Retry-After.",
}
"""What a status says, wherever it is answered."""


@dataclass(frozen=True, slots=True)
class Route:
    """An interaction as it is described; those of a type stand once for all types.

    answer: RESOURCE, or the type of the resource that is answered; with status 204 a sentence.
    also: other statuses of success, each with when it is answered.
    reasons: statuses of its refusals, besides those that every request may meet.
    body: RESOURCE, a type, or a request body as OpenAPI has it.
    types: resource types that have it; none means all.
    """

    name: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    status: int = 200
    answer: str = RESOURCE
    also: tuple[tuple[int, str], ...] = ()
    reasons: tuple[int, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: str | dict[str, Any] | None = None
    types: tuple[str, ...] = ()
    public: bool = False

    @property
    def refusals(self) -> tuple[int, ...]:
        """Every status of an OperationOutcome, and 304."""
        always = (400, 406, 429, 503) if self.public else (400, 401, 403, 406, 429, 503)
        return tuple(sorted({*self.reasons, *always}))

    @property
    def prefers(self) -> bool:
        """Whether `Prefer: return=OperationOutcome` is obeyed."""
        return PREFER in self.parameters


_PATCH: Final = {
    "required": True,
    "content": {
        "application/json-patch+json": {
            "schema": {"type": "array", "items": {"type": "object"}},
            "example": [{"op": "replace", "path": "/active", "value": True}],
        },
        "application/fhir+json": {
            "schema": {"type": "object", "description": "Parameters: a FHIRPath Patch."},
            "example": {
                "resourceType": "Parameters",
                "parameter": [
                    {
                        "name": "operation",
                        "part": [
                            {"name": "type", "valueCode": "replace"},
                            {"name": "path", "valueString": "Patient.active"},
                            {"name": "value", "valueBoolean": True},
                        ],
                    }
                ],
            },
        },
    },
}
_WRITE = (404, 409, 412, 413, 415, 422)

ROUTES: tuple[Route, ...] = (
    Route(
        "capabilities", "GET", "/metadata", "System", "What this hub serves",
        "The CapabilityStatement; needs no token.", answer="CapabilityStatement", public=True,
        parameters=(_MODE, *_VIEW, _IF_NONE_MATCH, _IF_MODIFIED_SINCE),
    ),
    Route(
        "transaction", "POST", "", "System", "Batch or transaction",
        "A Bundle of type `transaction` is stored whole or not at all; references between its "
        "entries (`urn:uuid:...`, relative, conditional) are resolved. In one of type `batch` each "
        "entry stands for itself.",
        answer="Bundle", reasons=_WRITE, parameters=(PREFER, _IDEMPOTENCY, _PROVENANCE), body="Bundle",
    ),
    Route(
        "search", "GET", "/{resource_type}", "Resources", "Search",
        "What the caller may see and the criteria match, in pages; follow the link `next`.",
        answer="Bundle", reasons=(404,),
        parameters=(TYPE, CRITERIA, *_SHAPE, _MATCHES, _CURSOR, _HANDLING),
    ),
    Route(
        "search_all", "GET", "", "System", "Search several types",
        "The types of `_type`, or all that the token may search, by the parameters that all have.",
        answer="Bundle",
        parameters=(_TYPES, CRITERIA, *_SHAPE, _MATCHES, _CURSOR, _HANDLING),
    ),
    Route(
        "search_compartment", "GET", "/{owner}/{id}/{member}", "Resources",
        "Search a compartment",
        "What belongs to a patient, an encounter ...; `*` for all types.",
        answer="Bundle", reasons=(404,),
        parameters=(_OWNER, _ID, _MEMBER, CRITERIA, *_SHAPE, _MATCHES, _CURSOR, _HANDLING),
    ),
    Route(
        "search_by_post", "POST", "/{resource_type}/_search", "Resources", "Search, by POST",
        "The same with the criteria in a form, which keeps them out of addresses.",
        answer="Bundle", reasons=(404, 413, 415),
        parameters=(TYPE, _HANDLING), body=_FORM,
    ),
    Route(
        "create", "POST", "/{resource_type}", "Resources", "Create",
        "The id is given by the hub. With If-None-Exist 200 and the one match, if there is one.",
        status=201, also=((200, "With If-None-Exist: the one match, which was there."),), reasons=_WRITE,
        parameters=(TYPE, _IF_NONE_EXIST, PREFER, _IDEMPOTENCY, _PROVENANCE),
        body=RESOURCE,
    ),
    Route(
        "read", "GET", "/{resource_type}/{id}", "Resources", "Read",
        "The current version, as it was sent.", reasons=(304, 404, 410),
        parameters=(TYPE, _ID, *_VIEW, _IF_NONE_MATCH, _IF_MODIFIED_SINCE),
    ),
    Route(
        "update", "PUT", "/{resource_type}/{id}", "Resources", "Update",
        "A new version. Send If-Match with the ETag of what the change is based on.",
        also=((201, "Created under this id, by a client that may choose ids."),),
        reasons=(*_WRITE, 405), parameters=(TYPE, _ID, _IF_MATCH, PREFER, _IDEMPOTENCY, _PROVENANCE),
        body=RESOURCE,
    ),
    Route(
        "conditional_update", "PUT", "/{resource_type}", "Resources", "Update, by criteria",
        "The one resource of the caller's that matches; created if there is none.",
        also=((201, "Created, as nothing matched."),),
        reasons=(*_WRITE, 405), parameters=(TYPE, CRITERIA, _IF_MATCH, PREFER, _IDEMPOTENCY, _PROVENANCE),
        body=RESOURCE,
    ),
    Route(
        "patch", "PATCH", "/{resource_type}/{id}", "Resources", "Patch",
        "Parts of a resource change, by the rules of an update. A JSON Patch, or a FHIRPath Patch.",
        reasons=(*_WRITE, 410), parameters=(TYPE, _ID, _IF_MATCH, PREFER, _IDEMPOTENCY, _PROVENANCE),
        body=_PATCH,
    ),
    Route(
        "conditional_patch", "PATCH", "/{resource_type}", "Resources", "Patch, by criteria",
        "The one resource that matches.", reasons=(*_WRITE, 410),
        parameters=(TYPE, CRITERIA, _IF_MATCH, PREFER, _IDEMPOTENCY, _PROVENANCE), body=_PATCH,
    ),
    Route(
        "conditional_delete", "DELETE", "/{resource_type}", "Resources", "Delete, by criteria",
        "What matches of the caller's; more than the hub's setting allows: 412.", status=204,
        answer="Deleted, or nothing matched",
        also=((200, "Deleted; told so with `Prefer: return=OperationOutcome`."),),
        reasons=(404, 409, 412, 422), parameters=(TYPE, CRITERIA, _IF_MATCH, PREFER, _IDEMPOTENCY),
    ),
    Route(
        "delete", "DELETE", "/{resource_type}/{id}", "Resources", "Delete",
        "The history remains.", status=204, answer="Deleted, or was not there",
        also=((200, "Deleted; told so with `Prefer: return=OperationOutcome`."),),
        reasons=(404, 409, 412, 422), parameters=(TYPE, _ID, _IF_MATCH, PREFER, _IDEMPOTENCY),
    ),
    Route(
        "history", "GET", "/{resource_type}/{id}/_history", "Resources", "History",
        "All versions, newest first, in pages.", answer="Bundle", reasons=(404,),
        parameters=(TYPE, _ID, *_SPAN, _COUNT, _CURSOR),
    ),
    Route(
        "history_of_type", "GET", "/{resource_type}/_history", "Resources", "History of a type",
        "All versions of all its resources, newest first, deletions too.",
        answer="Bundle", reasons=(404,),
        parameters=(TYPE, *_SPAN, _SORT, _COUNT, _CURSOR),
    ),
    Route(
        "history_of_system", "GET", "/_history", "System", "History of everything",
        "All versions of what the caller may see, newest first, deletions too.",
        answer="Bundle", parameters=(*_SPAN, _SORT, _COUNT, _CURSOR),
    ),
    Route(
        "validate", "POST", "/{resource_type}/$validate", "Operations", "Would it be accepted?",
        "All that a create is checked for; nothing is written.",
        answer="OperationOutcome", reasons=(404, 413, 415),
        parameters=(TYPE,), body=RESOURCE,
    ),
    Route(
        "subscription_status", "GET", "/Subscription/{id}/$status", "Operations", "How a subscription stands",
        "Its status, and how many events there were; told to whose it is. R4 backport of topic-based subscriptions.",
        answer="Bundle", reasons=(404,), parameters=(_ID,),
    ),
    Route(
        "subscriptions_status", "GET", "/Subscription/$status", "Operations", "How subscriptions stand",
        "All of the caller's organization.", answer="Bundle",
    ),
    Route(
        "subscription_events", "GET", "/Subscription/{id}/$events", "Operations", "Events of a subscription again",
        "By number, from `eventsSinceNumber` to `eventsUntilNumber`, both included; at most 100.",
        answer="Bundle", reasons=(404,), parameters=(_ID, *_EVENTS),
    ),
    Route(
        "subscription_resend", "POST", "/Subscription/{id}/$resend", "Operations",
        "Send events of a subscription again",
        "By number, both included, with their numbers and through the channel; at most 1000. Of the 1.2 ballot of the "
        "R4 backport.",
        status=202, answer="OperationOutcome", reasons=(404, 409, 410, 413, 415, 422),
        parameters=(_ID, *_EVENTS[:2]), body="Parameters",
    ),
    Route(
        "websocket_token", "GET", "/Subscription/$get-ws-binding-token", "Operations",
        "A token to bind a websocket with",
        "For the Subscriptions `id`, or all with channel.type websocket: `token`, its `expiration`, and the "
        "`websocket-url`, to which `bind-with-token: [token]` is sent first. R4 backport of topic-based subscriptions.",
        answer="Parameters", reasons=(404,),
        parameters=(_query("id", "Of a Subscription.", {"type": "string"}),),
    ),
    Route(
        "subscription_token", "GET", "/Subscription/{id}/$get-ws-binding-token", "Operations",
        "A token to bind a websocket to one subscription",
        "The same for one.", answer="Parameters", reasons=(404,), parameters=(_ID,),
    ),
    Route(
        "websocket_token_by_post", "POST", "/Subscription/$get-ws-binding-token", "Operations",
        "A token to bind a websocket with, by POST", "The same; the ids come as Parameters.",
        answer="Parameters", reasons=(404, 410, 413, 415, 422), body="Parameters",
    ),
    Route(
        "subscription_token_by_post", "POST", "/Subscription/{id}/$get-ws-binding-token", "Operations",
        "A token to bind a websocket to one subscription, by POST",
        "The same for one.", answer="Parameters", reasons=(404, 410, 413, 415, 422), parameters=(_ID,),
        body="Parameters",
    ),
    Route(
        "subscription_secret", "POST", "/Subscription/{id}/$rotate-secret", "Operations",
        "Another secret to sign notifications with",
        "Notifications are signed as Standard Webhooks has it. `secret` (`whsec_...`), or nothing and the hub makes "
        "one and shows it this once; `overlap`: seconds for which the secret before signs, too.",
        answer="Parameters", reasons=(404, 410, 413, 415, 422), parameters=(_ID,), body="Parameters",
    ),
    Route(
        "everything", "GET", "/Patient/{id}/$everything", "Operations", "The record of a patient",
        "The patient's compartment in pages, and what it refers to.",
        answer="Bundle", reasons=(404, 410), parameters=(_ID, _TYPES, _COUNT, _CURSOR),
    ),
    Route(
        "break_glass", "POST", "/Patient/$break-glass", "Operations", "Open a record in an emergency",
        "For who treats: `identifier` and `birthDate`, or `patient`; `purpose` (ETREAT or BTG), `reason`, "
        "`practitioner`, `emergency` (its nature). Opens one record for an hour; the organization that holds "
        "it is told.",
        answer="Parameters", reasons=(404, 413, 415, 422), body="Parameters",
    ),
    Route(
        "accounting_of_disclosures", "GET", "/Patient/{id}/$accounting-of-disclosures", "Operations",
        "Who saw what of a patient's chart",
        "What was sent to others or looked at by them, when, for what purpose, by which rule. Told to the "
        "organization whose Patient it is; six years back without `start`.",
        answer="Parameters", reasons=(404,), parameters=(_ID, *_PERIOD),
    ),
    Route(
        "everything_by_post", "POST", "/Patient/{id}/$everything", "Operations",
        "The record of a patient, by POST", "The same; the parameters come as Parameters.",
        answer="Bundle", reasons=(404, 410, 413, 415, 422), parameters=(_ID,), body="Parameters",
    ),
    Route(
        "evaluate_measure", "GET", "/Measure/$evaluate-measure", "Operations", "What coordination came to",
        "Of your organization in a period: referrals sent and received, how many ended with an answer, how long it "
        "took, tests and services that were not done twice and what they cost; with formula and denominator, numbers "
        "below 10 left out.",
        answer="MeasureReport", reasons=(400,), parameters=(_PERIOD_START, _PERIOD_END, _MEASURE, _REPORT_TYPE),
    ),
    Route(
        "lower_label", "POST", "/{resource_type}/{id}/$lower-label", "Resources", "Lower a label",
        "For the privacy officer of the organization that wrote the resource: takes the sensitivity `class` from "
        "all its versions; `reason` is kept in the audit.",
        answer="Parameters", reasons=(404, 409, 410, 413, 415, 422), parameters=(TYPE, _ID), body="Parameters",
    ),
    Route(
        "find", "GET", "/HealthcareService/$find", "Operations", "Who helps with this need?",
        "Services of the directory for a need, near a place, in a language, open at a moment; nearest first. It takes "
        "nothing that tells of a person: for a patient there is `$route`.",
        answer="Bundle", reasons=(400,),
        parameters=(_NEED, _NEAR_PLACE, _POSTAL, _STATE, _LANGUAGE, _OPEN, _AGE, _COUNT),
    ),
    Route(
        "lastn", "GET", "/Observation/$lastn", "Operations", "The newest results of each code",
        "`patient` or `subject` and any other search parameter of Observation; `max` of each code.",
        answer="Bundle", parameters=(CRITERIA,),
    ),
    Route(
        "lastn_by_post", "POST", "/Observation/$lastn", "Operations",
        "The newest results of each code, by POST", "The same; the parameters come as Parameters.",
        answer="Bundle", reasons=(413, 415, 422), body="Parameters",
    ),
    Route(
        "match", "POST", "/Patient/$match", "Operations", "Who is this?",
        "A `resource` (a Patient with all that is known), `onlyCertainMatches` and `count`: the Patients that you "
        "see and that may be the same person, best first, each with its score and grade.",
        answer="Bundle", reasons=(413, 415, 422), body="Parameters",
    ),
    Route(
        "ihe_pix", "GET", "/Patient/$ihe-pix", "Operations", "Under which numbers is somebody known?",
        "IHE PIXm: the other identifiers of the person of whom `sourceIdentifier` is one, and the Patients that have "
        "them, as far as you see these records.",
        answer="Parameters", reasons=(404, 409),
        parameters=(
            {
                **_query("sourceIdentifier", "system|value; or the FHIR base|Patient/[id].", {"type": "string"}),
                "required": True,
            },
            _query("targetSystem", "Only numbers of this system; may be given several times.", {"type": "string"}),
        ),
    ),
    Route(
        "vread", "GET", "/{resource_type}/{id}/_history/{vid}", "Resources", "Read a version",
        "One version, current or not.", reasons=(404, 410), parameters=(TYPE, _ID, _VID),
    ),
    Route(
        "read_again", "POST", "/Task/$read-again", "Operations", "What the hub has copied has changed",
        "Names originals on your own server, of which the hub has copies, that are to be read again: a parameter "
        "`original` with the absolute URL of each; or the notification of a Subscription.",
        answer="Parameters", reasons=(413, 415, 422), body="Parameters",
    ),
    Route(
        "route", "GET", "/ServiceRequest/{id}/$route", "Operations", "Who could help?",
        "Who of the directory could help with what your ServiceRequest asks for, best first, with the reasons "
        "for and against each, and what the patient has already. A dry run: nobody is asked.",
        answer="Parameters", reasons=(404, 410, 422), parameters=(_ID, _COUNT),
    ),
    Route(
        "route_by_post", "POST", "/ServiceRequest/$route", "Operations", "Who could help with this?",
        "The same for a `serviceRequest` that is not stored, and a `patient` (a reference, or a Patient with what "
        "bears on the choice).",
        answer="Parameters", reasons=(413, 415, 422), parameters=(_COUNT,), body="Parameters",
    ),
    Route(
        "status_of_referral", "GET", "/{resource_type}/{id}/$status-of-referral", "Resources",
        "Where a referral is",
        "What happened, in order, and what is expected next, from whom; to a recipient its own part.",
        answer="Parameters", reasons=(404,), parameters=(TYPE, _ID),
        types=OPERATIONS["status-of-referral"].types,
    ),
    Route(
        "prior_results", "GET", "/{resource_type}/{id}/$prior-results", "Resources",
        "What is known that answers an order?",
        "Results that answer what is to be ordered, newest first, with their trend and who has them, and orders for "
        "the same that are under way; as far as you may see them.",
        answer="Parameters", reasons=(404, 410, 422), parameters=(TYPE, _ID, _CODE),
        types=OPERATIONS["prior-results"].types,
    ),
    Route(
        "current_medications", "GET", "/Patient/{id}/$current-medications", "Resources",
        "What is this patient on?",
        "Orders and statements of medications that are in force, and allergies, by all who say so, as far as you may "
        "see them; with what is there twice or does not go together.",
        answer="Parameters", reasons=(404, 410), parameters=(_ID,),
    ),
    Route(
        "extract", "GET", "/QuestionnaireResponse/{id}/$extract", "Resources",
        "What do the answers say, and what may be proposed?",
        "Of a screening known here: Observations, Conditions and proposed ServiceRequests as a transaction, each with "
        "ifNoneExist, so that it may be posted twice. Nothing is stored or sent by asking.",
        answer="Bundle", reasons=(404, 410, 422), parameters=(_ID,),
    ),
    Route(
        "why", "GET", "/{resource_type}/{id}/$why", "Resources", "Why is it shown, or not?",
        "What decides whether `recipient` sees it, and what was sent; told to whose it is.",
        answer="Parameters", reasons=(404,), parameters=(TYPE, _ID, _RECIPIENT),
    ),
)  # fmt: skip
