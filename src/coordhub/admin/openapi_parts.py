"""Parts of which the OpenAPI document of the admin API is made."""

from __future__ import annotations

from typing import Any, Final

TEXT: Final = {"type": "string"}
INSTANT: Final = {"type": "string", "format": "date-time"}
UUID: Final = {"type": "string", "format": "uuid"}
NUMBER: Final = {"type": "integer"}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def object_of(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def operation(
    name: str,
    summary: str,
    scope: str,
    answer: str,
    *,
    body: str | None = None,
    parameters: tuple[dict[str, Any], ...] = (),
    missing: bool = False,
    conflict: str = "",
    unusable: bool = False,
    tag: str = "Deliveries",
) -> dict[str, Any]:
    refused = {
        "400": "Not as described here; the issue says what",
        "401": "No operator's token",
        "403": f"The token has not the scope {scope}",
        **({"404": "There is none; the issue says what to look at"} if missing else {}),
        **({"409": conflict} if conflict else {}),
        **({"422": "It cannot be so; the issue says why"} if unusable else {}),
        **({"413": "The body is too large"} if body else {}),
        "503": "The database does not answer",
    }
    media = "application/fhir+json" if answer == "Bundle" else "application/json"
    schema = {"type": "object"} if answer == "Bundle" else ref(answer)
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": f"Needs the scope `{scope}`.",
        "parameters": list(parameters),
        **(
            {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": ref(body)}},
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


def in_path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}
