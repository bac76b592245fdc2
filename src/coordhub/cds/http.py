"""CDS Hooks over HTTP: who calls (401), what it asks (400, 404, 412, 413, 415), the cards, the audit.

https://cds-hooks.hl7.org/2.0/#http-status-codes
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from coordhub import errors
from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.cds import answering, feedback, hooks, services
from coordhub.cds.context import Context
from coordhub.cds.services import PATH, SERVICES, Service
from coordhub.errors import FhirError, Issue
from coordhub.r4 import document as fhir_json
from coordhub.store.transact import AuditRow

JSON: Final = "application/json"
_UNKEPT: Final = {"Cache-Control": "no-store"}

router = APIRouter()


@router.get(PATH)
async def discovery() -> Response:
    return Response(fhir_json.encode(services.discovery()), 200, media_type=JSON)


@router.post(f"{PATH}/{{service}}")
async def call(request: Request, service: str) -> Response:
    context: Context = request.app.state.cds
    offered = _service(service)
    caller = await _caller(request, context, offered)
    async with _admitted(request, context, caller) as sent:
        hook = hooks.read(offered, await _document(request, context))
        told = await answering.answer(context, caller, hook)
        await _note(context, caller, offered.hook, told.rids)
        return Response(fhir_json.encode(told.body), 200, sent, media_type=JSON)


@router.post(f"{PATH}/{{service}}/feedback")
async def hear(request: Request, service: str) -> Response:
    context: Context = request.app.state.cds
    offered = _service(service)
    caller = await _caller(request, context, offered)
    async with _admitted(request, context, caller) as sent:
        told = feedback.read(await _document(request, context))
        await feedback.keep(context, caller, offered, told)
        await _note(context, caller, "feedback", ())
        return Response(b"{}", 200, sent, media_type=JSON)


def _service(name: str) -> Service:
    if name not in SERVICES:
        raise FhirError(
            404, Issue("not-found", f"There is no such service; GET {PATH} lists those there are.")
        )
    return SERVICES[name]


async def _caller(request: Request, context: Context, service: Service) -> Caller:
    """Who signed the JWT, as what it was registered; 401, always in the same words, if nobody did."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    where = services.address(context.hub.base, service.id)
    client = None
    if scheme.lower() == "bearer":
        client = await context.prove(text.strip(), where)
    if client is None or client.role == "person":
        raise errors.unauthorized(
            "Send `Authorization: Bearer <JWT>`, signed with RS384 or ES384 by a key of a client that is registered "
            f"here, once: iss its name, aud {where}, exp at most 5 minutes ahead, jti."
        )
    caller = Caller(
        client.id,
        client.organization,
        client.reference,
        scopes.parse(client.scopes),
        request_id=request.state.request_id,
        role=client.role,
        allowance=client.allowance,
        sandbox=client.sandbox,
    )
    request.state.caller = caller
    return caller


@contextlib.asynccontextmanager
async def _admitted(
    request: Request, context: Context, caller: Caller
) -> AsyncIterator[dict[str, str]]:
    """While a call of this client is under way, within what it may ask: 429 otherwise, which is not audited.

    Gives the headers of the answer. Each call has a token of its own, so that it is known by its name.
    """
    admission = context.admission
    guest = admission.learn(f"cds {caller.client}", caller)
    try:
        admission.begin(guest)
    except FhirError:
        request.state.is_audited = True
        raise
    try:
        await admission.count_of_day(guest)
        standing = {name.decode(): value.decode() for name, value in admission.headers(guest)}
        yield {**_UNKEPT, **standing}
    finally:
        admission.end(guest)


async def _document(request: Request, context: Context) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (JSON, "application/fhir+json"):
        raise FhirError(415, Issue("not-supported", f"Send JSON: Content-Type {JSON}."))
    if request.headers.get("content-encoding", "identity") != "identity":
        raise FhirError(415, Issue("not-supported", "Send it without a Content-Encoding."))
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > context.largest:
            raise errors.too_large(f"The call is larger than {context.largest} bytes.")
    return fhir_json.parse(data)


async def _note(context: Context, caller: Caller, what: str, rids: tuple[int, ...]) -> None:
    await context.audit.record(
        AuditRow(
            caller.client, caller.organization, f"cds-{what}", 200, rids=rids,
            request_id=caller.request_id,
        )
    )  # fmt: skip
