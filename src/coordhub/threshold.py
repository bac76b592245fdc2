"""What every request of every door passes: a bound for who fails, and what a browser may do with the answer.

https://owasp.org/API-Security/editions/2023/en/0x11-t10/
https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from __future__ import annotations

import json
import math
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordhub import errors
from coordhub.access.admission import Admission, network
from coordhub.access.oauth import PATH
from coordhub.fhir import http
from coordhub.telemetry import THROTTLED

ALWAYS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Where a door says nothing else of it: a page says itself what it loads."""


class Browsers:
    """Around everything: no answer is kept, framed, guessed at, or told of to where it leads.

    hsts: seconds for which a browser is told to come by TLS only; 0: it is not told.
    """

    def __init__(self, app: ASGIApp, hsts: int) -> None:
        self._app = app
        told = {**ALWAYS, **({"strict-transport-security": f"max-age={hsts}"} if hsts else {})}
        self._told = [(name.encode(), value.encode()) for name, value in told.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message["headers"]}
                further = [one for one in self._told if one[0] not in said]
                message["headers"] = [*message["headers"], *further]
            await send(message)

        await self._app(scope, receive, answered if scope["type"] == "http" else send)


class Strangers:
    """An address from which tokens, keys or codes fail again and again is not listened to for a while.

    A token that was good here before is: others at the same address are not shut out by who guesses. What
    comes without any is as well, since nothing was guessed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tries, authorization = _tries(scope)
        if not tries:
            await self._app(scope, receive, send)
            return
        admission: Admission = scope["app"].state.context.admission
        address = network(scope)
        wait = admission.failing(address)
        if wait and admission.presumed(authorization) is None:
            THROTTLED.labels("failures").inc()
            await _refused(scope, receive, send, math.ceil(wait))
            return
        asks_for_token = scope["path"].startswith(f"{PATH}/")

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == 401 or (asks_for_token and status == 400):
                    admission.failed(address)
            await send(message)

        await self._app(scope, receive, answered)


def _tries(scope: Scope) -> tuple[bool, str | None]:
    """Whether it brings what could be guessed, and the header that does."""
    if scope["type"] != "http":
        return False, None
    for name, value in scope["headers"]:
        if name == b"authorization":
            return True, value.decode("latin-1")
    return scope["method"] == "POST" and scope["path"].startswith(f"{PATH}/"), None


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
