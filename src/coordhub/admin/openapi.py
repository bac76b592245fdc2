"""The OpenAPI document of the admin API: for operators, apart from what partners are told.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from coordhub.access.operators import SCOPES

FILTERS: Final = {
    "state": "dead, parked, queued, leased, suppressed or delivered; may be repeated. dead and parked by default",
    "endpoint": "Endpoint/id they were meant for",
    "organization": "Organization/id they were meant for",
    "reason": "part of the reason that the ledger gives",
    "since": "planned then or later",
    "until": "planned before",
    "_count": "so many at most, up to 1000",
    "after": "as `next` of the page before has it",
}
"""Parameters of the list."""

_TEXT: Final = {"type": "string"}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_UUID: Final = {"type": "string", "format": "uuid"}
_NUMBER: Final = {"type": "integer"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_LETTER: Final = {
    "id": _UUID,
    "state": _TEXT,
    "organization": {**_TEXT, "description": "Organization/id of the recipient"},
    "endpoint": {**_TEXT, "description": "Endpoint/id; empty: the inbox at the hub"},
    "what": {**_TEXT, "description": "Type/id of what changed; nothing of its content"},
    "version": _NUMBER,
    "attempts": _NUMBER,
    "created_at": _INSTANT,
    "next_at": _INSTANT,
    "settled_at": _or_null(_INSTANT),
    "reason": _or_null(_TEXT),
}
_TRIED: Final = {
    "number": _NUMBER,
    "at": _INSTANT,
    "outcome": _TEXT,
    "status": _or_null(_NUMBER),
    "latency_ms": _NUMBER,
    "detail": _or_null(_TEXT),
}
_SCHEMAS: Final = {
    "Delivery": _object(_LETTER),
    "DeliveryTried": _object(
        {**_LETTER, "tried": {"type": "array", "items": _object(_TRIED)}}
    ),
    "Deliveries": _object(
        {"deliveries": {"type": "array", "items": _ref("Delivery")}, "next": _TEXT}, "next"
    ),
    "Which": {
        **_object(
            {
                "ids": {"type": "array", "items": _UUID},
                **{name: _or_null(_TEXT) for name in ("endpoint", "organization", "reason")},
                **{name: _or_null(_INSTANT) for name in ("since", "until")},
            },
            "ids", "endpoint", "organization", "reason", "since", "until",
        ),
        "description": "Those that all of this is true of; one of them has to be said.",
    },
    "Replay": _object(
        {
            "which": _ref("Which"),
            "as_new": {
                "type": "boolean",
                "description": "with a new Idempotency-Key, a new budget, and content as it is now",
            },
        },
        "as_new",
    ),
    "Discard": _object(
        {"which": _ref("Which"), "because": {**_TEXT, "description": "stands in the audit"}}
    ),
    "Done": _object({"done": _NUMBER, "ids": {"type": "array", "items": _UUID}}),
    "Endpoints": _object(
        {
            "endpoints": {
                "type": "array",
                "items": _object(
                    {
                        "endpoint": _TEXT,
                        "state": _TEXT,
                        "failures": _NUMBER,
                        "probes": _NUMBER,
                        "opened_at": _or_null(_INSTANT),
                        "probe_at": _or_null(_INSTANT),
                        "allowance": _NUMBER,
                        "reason": _or_null(_TEXT),
                    }
                ),
            }
        }
    ),
    "Probed": _object({"endpoint": _TEXT}),
}  # fmt: skip


def _operation(
    name: str,
    summary: str,
    scope: str,
    answer: str,
    *,
    body: str | None = None,
    parameters: tuple[dict[str, Any], ...] = (),
    missing: bool = False,
) -> dict[str, Any]:
    refused = {
        "400": "Not as described here; the issue says what",
        "401": "No operator's token",
        "403": f"The token has not the scope {scope}",
        **({"404": "There is none; the issue says what to look at"} if missing else {}),
        **({"413": "The body is too large"} if body else {}),
        "503": "The database does not answer",
    }
    media = "application/fhir+json" if answer == "Bundle" else "application/json"
    schema = {"type": "object"} if answer == "Bundle" else _ref(answer)
    return {
        "operationId": name,
        "tags": ["Deliveries"],
        "summary": summary,
        "description": f"Needs the scope `{scope}`.",
        "parameters": list(parameters),
        **(
            {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref(body)}},
                }
            }
            if body
            else {}
        ),
        "responses": {
            "200": {"description": "Done", "content": {media: {"schema": schema}}},
            **{
                status: {
                    "description": text,
                    "content": {"application/fhir+json": {"schema": {"type": "object"}}},
                }
                for status, text in refused.items()
            },
        },
    }


def _in_path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _filters() -> tuple[dict[str, Any], ...]:
    kinds = {"since": _INSTANT, "until": _INSTANT, "_count": _NUMBER, "after": _NUMBER}
    return tuple(
        {
            "name": name,
            "in": "query",
            "description": meaning,
            "schema": {"type": "array", "items": _TEXT}
            if name == "state"
            else kinds.get(name, _TEXT),
        }
        for name, meaning in FILTERS.items()
    )


def paths() -> dict[str, Any]:
    delivery, read, act = _in_path("delivery", _UUID), "deliveries.read", "deliveries.act"
    return {
        "/admin/v1/deliveries": {
            "get": _operation(
                "listDeliveries", "Deliveries, in the order of their planning", read, "Deliveries",
                parameters=_filters(),
            )
        },
        "/admin/v1/deliveries/{delivery}": {
            "get": _operation(
                "showDelivery", "One delivery and every attempt at it", read, "DeliveryTried",
                parameters=(delivery,), missing=True,
            )
        },
        "/admin/v1/deliveries/{delivery}/content": {
            "get": _operation(
                "showContent", "What it would carry if it went now; in the audit with what it holds",
                "deliveries.content", "Bundle", parameters=(delivery,), missing=True,
            )
        },
        "/admin/v1/deliveries/replay": {
            "post": _operation(
                "replayDeliveries", "Send dead or parked ones once more, if the recipient may still see them",
                act, "Done", body="Replay", missing=True,
            )
        },
        "/admin/v1/deliveries/discard": {
            "post": _operation(
                "discardDeliveries", "Give dead, parked or queued ones up for good", act, "Done",
                body="Discard", missing=True,
            )
        },
        "/admin/v1/endpoints": {
            "get": _operation("listEndpoints", "Endpoints that fail or recover", read, "Endpoints")
        },
        "/admin/v1/endpoints/{endpoint}/probe": {
            "post": _operation(
                "probeEndpoint", "Try one that is left alone at once", act, "Probed",
                parameters=(_in_path("endpoint", _TEXT),), missing=True,
            )
        },
    }  # fmt: skip


@cache
def document() -> dict[str, Any]:
    """The whole of it; not to be changed."""
    scopes = "; ".join(f"`{name}`: {meaning}" for name, meaning in SCOPES.items())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "coordhub admin",
            "version": version("coordhub"),
            "description": f"For operators of the hub. Scopes: {scopes}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"operator": []}],
        "tags": [{"name": "Deliveries"}],
        "paths": paths(),
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "operator": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An operator's token, as `coordhub operators token` prints it.",
                }
            },
        },
    }


def text() -> str:
    """As it is printed, served and kept in `openapi/admin.json`."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
