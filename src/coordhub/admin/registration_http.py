"""A partner registers its client itself, in the sandbox, by a software statement, where the hub trusts who makes them.

https://www.rfc-editor.org/rfc/rfc7591#section-3

What is refused is said in the words of RFC 7591. It is approved by a person like any other; until then an
organization has only so many.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from coordhub.access.oauth import PATH
from coordhub.access.statements import InvalidStatement, Issuers, Statement, read
from coordhub.admin import onboarding, registering
from coordhub.admin.acts import NothingDone, Operator
from coordhub.record.hub import Hub

MOST: Final = 5
"""Clients of one organization that came by a statement and wait to be approved."""

LARGEST: Final = 256 * 1024
BESIDE: Final = "software:"
"""Before the issuer, as who registered it."""

_UNKEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Registrar:
    """`app.state.registrar`. issuers: whose statements count; none: nobody registers itself."""

    hub: Hub
    issuers: Issuers


class Asked(msgspec.Struct, frozen=True):
    """What is not said by the statement. endpoint, headers: as an operator would register them. What else RFC 7591
    names is taken and has no effect."""

    software_statement: str = ""
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    scope: str | None = None
    endpoint: str | None = None
    headers: tuple[str, ...] = ()
    token_endpoint_auth_method: str = "private_key_jwt"
    grant_types: tuple[str, ...] = ("client_credentials",)


class _Refused(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


@router.post(f"{PATH}/register")
async def register(request: Request) -> Response:
    registrar: Registrar = request.app.state.registrar
    try:
        if not registrar.issuers:
            raise _Refused(
                "access_denied",
                "This hub takes no software statements: its operator registers you (docs/onboarding.md).",
                403,
            )
        asked = await _body(request)
        try:
            stated = read(asked.software_statement, registrar.issuers, registrar.hub.clock())
        except InvalidStatement as invalid:
            raise _Refused("invalid_software_statement", str(invalid)) from None
        return JSONResponse(await _register(registrar.hub, asked, stated), 201, _UNKEPT)
    except _Refused as refused:
        said = {"error": refused.error, "error_description": refused.description}
        return JSONResponse(said, refused.status, _UNKEPT)


async def _register(hub: Hub, asked: Asked, stated: Statement) -> dict[str, Any]:
    if asked.token_endpoint_auth_method != "private_key_jwt" or (
        set(asked.grant_types) - {"client_credentials"}
    ):
        raise _Refused(
            "invalid_client_metadata",
            "Here are registered backends: grant_types client_credentials, token_endpoint_auth_method private_key_jwt.",
        )
    given = stated.keys or asked.jwks_uri or (json.dumps(asked.jwks) if asked.jwks else "")
    name = re.sub(r"[^A-Za-z0-9]+", "-", stated.software).strip("-").lower()[:40] or "software"
    client = f"{name}-{secrets.token_hex(6)}"
    try:
        keys = registering.keys_of(given)
        server = None
        if asked.endpoint is not None:
            server = onboarding.server_of(asked.endpoint, asked.headers)
        registration = onboarding.Registration(
            client,
            stated.organization,
            keys,
            stated.scope or asked.scope or "system/*.cruds",
            server,
            f"{stated.software} ({stated.issuer})",
        )
        by = Operator(f"{BESIDE}{stated.issuer}")
        standing = await onboarding.register(hub, by, registration, most=MOST)
    except onboarding.TooMany as too_many:
        raise _Refused("unapproved_software_statement", f"{too_many}", 403) from None
    except NothingDone as nothing:
        raise _Refused("invalid_client_metadata", str(nothing)) from None
    return {
        "client_id": client,
        "client_id_issued_at": int(standing.registered_at.timestamp()),
        "scope": registering.stated(registration.scope),
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        **(
            {"jwks_uri": keys.jwks_uri}
            if keys.jwks_uri
            else {"jwks": json.loads(keys.jwks or "{}")}
        ),
        "software_statement": asked.software_statement,
        "organization": standing.sandbox,
    }


async def _body(request: Request) -> Asked:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > LARGEST:
            raise _Refused("invalid_client_metadata", f"The body is beyond {LARGEST} bytes.")
    try:
        return msgspec.json.decode(data, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Refused(
            "invalid_client_metadata",
            "Send JSON with software_statement, and what that does not say of jwks or jwks_uri and scope.",
        ) from None
