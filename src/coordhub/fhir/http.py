"""FHIR over HTTP: a request becomes an interaction, an answer becomes a response.

http://hl7.org/fhir/R4/http.html

The only module of this door that knows the web framework. The order is: who is it (401), does it ask
too much (429), can it read our answers (406), what does the address mean (404, 405), the body (413, 415, 400), then the
interaction. Until the body has been read only the token may have asked the database.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from coordhub import errors
from coordhub.access.admission import STRANGERS, Admission, Guest
from coordhub.access.caller import NOBODY, Caller
from coordhub.directory import services
from coordhub.errors import FhirError
from coordhub.fhir import auditing, binary, body, compression, headers, provenance_header
from coordhub.fhir.answering import answer
from coordhub.fhir.context import JSON, Answer, Asked, Context
from coordhub.fhir.description import ROUTES
from coordhub.fhir.dispatch import Target, dispatch
from coordhub.fhir.paging import applied
from coordhub.fhir.present import is_asked_pretty, pretty
from coordhub.fhir.writes import json_patch_document
from coordhub.r4 import document, outcome
from coordhub.record.operations import Idempotency

PREFIX: Final = "/fhir"
WELL_KNOWN: Final = f"{PREFIX}/.well-known/"
"""What is said there is not FHIR's (RFC 8615): others of `app` answer."""
METHODS: Final = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY",
)  # fmt: skip
"""Those that HTTP knows: what an address does not have, dispatch refuses and says what it has."""
LARGE: Final = 256 * 1024
"""Bytes from which a body is parsed in a thread, so that others are answered meanwhile."""

PRIVATE: Final = {
    "Cache-Control": "no-store",
    "Vary": "Authorization, Accept, Accept-Encoding",
}
"""What came from one caller's eyes is kept by no cache, on the way or at its end."""

_BODIES = frozenset({"create", "update", "patch", "transaction", "operation"})
_FORMS = frozenset({"search-type", "search-system"})
_SEARCHING = frozenset(
    {"search-type", "search-system", "history-instance", "history-type", "history-system"}
)
_MOST_PARAMETERS = 1000
ENTRIES_OF_A_REQUEST: Final = 50
"""A Bundle counts as one request for each so many entries: they are read and written together."""


def is_below(path: str) -> bool:
    """Whether it is asked of FHIR."""
    return (path == PREFIX or path.startswith(f"{PREFIX}/")) and not path.startswith(WELL_KNOWN)


class Door:
    """Whatever is asked of FHIR, of addresses that are below.

    `app.state.context` must hold the Context when a request comes.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context: Context = scope["app"].state.context
        state: dict[str, Any] = scope["state"]
        method: str = scope["method"]
        state["route"] = PREFIX + _route(scope["path"])
        try:
            if method not in METHODS:
                allowed = ", ".join(METHODS)
                raise errors.method_not_allowed(
                    f"{method} does not exist here; there is {allowed}.", allowed
                )
            response = await respond(context, Request(scope, receive, send), state)
        except FhirError as error:
            if error.status < 500:
                await audit_refusal(context, state, error)
            response = refusal(error, head=method == "HEAD")
        finally:
            guest: Guest | None = state.get("guest")
            if guest is not None:
                context.admission.end(guest)
        guest = guest or state.get("refused_guest")
        if guest is not None:
            response.raw_headers += context.admission.headers(guest)
        await response(scope, receive, send)


def _route(path: str) -> str:
    """The address as it is described, without ids."""
    parts = path.removeprefix(PREFIX).split("/")
    for places, described in _DESCRIBED.get(len(parts), ()):
        if all(parts[at] == known for at, known in places):
            return described
    return "/{rest:path}"


def _described() -> dict[int, list[tuple[list[tuple[int, str]], str]]]:
    """By how many parts it has: what stands where in it, and the whole."""
    by_length: dict[int, list[tuple[list[tuple[int, str]], str]]] = {}
    for path in dict.fromkeys(route.path for route in ROUTES):
        parts = path.split("/")
        places = [(at, part) for at, part in enumerate(parts) if part[:1] != "{"]
        by_length.setdefault(len(parts), []).append((places, path))
    return by_length


_DESCRIBED: Final = _described()


async def respond(context: Context, request: Request, state: dict[str, Any]) -> Response:
    """Answer one request; what is refused leaves as FhirError. state: the request's, for log and audit."""
    path: str = request.scope["path"]  # not request.url: there a decoded %3F begins a query
    segments = [part for part in path.removeprefix(PREFIX).split("/") if part]
    sent = request.headers
    if segments == ["metadata"]:
        caller = NOBODY
    else:
        caller = await _admitted(context, sent, state)
        state["caller"] = caller
    query = pairs_of(request.scope["query_string"])
    accept = _listed(sent, "accept")
    formats = [value for name, value in query if name == "_format"]
    may_be_bytes = segments[:1] == ["Binary"]
    if not may_be_bytes:
        headers.require_json_answer(accept, formats)
    target = dispatch(request.method, segments, conditional=bool(applied(query)))
    as_bytes = binary.is_asked_as_bytes(target, accept, query)
    if may_be_bytes and not as_bytes:
        headers.require_json_answer(accept, formats)
    state["interaction"], state["target"] = target.interaction, target
    asked = await _asked(context, request, caller, target, query)
    admission = context.admission
    if target.interaction == "transaction" and asked.document is not None:
        entries = asked.document.get("entry")
        if isinstance(entries, list):
            admission.owe(state["guest"], len(entries) // ENTRIES_OF_A_REQUEST)
    is_pretty = is_asked_pretty(asked.query)
    searches = target.interaction in _SEARCHING or target.operation in (
        "everything",
        "find",
        "lastn",
    )
    async with admission.turn(caller.client or STRANGERS, searches=searches):
        state["is_audited"] = True
        with services.within(sandbox=caller.sandbox):
            answered = await answer(context, asked)
    if as_bytes and answered.body:
        return _native(context, request, answered)
    return await _response(context, request, answered, is_pretty=is_pretty)


async def _admitted(context: Context, sent: Headers, state: dict[str, Any]) -> Caller:
    """Who it is; 401 if nobody, 429 if it asks too much.

    Of too much nothing is audited: nothing was looked at, and it would be as much to write down as to answer.
    """
    admission, authorization = context.admission, sent.get("authorization")
    guest = admission.presumed(authorization)
    try:
        if guest is not None:
            _begin(admission, state, guest)
        try:
            caller = context.tokens.remembered(authorization, state["request_id"])
            if caller is None:
                async with admission.turn(guest.client if guest else STRANGERS):
                    caller = await context.tokens.caller(
                        authorization, state["request_id"], sent.raw
                    )
        except FhirError:
            if guest is not None and authorization is not None:
                admission.forget(authorization)
            raise
        known = admission.learn(authorization or "", caller)
        if guest is None:
            _begin(admission, state, known)
        if known.terms.per_day is not None:
            await admission.count_of_day(known)
    except FhirError as error:
        state["is_audited"] = error.status == 429
        raise
    return caller


def _begin(admission: Admission, state: dict[str, Any], guest: Guest) -> None:
    state["refused_guest"] = guest
    admission.begin(guest)
    state["guest"] = guest


async def _asked(
    context: Context,
    request: Request,
    caller: Caller,
    target: Target,
    query: tuple[tuple[str, str], ...],
) -> Asked:
    sent = request.headers
    conditions = headers.conditions(
        match=sent.get("if-match"),
        none_match=_listed(sent, "if-none-match"),
        modified_since=sent.get("if-modified-since"),
        none_exist=sent.get("if-none-exist"),
    )
    if target.interaction == "update" and conditions.if_none_match is not None:
        raise errors.not_supported("If-None-Match is not offered for updates.")
    key = headers.idempotency_key(sent.get("idempotency-key"))
    provenance = provenance_header.read(
        sent.get("x-provenance"), target.interaction, context.limits.nesting
    )
    data, parsed = b"", None
    if target.interaction in _BODIES | _FORMS and request.method not in ("GET", "HEAD"):
        is_form = target.interaction in _FORMS
        content_type = sent.get("content-type")
        is_json_patch = target.interaction == "patch" and headers.is_json_patch(content_type)
        as_bytes = binary.is_sent_as_bytes(target, content_type)
        if is_form:
            headers.require_form_body(content_type)
        elif not (as_bytes or is_json_patch):
            headers.require_json_body(content_type)
        data = await body.read(
            request.stream(),
            length=sent.get("content-length"),
            encoding=sent.get("content-encoding"),
            limit=context.limits.body_bytes,
        )
        if is_form:
            query += pairs_of(data)
        elif as_bytes:
            parsed = binary.document(target, content_type, data, sent.get("x-security-context"))
        elif is_json_patch:
            parsed = json_patch_document(data)
        elif data or target.interaction != "operation":
            parsed = await _parsed(data, context.limits.nesting)
    return Asked(
        caller,
        target,
        query,
        parsed,
        conditions,
        headers.preference(_listed(sent, "prefer")),
        _idempotency(key, request, data),
        provenance=provenance,
    )


def _listed(sent: Headers, name: str) -> str | None:
    """A header that is a list, of which each part may come as a header of its own (RFC 9110, 5.3)."""
    return ", ".join(sent.getlist(name)) or None


async def _parsed(data: bytes, deepest: int) -> dict[str, Any]:
    if len(data) > LARGE:
        return await asyncio.to_thread(document.parse, data, deepest=deepest)
    return document.parse(data, deepest=deepest)


def _idempotency(key: str | None, request: Request, data: bytes) -> Idempotency | None:
    if key is None:
        return None
    path: str = request.scope["path"]
    query: bytes = request.scope["query_string"]
    asked = f"{request.method}\n{path}\n".encode()
    if query:
        asked += query + b"\n"
    provenance = request.headers.get("x-provenance")
    if provenance is not None:
        asked += provenance.encode() + b"\n"
    return Idempotency(key, hashlib.sha256(asked + data).digest())


def pairs_of(text: bytes) -> tuple[tuple[str, str], ...]:
    """The pairs of a query or a form, decoded; 400 if they are no UTF-8 or too many."""
    try:
        return tuple(
            parse_qsl(
                text.decode("utf-8"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MOST_PARAMETERS,
            )
        )
    except ValueError:
        raise errors.bad_request(
            f"The query is not percent-encoded UTF-8, or has over {_MOST_PARAMETERS} parameters."
        ) from None


def _native(context: Context, request: Request, answered: Answer) -> Response:
    """A Binary as its own content, made while it is sent."""
    made = binary.native(answered.body, _listed(request.headers, "accept"))
    sent = {
        **PRIVATE,
        **_about(context, answered),
        **binary.HEADERS,
        "Content-Length": str(made.size),
    }
    if request.method == "HEAD" or not made.size:
        return Response(b"", answered.status, sent, media_type=made.media if made.size else None)
    return StreamingResponse(made.pieces(), answered.status, sent, media_type=made.media)


async def _response(
    context: Context, request: Request, answered: Answer, *, is_pretty: bool
) -> Response:
    sent = _about(context, answered)
    content = answered.body
    if content and is_pretty:
        content = pretty(content)
    takes_gzip = compression.is_taken(_listed(request.headers, "accept-encoding"))
    if len(content) >= compression.SMALL and takes_gzip:
        content = await compression.compressed(content)
        sent["Content-Encoding"] = "gzip"
    return written(answered.status, content, sent, head=request.method == "HEAD")


def _about(context: Context, answered: Answer) -> dict[str, str]:
    """The headers that say what the answer is about."""
    sent: dict[str, str] = {}
    if answered.version is not None:
        sent["ETag"] = headers.etag(answered.version)
    if answered.updated is not None:
        sent["Last-Modified"] = headers.last_modified(answered.updated)
    location = answered.location(context.hub.base)
    if location is not None:
        sent["Location"] = location
    if answered.replayed:
        sent["Idempotency-Replayed"] = "true"
    if answered.warnings:
        sent["Warning"] = headers.warning(answered.warnings)
    return sent


async def audit_refusal(
    context: Context, state: MutableMapping[str, Any], error: FhirError
) -> None:
    """Into the audit with what was refused, or failed, unless an interaction answered for it.

    state: of the request, as `respond` left it; it remembers, so that each refusal is there once.
    """
    if state.get("is_audited", False) and error.status < 500:
        return
    state["is_audited"] = True
    caller = replace(state.get("caller", NOBODY), request_id=state["request_id"])
    unknown = auditing.UNAUTHENTICATED if error.status == 401 else auditing.UNKNOWN
    target = state.get("target", unknown)
    await context.audit.record(auditing.row(caller, target, error.status))


def refusal(error: FhirError, *, head: bool = False) -> Response:
    """The response to a request that is refused."""
    return written(error.status, outcome.render(error.issues), error.headers, head=head)


def written(
    status: int,
    content: bytes,
    sent: dict[str, str],
    *,
    head: bool = False,
    media: str = f"{JSON}; charset=utf-8",
) -> Response:
    """The response of these bytes."""
    sent = {**PRIVATE, **sent}
    if head:
        sent["Content-Length"] = str(len(content))
    return Response(
        b"" if head else content,
        status,
        sent,
        media_type=media if content else None,
    )
