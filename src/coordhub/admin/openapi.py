"""The OpenAPI document of the admin API: for operators, apart from what partners are told.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from coordhub.access.operators import SCOPES
from coordhub.admin import openapi_partners
from coordhub.admin.openapi_parts import (
    INSTANT,
    NUMBER,
    TEXT,
    UUID,
    in_path,
    object_of,
    operation,
    or_null,
    ref,
)

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

_LETTER: Final = {
    "id": UUID,
    "state": TEXT,
    "organization": {**TEXT, "description": "Organization/id of the recipient"},
    "endpoint": {**TEXT, "description": "Endpoint/id; empty: the inbox at the hub"},
    "what": {**TEXT, "description": "Type/id of what changed; nothing of its content"},
    "version": NUMBER,
    "attempts": NUMBER,
    "created_at": INSTANT,
    "next_at": INSTANT,
    "settled_at": or_null(INSTANT),
    "reason": or_null(TEXT),
}
_TRIED: Final = {
    "number": NUMBER,
    "at": INSTANT,
    "outcome": TEXT,
    "status": or_null(NUMBER),
    "latency_ms": NUMBER,
    "detail": or_null(TEXT),
}
_SCHEMAS: Final = {
    "Delivery": object_of(_LETTER),
    "DeliveryTried": object_of(
        {**_LETTER, "tried": {"type": "array", "items": object_of(_TRIED)}}
    ),
    "Deliveries": object_of(
        {"deliveries": {"type": "array", "items": ref("Delivery")}, "next": TEXT}, "next"
    ),
    "Which": {
        **object_of(
            {
                "ids": {"type": "array", "items": UUID},
                **{name: or_null(TEXT) for name in ("endpoint", "organization", "reason")},
                **{name: or_null(INSTANT) for name in ("since", "until")},
            },
            "ids", "endpoint", "organization", "reason", "since", "until",
        ),
        "description": "Those that all of this is true of; one of them has to be said.",
    },
    "Replay": object_of(
        {
            "which": ref("Which"),
            "as_new": {
                "type": "boolean",
                "description": "with a new Idempotency-Key, a new budget, and content as it is now",
            },
        },
        "as_new",
    ),
    "Discard": object_of(
        {"which": ref("Which"), "because": {**TEXT, "description": "stands in the audit"}}
    ),
    "Done": object_of({"done": NUMBER, "ids": {"type": "array", "items": UUID}}),
    "Endpoints": object_of(
        {
            "endpoints": {
                "type": "array",
                "items": object_of(
                    {
                        "endpoint": TEXT,
                        "state": TEXT,
                        "failures": NUMBER,
                        "probes": NUMBER,
                        "opened_at": or_null(INSTANT),
                        "probe_at": or_null(INSTANT),
                        "allowance": NUMBER,
                        "reason": or_null(TEXT),
                    }
                ),
            }
        }
    ),
    "Probed": object_of({"endpoint": TEXT}),
}  # fmt: skip


def _filters() -> tuple[dict[str, Any], ...]:
    kinds = {"since": INSTANT, "until": INSTANT, "_count": NUMBER, "after": NUMBER}
    return tuple(
        {
            "name": name,
            "in": "query",
            "description": meaning,
            "schema": {"type": "array", "items": TEXT}
            if name == "state"
            else kinds.get(name, TEXT),
        }
        for name, meaning in FILTERS.items()
    )


def paths() -> dict[str, Any]:
    delivery, read, act = in_path("delivery", UUID), "deliveries.read", "deliveries.act"
    return {
        "/admin/v1/deliveries": {
            "get": operation(
                "listDeliveries", "Deliveries, in the order of their planning", read, "Deliveries",
                parameters=_filters(),
            )
        },
        "/admin/v1/deliveries/{delivery}": {
            "get": operation(
                "showDelivery", "One delivery and every attempt at it", read, "DeliveryTried",
                parameters=(delivery,), missing=True,
            )
        },
        "/admin/v1/deliveries/{delivery}/content": {
            "get": operation(
                "showContent", "What it would carry if it went now; in the audit with what it holds",
                "deliveries.content", "Bundle", parameters=(delivery,), missing=True,
            )
        },
        "/admin/v1/deliveries/replay": {
            "post": operation(
                "replayDeliveries", "Send dead or parked ones once more, if the recipient may still see them",
                act, "Done", body="Replay", missing=True,
            )
        },
        "/admin/v1/deliveries/discard": {
            "post": operation(
                "discardDeliveries", "Give dead, parked or queued ones up for good", act, "Done",
                body="Discard", missing=True,
            )
        },
        "/admin/v1/endpoints": {
            "get": operation("listEndpoints", "Endpoints that fail or recover", read, "Endpoints")
        },
        "/admin/v1/endpoints/{endpoint}/probe": {
            "post": operation(
                "probeEndpoint", "Try one that is left alone at once", act, "Probed",
                parameters=(in_path("endpoint", TEXT),), missing=True,
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
        "tags": [{"name": "Deliveries"}, {"name": "Partners"}],
        "paths": {**paths(), **openapi_partners.paths()},
        "components": {
            "schemas": {**_SCHEMAS, **openapi_partners.SCHEMAS},
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
