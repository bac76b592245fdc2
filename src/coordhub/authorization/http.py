"""The authorization server over HTTP: a form becomes a grant, an answer becomes JSON that nobody keeps.

https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse

from coordhub.access.admission import network
from coordhub.access.certificates import thumbprint
from coordhub.access.oauth import PATH, address
from coordhub.authorization import (
    discovery,
    identity,
    introspection,
    opening,
    revocation,
    token,
    userinfo,
)
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import OAuthError, invalid_request
from coordhub.store import audit
from coordhub.store.transact import AuditRow

WELL_KNOWN: Final = "/.well-known/smart-configuration"
OPENID_WELL_KNOWN: Final = "/.well-known/openid-configuration"
"""Below the FHIR base, which is the issuer."""
_LARGEST: Final = 64 * 1024
_MOST_FIELDS: Final = 50
_UNKEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FORM: Final = "application/x-www-form-urlencoded"

Perform = Callable[[Context, Asked], Awaitable[dict[str, Any] | None]]


def router(fhir: str) -> APIRouter:
    """fhir: path of the FHIR base. `app.state.authorization` must hold the Context when a request comes."""
    routes = APIRouter()

    @routes.get(f"{fhir}{WELL_KNOWN}")
    async def configuration(request: Request) -> Response:
        context: Context = request.app.state.authorization
        found = discovery.configuration(
            context.base,
            identifies=context.signer is not None,
            binds=context.certificate_header is not None,
        )
        if context.registers:
            found["registration_endpoint"] = address(context.base, "register")
        return JSONResponse(found)

    @routes.post(f"{PATH}/token")
    async def get_token(request: Request) -> Response:
        return await _answered(request, token.answer)

    @routes.post(f"{PATH}/introspect")
    async def introspect(request: Request) -> Response:
        return await _answered(request, introspection.answer)

    @routes.post(f"{PATH}/launch")
    async def launch(request: Request) -> Response:
        return await _answered(request, opening.answer)

    @routes.post(f"{PATH}/revoke")
    async def revoke(request: Request) -> Response:
        return await _answered(request, revocation.answer)

    @routes.get(f"{fhir}{OPENID_WELL_KNOWN}")
    async def openid_configuration(request: Request) -> Response:
        context: Context = request.app.state.authorization
        if context.signer is None:
            raise HTTPException(404)
        return JSONResponse(identity.configuration(context.base))

    @routes.get(f"{PATH}/jwks.json")
    async def keys(request: Request) -> Response:
        context: Context = request.app.state.authorization
        return JSONResponse({"keys": []} if context.signer is None else context.signer.public())

    @routes.get(f"{PATH}/userinfo")
    async def user(request: Request) -> Response:
        context: Context = request.app.state.authorization
        told = await userinfo.answer(
            context,
            request.headers.get("authorization"),
            thumbprint(request.headers.raw, context.certificate_header),
        )
        if told is None:
            return Response(b"", 401, {**_UNKEPT, "WWW-Authenticate": "Bearer"})
        return JSONResponse(told, 200, _UNKEPT)

    return routes


async def _answered(request: Request, perform: Perform) -> Response:
    context: Context = request.app.state.authorization
    request_id: str = request.state.request_id
    try:
        answered = await perform(context, _asked(context, request, await _form(request)))
    except OAuthError as refused:
        now = context.clock()
        rows = context.refusals.note(refused, network(request.scope), request_id, now)
        said = {"error": refused.error, "error_description": refused.description}
        # After the answer: how long that takes must not say whether the client is known.
        written = BackgroundTask(_write, context, rows, now) if rows else None
        return JSONResponse(said, refused.status, _UNKEPT, background=written)
    if answered is None:
        return Response(b"", 200, _UNKEPT)
    return JSONResponse(answered, 200, _UNKEPT)


def _asked(context: Context, request: Request, form: dict[str, str]) -> Asked:
    shown = thumbprint(request.headers.raw, context.certificate_header)
    return Asked(form, request.state.request_id, shown)


async def _write(context: Context, rows: list[AuditRow], now: datetime) -> None:
    async with context.engine.pool.acquire() as conn:
        await audit.append_all(conn, rows, now)


async def _form(request: Request) -> dict[str, str]:
    """The fields, each given once; `invalid_request` for what is no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise invalid_request(f"Send a form: Content-Type {_FORM}.")
    if request.scope["query_string"]:
        raise invalid_request("Send what you ask for in the form, not in the address.")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _LARGEST:
            raise invalid_request(f"The form is larger than {_LARGEST} bytes.")
    try:
        pairs = parse_qsl(
            data.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )  # fmt: skip
    except ValueError:
        raise invalid_request(
            f"The form is no percent-encoded UTF-8, or has over {_MOST_FIELDS} fields."
        ) from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise invalid_request("Send each field of the form once.")
    return form
