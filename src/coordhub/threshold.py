"""What every request of every door passes: a bound for who fails, and what a browser may do with the answer.

https://owasp.org/API-Security/editions/2023/en/0x11-t10/
https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from __future__ import annotations

import contextlib
import json
import math
import time
import uuid
from typing import Any, Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordhub import errors, telemetry, tracing
from coordhub.access.admission import Admission, network
from coordhub.access.oauth import PATH
from coordhub.fhir import http, refusal
from coordhub.fhir.headers import request_id
from coordhub.store import outage
from coordhub.telemetry import THROTTLED

CLOSED_BY_CLIENT: Final = 499
"""What the log says of a request whose sender went away; nobody is answered."""

ALWAYS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Where a door says nothing else of it: a page says itself what it loads."""


class Threshold:
    """Around every request: its id, one log line, one count, a bound for who guesses, what browsers are told, and
    an answer for what nobody expected.

    Stands outside of the handlers for refusals, so that what arrives here is an outage or a fault of ours: only
    its type is logged, since its text may hold content. It is one, and not one around the other, since each
    answer passes it.
    """

    def __init__(self, app: ASGIApp, hsts: int) -> None:
        self._app = app
        self._told = told(hsts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = _Sent.of(scope)
        known = request_id(sent.request_id, uuid.uuid4)
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = known
        begun, status = time.perf_counter(), 0
        tried: _Tried | None = None

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if tried is not None:
                    tried.ended(status)
                message["headers"] = headers = [*message["headers"]]
                headers.append((b"x-request-id", known.encode("ascii")))
                _tell(headers, self._told)
            await send(message)

        belongs = tracing.span(
            scope["method"], kind="server", parent=sent.traceparent, request_id=known
        )
        with telemetry.request(known), belongs as span:
            try:
                tried = _Tried.of(scope, sent.authorization)
                if tried is not None and (wait := tried.wait()):
                    await _refused(scope, receive, answered, math.ceil(wait))
                else:
                    await self._app(scope, receive, answered)
            except ClientDisconnect:
                status = CLOSED_BY_CLIENT
            except Exception as error:
                if status:
                    raise
                await _failed(scope, receive, answered, error)
            finally:
                _note(scope, span, status, time.perf_counter() - begun)


async def _failed(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
    refused = refusal.of(error)
    telemetry.log(
        "request.failed", level="error", error=type(error).__name__, status=refused.status
    )
    if not outage.is_outage(error):
        with contextlib.suppress(Exception):  # what broke that may break this
            await http.audit_refusal(scope["app"].state.context, scope["state"], refused)
    await http.refusal(refused, head=scope["method"] == "HEAD")(scope, receive, send)


def _note(scope: Scope, span: tracing.Span, status: int, took: float) -> None:
    state, method = scope["state"], scope["method"]
    interaction = state.get("interaction", "other")
    route = state.get("route") or getattr(scope.get("route"), "path", "-")
    if tracing.is_on():
        span.rename(f"{method} {route}")
        span.set(
            http_request_method=method,
            http_route=route,
            http_response_status_code=status,
            interaction=interaction,
        )
    telemetry.count_request(interaction, status, took)
    telemetry.log(
        "request.answered",
        method=method,
        route=route,
        interaction=interaction,
        status=status,
        ms=round(took * 1000, 1),
    )


class Browsers:
    """Around what is answered before the threshold: no answer is kept, framed or guessed at."""

    def __init__(self, app: ASGIApp, hsts: int) -> None:
        self._app = app
        self._told = told(hsts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = headers = [*message["headers"]]
                _tell(headers, self._told)
            await send(message)

        await self._app(scope, receive, answered if scope["type"] == "http" else send)


def told(hsts: int) -> list[tuple[bytes, bytes]]:
    """What browsers are told. hsts: seconds for which one is told to come by TLS only; 0: it is not told."""
    said = {**ALWAYS, **({"strict-transport-security": f"max-age={hsts}"} if hsts else {})}
    return [(name.encode(), value.encode()) for name, value in said.items()]


def _tell(headers: list[tuple[bytes, bytes]], further: list[tuple[bytes, bytes]]) -> None:
    said = {name.lower() for name, _ in headers}
    headers += [one for one in further if one[0] not in said]


class _Sent(NamedTuple):
    """Headers that the threshold looks at."""

    request_id: str | None
    traceparent: str | None
    authorization: str | None

    @classmethod
    def of(cls, scope: Scope) -> _Sent:
        sent = dict(scope["headers"])
        return cls(*(sent[name].decode("latin-1") if name in sent else None for name in _NAMES))


_NAMES: Final = (b"x-request-id", b"traceparent", b"authorization")


class _Tried:
    """A request that brings what could be guessed: a token, a key, a code.

    An address from which these fail again and again is not listened to for a while. A token that was good here
    before is: others at the same address are not shut out by who guesses. What comes without any is as well,
    since nothing was guessed.
    """

    __slots__ = ("_address", "_admission", "_asks_for_token", "_authorization")

    def __init__(self, scope: Scope, authorization: str | None, asks_for_token: bool) -> None:
        self._admission: Admission = scope["app"].state.context.admission
        self._address = network(scope)
        self._authorization = authorization
        self._asks_for_token = asks_for_token

    @classmethod
    def of(cls, scope: Scope, authorization: str | None) -> _Tried | None:
        at_tokens = scope["path"].startswith(f"{PATH}/")
        if authorization is None and not (at_tokens and scope["method"] == "POST"):
            return None
        return cls(scope, authorization, at_tokens)

    def wait(self) -> float:
        """Seconds for which it is not listened to."""
        wait = self._admission.failing(self._address)
        if not wait or self._admission.presumed(self._authorization) is not None:
            return 0.0
        THROTTLED.labels("failures").inc()
        return wait

    def ended(self, status: int) -> None:
        if status == 401 or (status == 400 and self._asks_for_token):
            self._admission.failed(self._address)


async def _refused(scope: Scope, receive: Receive, send: Send, wait: int) -> None:
    said = (
        "What was sent from this address to say who is calling was wrong too often. Wait as Retry-After says; "
        "then see .well-known/smart-configuration for how a token is had."
    )
    refused = errors.too_many(said, wait)
    if scope["path"].startswith(f"{PATH}/"):
        body = json.dumps({"error": "temporarily_unavailable", "error_description": said}).encode()
        response = http.written(429, body, refused.headers, media="application/json")
    else:
        response = http.refusal(refused, head=scope["method"] == "HEAD")
    await response(scope, receive, send)
