"""The OpenAPI document of the hub.

https://spec.openapis.org/oas/v3.1.0

Made from what the hub itself goes by: the routes, R4's definitions, the search parameters that are
served. It takes some 0.1 s and is made once in a process, at its first use.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.metadata import version
from typing import Any

from coordhub.fhir import (
    openapi_auth,
    openapi_cds,
    openapi_examples,
    openapi_paths,
    openapi_schemas,
)

_DESCRIPTION = (
    "Routes referrals and results between primary care, specialists and social services. The FHIR "
    "R4 (4.0.1) base is `/fhir`; what it serves is at `/fhir/metadata`. Every GET answers HEAD "
    "too. Whatever is refused is answered by an OperationOutcome that names every issue."
)
_OWN: dict[str, dict[str, Any]] = {
    "/health": {
        "get": {
            "operationId": "health",
            "tags": ["Operation"],
            "summary": "Whether the process lives",
            "security": [],
            "responses": {"200": {"$ref": "#/components/responses/State"}},
        }
    },
    "/ready": {
        "get": {
            "operationId": "ready",
            "tags": ["Operation"],
            "summary": "Whether requests can be served",
            "description": "503: the database does not answer, or is not migrated.",
            "security": [],
            "responses": {
                "200": {"$ref": "#/components/responses/State"},
                "503": {"$ref": "#/components/responses/Refused503"},
            },
        }
    },
}
_STATE = {
    "description": "It is so.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["status"],
                "properties": {"status": {"type": "string", "enum": ["alive", "ready"]}},
            }
        }
    },
}


@cache
def document() -> dict[str, Any]:
    """The whole of it; not to be changed."""
    described = openapi_paths.paths()
    tags = [
        "System",
        *openapi_schemas.NAMED,
        openapi_paths.OTHERS,
        openapi_auth.TAG,
        "CDS Hooks",
        "Operation",
    ]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "coordhub",
            "version": version("coordhub"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in tags],
        "paths": {**described.items, **openapi_auth.PATHS, **openapi_cds.PATHS, **_OWN},
        "components": {
            "schemas": openapi_schemas.schemas(),
            "parameters": described.parameters,
            "responses": {**openapi_paths.refusals(), "State": _STATE},
            "headers": openapi_paths.HEADERS,
            "examples": {
                name: {"value": value} for name, value in openapi_examples.all_examples().items()
            },
            "securitySchemes": {
                **openapi_cds.SECURITY,
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of this hub, as `coordhub token` prints it.",
                },
            },
        },
    }


def text() -> str:
    """As it is printed and kept in `openapi/coordhub.json`."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


@cache
def rendered(*, packed: bool) -> bytes:
    """As it is served; packed: by gzip."""
    content = json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode()
    return gzip.compress(content, 9, mtime=0) if packed else content
