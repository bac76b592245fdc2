"""Tokens that bind a websocket to subscriptions: for some seconds, one client, and these subscriptions.

A JWT under the hub's key, of an issuer of its own, so that none is taken for a bearer token, nor a bearer
token for one.

http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-get-ws-binding-token.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import OctKey

from coordhub.store.clients import Acting

ISSUER: Final = "coordhub-websocket"
LIFETIME: Final = timedelta(seconds=60)
"""In which the websocket has to be bound; how long it then lives, does not hang on it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """who: acts, with what its token allowed. organization: rid of whom for. subscriptions: their ids."""

    who: Acting
    organization: int
    subscriptions: tuple[str, ...]


class Bindings:
    """Makes these tokens and reads them."""

    def __init__(self, keys: Sequence[OctKey]) -> None:
        """The first makes them."""
        self._keys = keys

    def issue(self, binding: Binding, now: datetime) -> str:
        claims = {
            "iss": ISSUER,
            "sub": binding.who.client,
            "scope": binding.who.asked,
            "permission": str(binding.who.permission or ""),
            "organization": binding.organization,
            "subscriptions": list(binding.subscriptions),
            "exp": int((now + LIFETIME).timestamp()),
        }
        return jwt.encode(
            {"alg": "HS256", "typ": "JWT"}, claims, self._keys[0], algorithms=["HS256"]
        )

    def read(self, text: str, now: datetime) -> Binding | None:
        """None for whatever is no such token, or is not valid any more."""
        for key in self._keys:
            with contextlib.suppress(BadSignatureError):
                return self._read(text, key, now)
        return None

    @staticmethod
    def _read(text: str, key: OctKey, now: datetime) -> Binding | None:
        try:
            claims = jwt.decode(text, key, algorithms=["HS256"]).claims
            if claims["iss"] != ISSUER or claims["exp"] <= now.timestamp():
                return None
            permission = claims["permission"]
            who = Acting(
                str(claims["sub"]), str(claims["scope"]), UUID(permission) if permission else None
            )
            return Binding(who, int(claims["organization"]), tuple(claims["subscriptions"]))
        except BadSignatureError:
            raise
        except (JoseError, KeyError, ValueError, TypeError):
            return None
