"""The authorization server in the OpenAPI document: how clients and apps get the tokens that the rest takes.

https://www.rfc-editor.org/rfc/rfc6749, http://hl7.org/fhir/smart-app-launch/
"""

from __future__ import annotations

from typing import Any, Final

Described = dict[str, Any]

TAG: Final = "Authorization"

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PROOF: Final = {
    "client_assertion_type": {"type": "string", "const": _TYPE},
    "client_assertion": {**_TEXT, "description": "A JWT signed by a key of the client, good once."},
}
_TOKEN: Final = {"token": _TEXT}
_REFUSED: Final = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": _TEXT, "error_description": _TEXT},
}
_GRANTS: Final = ("client_credentials", "authorization_code", "refresh_token")


def _object(required: list[str], **properties: Described) -> Described:
    return {"type": "object", "required": required, "properties": properties}


def _json(schema: Described) -> Described:
    return {"application/json": {"schema": schema}}


def _posted(
    name: str, summary: str, more: str, required: list[str], form: Described,
    answer: Described | None,
) -> Described:  # fmt: skip
    said: Described = {"description": "So it is."}
    if answer is not None:
        said["content"] = _json(answer)
    refused = {
        "400": "What was asked for cannot be, and why.",
        "401": "Nobody was proven to ask: the same words whatever was wrong.",
        "429": "Too much that was wrong came from this address.",
    }
    return {
        "post": {
            "operationId": name,
            "tags": [TAG],
            "summary": summary,
            "description": more,
            "security": [],
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-www-form-urlencoded": {"schema": _object(required, **form)}
                },
            },
            "responses": {
                "200": said,
                **{
                    status: {"description": words, "content": _json(_REFUSED)}
                    for status, words in refused.items()
                },
            },
        }
    }


def _read(name: str, summary: str, answer: Described, **refused: str) -> Described:
    """refused: by `_status`, in words, or an OperationOutcome where there are none."""
    return {
        "get": {
            "operationId": name,
            "tags": [TAG],
            "summary": summary,
            "security": [],
            "responses": {
                "200": {"description": "So it is.", "content": _json(answer)},
                **{
                    status[1:]: {"description": words}
                    if words
                    else {"$ref": f"#/components/responses/Refused{status[1:]}"}
                    for status, words in refused.items()
                },
            },
        }
    }


PATHS: Final[dict[str, Described]] = {
    "/fhir/.well-known/smart-configuration": _read(
        "smartConfiguration",
        "What a client must know before it asks for a token",
        _object(
            ["token_endpoint", "authorization_endpoint", "capabilities"],
            token_endpoint=_TEXT, authorization_endpoint=_TEXT,
            capabilities={"type": "array", "items": _TEXT},
        ),
    ),
    "/fhir/.well-known/openid-configuration": _read(
        "openidConfiguration",
        "How identity tokens are checked",
        _object(["issuer", "jwks_uri"], issuer=_TEXT, jwks_uri=_TEXT),
        _404="",
    ),
    "/auth/jwks.json": _read(
        "jwks",
        "The keys that identity tokens are signed by",
        _object(["keys"], keys={"type": "array", "items": {"type": "object"}}),
    ),
    "/auth/userinfo": _read(
        "userinfo",
        "Who signed in to the app whose token this is",
        _object(["sub"], sub=_TEXT, fhirUser=_TEXT),
        _401="It is no token that was allowed openid.",
        _429="Too much that was wrong came from this address.",
    ),
    "/auth/token": _posted(
        "token",
        "A token for a grant",
        "Of a backend: client_credentials. Of an app: authorization_code, then refresh_token. The authorization "
        "endpoint, /auth/authorize, is a page for people (docs/integration.md).",
        ["grant_type"],
        {
            "grant_type": {"type": "string", "enum": list(_GRANTS)},
            "scope": _TEXT,
            **_PROOF,
            "client_id": _TEXT,
            "code": _TEXT,
            "redirect_uri": _TEXT,
            "code_verifier": _TEXT,
            "refresh_token": _TEXT,
        },
        _object(
            ["access_token", "token_type", "expires_in", "scope"],
            access_token=_TEXT, token_type=_TEXT, expires_in=_NUMBER, scope=_TEXT,
            refresh_token=_TEXT, id_token=_TEXT, patient=_TEXT,
            need_patient_banner={"type": "boolean"},
            fhirContext={"type": "array", "items": _object(["reference"], reference=_TEXT)},
        ),
    ),
    "/auth/introspect": _posted(
        "introspect",
        "What a token of the client's organization is",
        "RFC 7662. Of another's, and of what is none, `active` is false.",
        ["token", *_PROOF],
        {**_TOKEN, **_PROOF},
        _object(
            ["active"], active={"type": "boolean"}, scope=_TEXT, client_id=_TEXT, exp=_NUMBER,
            iat=_NUMBER, iss=_TEXT, sub=_TEXT, patient=_TEXT, fhirUser=_TEXT,
            cnf=_object([], **{"x5t#S256": _TEXT}),
        ),
    ),
    "/auth/revoke": _posted(
        "revoke",
        "Take back a token of the client's own",
        "RFC 7009. A refresh token with all that came of the same leave.",
        ["token"],
        {**_TOKEN, **_PROOF, "client_id": _TEXT},
        None,
    ),
    "/auth/launch": _posted(
        "launch",
        "Open an app with what is being looked at",
        "SMART's EHR launch, asked for by a backend: the word is good once, for ten minutes, for people of its "
        "organization.",
        ["app", *_PROOF],
        {"app": _TEXT, "patient": _TEXT, "task": _TEXT, **_PROOF},
        _object(
            ["launch", "iss", "expires_in"], launch=_TEXT, iss=_TEXT, expires_in=_NUMBER,
            address=_TEXT,
        ),
    ),
}  # fmt: skip
