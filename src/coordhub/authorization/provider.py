"""Another provider, at which people sign in: what it says of itself, and who it says has signed in there.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
https://openid.net/specs/openid-connect-discovery-1_0.html, https://www.rfc-editor.org/rfc/rfc9700

It says who somebody is, and nothing else: what that person may, the hub's own account of it says.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeGuard
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from coordhub.authorization import foreign
from coordhub.authorization.authentication import TYPE
from coordhub.authorization.foreign import Expected
from coordhub.authorization.key_sets import FRESH, PAUSE, STALE, KeySets
from coordhub.outbound.client import Answer, Outbound
from coordhub.telemetry import log

SCOPE: Final = "openid email"
_ASSERTED: Final = timedelta(minutes=4)
_LONGEST: Final = 2048


class Signing:
    """A private key by which the hub proves to the provider who it is (`private_key_jwt`)."""

    def __init__(self, text: str) -> None:
        """text: a JSON Web Key Set; the first of its keys signs. ValueError says what is wrong."""
        try:
            stated = json.loads(text)["keys"][0]
            if stated["kty"] == "RSA":
                self._key: RSAKey | ECKey = RSAKey.import_key(stated)
                self._algorithm = str(stated.get("alg", "RS256"))
            else:
                self._key = ECKey.import_key(stated)
                self._algorithm = {"P-256": "ES256", "P-384": "ES384"}[stated["crv"]]
            if not self._key.is_private or self._algorithm not in foreign.ALGORITHMS:
                raise ValueError
        except (JoseError, ValueError, TypeError, LookupError, AttributeError):
            raise ValueError(
                "is no JSON Web Key Set whose first key is a private RSA key, or EC on P-256 or P-384"
            ) from None

    def assertion(self, client: str, audience: str, now: datetime) -> str:
        header = {"alg": self._algorithm, "typ": "JWT"}
        if self._key.kid:
            header["kid"] = self._key.kid
        at = int(now.timestamp())
        claims = {
            "iss": client, "sub": client, "aud": audience, "jti": uuid.uuid4().hex, "iat": at,
            "exp": at + int(_ASSERTED.total_seconds()),
        }  # fmt: skip
        return jwt.encode(header, claims, self._key, algorithms=[self._algorithm])


@dataclass(frozen=True, slots=True)
class Registration:
    """Of the hub with the provider. client: its name there. title: what people are told that it is called.

    secret, signing: by which the hub proves that it is that; neither: PKCE alone.
    by_email: an account is bound at its first sign-in by the address that the provider has verified.
    passwords: people may sign in without it, too.
    """

    issuer: str
    client: str
    title: str
    secret: str | None = None
    signing: Signing | None = None
    by_email: bool = False
    passwords: bool = True


@dataclass(frozen=True, slots=True)
class Metadata:
    """names_itself: it says in its answers who it is (RFC 9207)."""

    authorization: str
    token: str
    jwks: str
    names_itself: bool
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SomebodyElses:
    """Who has signed in there. email: that the provider has verified."""

    subject: str
    email: str | None


def _is_address(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


class Provider:
    """What this process knows of it. opened: makes the client of the world, when it is needed first."""

    def __init__(
        self,
        registration: Registration,
        opened: Callable[[], Outbound],
        clock: Callable[[], datetime],
    ) -> None:
        self.registration = registration
        self._opened = opened
        self._clock = clock
        self._outbound: Outbound | None = None
        self._stack = contextlib.AsyncExitStack()
        self._keys = KeySets(opened, clock, foreign.read_keys)
        self._metadata: Metadata | None = None
        self._since: datetime | None = None
        self._asked: datetime | None = None

    async def close(self) -> None:
        await self._keys.close()
        await self._stack.aclose()

    async def metadata(self) -> Metadata | None:
        """What it says of itself, a quarter of an hour old at most, an hour if it is not reached; None: nothing."""
        now = self._clock()
        fresh = self._since is not None and now < self._since + FRESH
        paused = self._asked is not None and now < self._asked + PAUSE
        if not fresh and not paused:
            self._asked = now
            found = await self._discovered()
            if found is not None:
                self._metadata, self._since = found, now
        if self._since is None or now >= self._since + STALE:
            return None
        return self._metadata

    async def _discovered(self) -> Metadata | None:
        issuer = self.registration.issuer
        said = await self._json(
            "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration", "discovery"
        )
        if said is None:
            return None
        authorization, token, jwks = (
            said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        )
        if said.get("issuer") != issuer or not (
            _is_address(authorization) and _is_address(token) and _is_address(jwks)
        ):
            log("sign_in.provider", level="warning", kind="discovery does not fit its issuer")
            return None
        methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return Metadata(
            authorization,
            token,
            jwks,
            said.get("authorization_response_iss_parameter_supported") is True,
            tuple(map(str, methods)) if isinstance(methods, list) else (),
        )

    def request(
        self, at: Metadata, redirect_uri: str, state: str, nonce: str, challenge: str
    ) -> str:
        """Where the browser is sent to."""
        asked = {
            "response_type": "code", "client_id": self.registration.client, "scope": SCOPE,
            "redirect_uri": redirect_uri, "state": state, "nonce": nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{at.authorization}{'&' if '?' in at.authorization else '?'}{urlencode(asked)}"

    async def who(
        self, at: Metadata, redirect_uri: str, code: str, verifier: str, nonce: str
    ) -> SomebodyElses | None:
        """Whom the code is of; None unless the provider says so in a token that is meant for this request."""
        if not 0 < len(code) <= _LONGEST:
            return None
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }  # fmt: skip
        said = await self._json("POST", at.token, "token", *self._proving(at, form))
        if said is None:
            return None
        token, access = said.get("id_token"), said.get("access_token")
        if not isinstance(token, str):
            return None
        keys = await self._keys.at(at.jwks, foreign.kid_of(token))
        own = self.registration
        expected = Expected(
            own.issuer, own.client, nonce, access if isinstance(access, str) else None
        )
        claims = foreign.judged(token, keys, expected, self._clock())
        if claims is None:
            return None
        email = claims.get("email") if claims.get("email_verified") is True else None
        return SomebodyElses(str(claims["sub"]), email if isinstance(email, str) else None)

    def _proving(self, at: Metadata, form: dict[str, str]) -> tuple[dict[str, str], bytes]:
        own, headers = self.registration, {}
        form = {**form, "client_id": own.client}
        if own.signing is not None:
            form["client_assertion_type"] = TYPE
            form["client_assertion"] = own.signing.assertion(own.client, at.token, self._clock())
        elif own.secret is not None and "client_secret_basic" in at.methods:
            pair = f"{quote_plus(own.client)}:{quote_plus(own.secret)}"  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        elif own.secret is not None:
            form["client_secret"] = own.secret
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers, urlencode(form).encode()

    async def _json(
        self,
        method: str,
        address: str,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> dict[str, Any] | None:
        if self._outbound is None:
            self._outbound = await self._stack.enter_async_context(self._opened())
        asked = {"Accept": "application/json", **(headers or {})}
        answered = await self._outbound.send(method, address, asked, body)
        if not isinstance(answered, Answer):
            log("sign_in.provider", level="warning", what=what, kind=answered.kind)
            return None
        if answered.status != 200:
            log(
                "sign_in.provider",
                level="warning",
                what=what,
                kind="status",
                status=answered.status,
            )
            return None
        try:
            said = json.loads(answered.body)
        except (ValueError, RecursionError):
            said = None
        return said if isinstance(said, dict) else None
