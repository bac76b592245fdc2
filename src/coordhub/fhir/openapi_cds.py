"""CDS Hooks in the OpenAPI document: what is called beside the FHIR base by who is about to order.

https://cds-hooks.hl7.org/2.0/
"""

from __future__ import annotations

from typing import Any, Final

Described = dict[str, Any]

_TEXT: Final = {"type": "string"}
_UUID: Final = {"type": "string", "format": "uuid"}
_SERVICE: Final = {
    "name": "service",
    "in": "path",
    "required": True,
    "description": "id of a service, as discovery lists it.",
    "schema": _TEXT,
}


def _object(required: list[str], **properties: Described) -> Described:
    return {"type": "object", "required": required, "properties": properties}


def _listed(one: Described) -> Described:
    return {"type": "array", "items": one}


def _json(schema: Described) -> Described:
    return {"application/json": {"schema": schema}}


def _coding() -> Described:
    return _object(["code"], system=_TEXT, code=_TEXT, display=_TEXT)


_SERVICES: Final = _object(
    ["services"],
    services=_listed(
        _object(
            ["id", "hook", "description"], id=_TEXT, hook=_TEXT, title=_TEXT, description=_TEXT,
            prefetch={"type": "object", "additionalProperties": _TEXT}, usageRequirements=_TEXT,
        )
    ),
)  # fmt: skip
_CALL: Final = _object(
    ["hook", "hookInstance", "context"],
    hook=_TEXT,
    hookInstance=_UUID,
    context={"type": "object", "description": "As the hook defines it."},
    prefetch={"type": "object"},
    fhirServer=_TEXT,
    fhirAuthorization=_object(["access_token"], access_token=_TEXT),
)
_SUGGESTION: Final = _object(
    ["label", "uuid"], label=_TEXT, uuid=_UUID, isRecommended={"type": "boolean"},
    actions=_listed(
        _object(
            ["type", "description"], type={"type": "string", "enum": ["create", "delete"]},
            description=_TEXT, resource={"type": "object"}, resourceId=_TEXT,
        )
    ),
)  # fmt: skip
_CARDS: Final = _object(
    ["cards"],
    cards=_listed(
        _object(
            ["uuid", "summary", "indicator", "source", "overrideReasons"], uuid=_UUID,
            summary={"type": "string", "maxLength": 139},
            indicator={"type": "string", "enum": ["info", "warning"]}, detail=_TEXT,
            source=_object(["label"], label=_TEXT, topic=_coding()),
            selectionBehavior={"type": "string", "enum": ["at-most-one"]},
            suggestions=_listed(_SUGGESTION), overrideReasons=_listed(_coding()),
        )
    ),
)  # fmt: skip
_FEEDBACK: Final = _object(
    ["feedback"],
    feedback=_listed(
        _object(
            ["card", "outcome"], card=_UUID,
            outcome={"type": "string", "enum": ["accepted", "overridden"]},
            acceptedSuggestions=_listed(_object(["id"], id=_TEXT)),
            overrideReason=_object([], reason=_coding(), userComment=_TEXT), outcomeTimestamp=_TEXT,
        )
    ),
)  # fmt: skip


def _posted(name: str, summary: str, more: str, body: Described, answer: Described) -> Described:
    refusals = ["400", "401", "404", "413", "415", "429"]
    if name == "callCdsService":
        refusals.insert(3, "412")
    return {
        "post": {
            "operationId": name,
            "tags": ["CDS Hooks"],
            "summary": summary,
            "description": more,
            "security": [{"client": []}],
            "parameters": [_SERVICE],
            "requestBody": {"required": True, "content": _json(body)},
            "responses": {
                "200": {"description": "So it is.", "content": _json(answer)},
                **{one: {"$ref": f"#/components/responses/Refused{one}"} for one in refusals},
            },
        }
    }


PATHS: Final[dict[str, Described]] = {
    "/cds-services": {
        "get": {
            "operationId": "discoverCdsServices",
            "tags": ["CDS Hooks"],
            "summary": "Which services there are",
            "security": [],
            "responses": {
                "200": {"description": "One for each hook.", "content": _json(_SERVICES)}
            },
        }
    },
    "/cds-services/{service}": _posted(
        "callCdsService",
        "What is known already?",
        "One card an order at most, for a result that answers it or an order for the same that is under way.",
        _CALL,
        _CARDS,
    ),
    "/cds-services/{service}/feedback": _posted(
        "tellCdsService",
        "What became of a card",
        "The first feedback for a card of your own counts.",
        _FEEDBACK,
        {"type": "object"},
    ),
}

SECURITY: Final[Described] = {
    "client": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Signed by a key of a client that is registered here; aud is the address of the service.",
    }
}
