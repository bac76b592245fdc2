"""The sample community's OpenID provider: the development mode's own, where whoever is chosen has signed in.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth,
https://openid.net/specs/openid-connect-discovery-1_0.html, https://www.rfc-editor.org/rfc/rfc7636,
https://www.rfc-editor.org/rfc/rfc9207

It asks for no password, knows the sample people only, and sends them back to the hub beside it and nowhere else. What
it says of them is signed by a key that is gone when it stops.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

PATH: Final = "/login"
CLIENT: Final = "coordhub"
TITLE: Final = "the sample provider"

_GOOD: Final = timedelta(minutes=1)
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The sample provider</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 28rem; margin: 2rem auto; padding: 0 1rem }}
button {{ display: block; width: 100%; min-height: 3rem; margin: .5rem 0; font: inherit }}</style></head>
<body><main><h1>The sample provider</h1>
<p>Of the development mode: choose who you are.</p>
<form method="post" action="{action}">{buttons}</form></main></body></html>"""


@dataclass(frozen=True, slots=True)
class Known:
    """One of the sample people. role: what it does, for who chooses."""

    email: str
    name: str
    role: str


class Login:
    """issuer: where it is found. back: where the hub wants people sent back to."""

    def __init__(
        self, issuer: str, back: str, people: Iterable[Known], clock: Callable[[], datetime]
    ) -> None:
        self._issuer, self._back, self._clock = issuer, back, clock
        self._people = {one.email: one for one in people}
        self._key = ECKey.generate_key("P-256", {"kid": "sample"})
        self._codes: dict[str, tuple[str, str, str, datetime]] = {}

    def routes(self) -> list[Route]:
        return [
            Route(f"{PATH}/.well-known/openid-configuration", self.discovery),
            Route(f"{PATH}/jwks", self.keys),
            Route(f"{PATH}/authorize", self.choice, methods=["GET"]),
            Route(f"{PATH}/authorize", self.chosen, methods=["POST"]),
            Route(f"{PATH}/token", self.token, methods=["POST"]),
        ]

    async def discovery(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{self._issuer}/authorize",
                "token_endpoint": f"{self._issuer}/token",
                "jwks_uri": f"{self._issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def choice(self, request: Request) -> Response:
        if not self._is_of_the_hub(request):
            return HTMLResponse("This is not asked by the hub of this development mode.", 400)
        buttons = "".join(
            f'<button name="who" value="{escape(one.email)}">{escape(one.name)}, {escape(one.role)}</button>'
            for one in self._people.values()
        )
        action = escape(f"{self._issuer}/authorize?{request.url.query}")
        return HTMLResponse(_PAGE.format(action=action, buttons=buttons))

    async def chosen(self, request: Request) -> Response:
        who = dict(parse_qsl((await request.body()).decode("latin-1"))).get("who", "")
        if not self._is_of_the_hub(request) or who not in self._people:
            return HTMLResponse("This is not asked by the hub of this development mode.", 400)
        asked, code = request.query_params, secrets.token_urlsafe(24)
        until = self._clock() + _GOOD
        self._codes[code] = (who, asked.get("nonce", ""), asked["code_challenge"], until)
        said = {"code": code, "state": asked.get("state", ""), "iss": self._issuer}
        return RedirectResponse(f"{self._back}?{urlencode(said)}", 303)

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("latin-1")))
        who, nonce, challenge, until = self._codes.pop(form.get("code", ""), ("", "", "", None))
        now = self._clock()
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        shown = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if until is None or until <= now or not hmac.compare_digest(shown, challenge):
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims: dict[str, Any] = {
            "iss": self._issuer, "aud": CLIENT, "sub": hashlib.sha256(who.encode()).hexdigest()[:24],
            "nonce": nonce, "iat": int(now.timestamp()), "exp": int((now + _GOOD).timestamp()),
            "email": who, "email_verified": True, "name": self._people[who].name,
        }  # fmt: skip
        token = jwt.encode({"alg": "ES256", "kid": "sample"}, claims, self._key)
        told = {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "id_token": token,
        }
        return Response(
            json.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"}
        )

    def _is_of_the_hub(self, request: Request) -> bool:
        asked = request.query_params
        return (
            asked.get("client_id") == CLIENT
            and asked.get("redirect_uri") == self._back
            and asked.get("response_type") == "code"
            and asked.get("code_challenge_method") == "S256"
            and bool(asked.get("code_challenge"))
        )
