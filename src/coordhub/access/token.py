"""Bearer tokens of the hub, bound to one client and its organization; what one says is the most it may.

Those that the authorization server gives out are random and mean nothing by themselves: whose one is
stands in the database and is read at every use, so that a token that was revoked, and a client that
was switched off, stop at once and everywhere (docs/decisions/0027-opaque-tokens.md).

Those that an operator makes (`coordhub token`) are a JWT (RFC 7519), signed with HS256 under the hub's
own key: only the hub makes and reads them. The client's row decides whether it is still active.

https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import OctKey

from coordhub.access import scopes
from coordhub.access.binding import Bindings
from coordhub.access.caller import Caller
from coordhub.access.certificates import thumbprint
from coordhub.errors import FhirError, unauthorized
from coordhub.store import clients
from coordhub.store.engine import Engine

ALGORITHM = "HS256"
ISSUER = "coordhub"
CLIENT_CACHE_SECONDS = 5.0
"""How long a deactivated client may still be served by a process that has just served it."""

OPAQUE = "coordhub_at_"
"""How a token of the authorization server begins, so that one that leaks is known for what it is."""

_REFUSAL = (
    "Send `Authorization: Bearer <token>` with a token of this hub. Its .well-known/smart-configuration says "
    "where a client gets one; an operator makes one with `coordhub token`."
)


def random_token() -> str:
    return OPAQUE + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What is kept of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class _Claims:
    client: str
    scope: str
    expires: float


def keys_of(key: bytes, former: Sequence[bytes]) -> tuple[OctKey, ...]:
    """The key that signs, then those that it was before."""
    return tuple(OctKey.import_key(one) for one in (key, *former))


def claims_of(text: str, keys: Sequence[OctKey]) -> dict[str, Any]:
    """What a token says that was signed by one of these; raises JoseError if by none."""
    for key in keys[:-1]:
        with contextlib.suppress(BadSignatureError):
            return jwt.decode(text, key, algorithms=[ALGORITHM]).claims
    return jwt.decode(text, keys[-1], algorithms=[ALGORITHM]).claims


class Tokens:
    """Makes tokens and tells whose they are. One per process."""

    def __init__(
        self,
        key: bytes,
        engine: Engine,
        clock: Callable[[], datetime] | None = None,
        former: Sequence[bytes] = (),
        certificate_header: str | None = None,
    ) -> None:
        """key: signs. former: what it was before, by which tokens are still taken.

        certificate_header: see `access.certificates`.
        """
        self._certificate_header = certificate_header
        if len(key) < 32:
            raise ValueError("the token key needs at least 32 bytes")
        self._key = OctKey.import_key(key)
        self._keys = keys_of(key, former)
        self.bindings = Bindings(self._keys)
        self._engine = engine
        self._clock = clock or engine.now
        self._claims: OrderedDict[str, _Claims] = OrderedDict()
        self._clients: dict[str, tuple[float, clients.Client | None]] = {}

    def issue(self, client: str, scope: str, *, now: datetime, lifetime: timedelta) -> str:
        """A token for `client`; `scope` may be narrower than what the client was given."""
        claims = {
            "iss": ISSUER,
            "sub": client,
            "scope": scope,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        return jwt.encode(
            {"alg": ALGORITHM, "typ": "JWT"}, claims, self._key, algorithms=[ALGORITHM]
        )

    async def caller(
        self,
        authorization: str | None,
        request_id: str | None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> Caller:
        """The Caller of an Authorization header; 401, always in the same words, if there is none.

        headers: all of the request; a token that is bound to a certificate is none without it.
        """
        presented = await self._whose(self._text(authorization))
        if presented.thumbprint is not None and presented.thumbprint != thumbprint(
            headers, self._certificate_header
        ):
            raise self._refused()
        return self._acting(presented, request_id)

    def remembered(self, authorization: str | None, request_id: str | None) -> Caller | None:
        """The same where the database need not be asked for it; None where it must be.

        Those of an operator only, which are bound to no certificate.
        """
        text = self._text(authorization)
        if text.startswith(OPAQUE):
            return None
        claims = self._read(text)
        cached = self._clients.get(claims.client)
        if cached is None or cached[0] <= time.monotonic():
            return None
        return self._acting(self._presented(claims, cached[1]), request_id)

    def _text(self, authorization: str | None) -> str:
        scheme, _, text = (authorization or "").partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise self._refused()
        return text

    def _acting(self, presented: clients.Presented, request_id: str | None) -> Caller:
        client = presented.client
        allowed = scopes.effective(
            presented.scopes, client.scopes,
            of_app=presented.by_person is not None, patient=presented.patient,
        )  # fmt: skip
        return Caller(
            client.id,
            client.organization,
            client.reference,
            allowed,
            client.update_as_create,
            request_id,
            client.reference_policy,
            client.role,
            client.break_glass and not client.sandbox,
            client.allowance,
            presented.permission,
            presented.by_person,
            client.sandbox,
            client.terms,
        )

    async def _whose(self, text: str) -> clients.Presented:
        if text.startswith(OPAQUE):
            async with self._engine.pool.acquire() as conn:
                found = await clients.presenting(conn, digest(text), self._clock())
            if found is None:
                raise self._refused()
            return found
        claims = self._read(text)
        return self._presented(claims, await self._client(claims.client))

    def _presented(self, claims: _Claims, client: clients.Client | None) -> clients.Presented:
        if client is None or not client.active:
            raise self._refused()
        return clients.Presented(client, claims.scope)

    def _read(self, text: str) -> _Claims:
        known = self._claims.get(text)
        if known is None:
            try:
                values = claims_of(text, self._keys)
                if values["iss"] != ISSUER:
                    raise self._refused()
                known = _Claims(str(values["sub"]), str(values["scope"]), float(values["exp"]))
            except (JoseError, KeyError, ValueError, TypeError) as error:
                raise self._refused() from error
            self._claims[text] = known
            if len(self._claims) > 10_000:
                self._claims.popitem(last=False)
        if known.expires <= self._engine.now().timestamp():
            raise self._refused()
        return known

    async def _client(self, name: str) -> clients.Client | None:
        now = time.monotonic()
        cached = self._clients.get(name)
        if cached is not None and cached[0] > now:
            return cached[1]
        async with self._engine.pool.acquire() as conn:
            found = await clients.read(conn, name)
        self._clients[name] = (now + CLIENT_CACHE_SECONDS, found)
        return found

    @staticmethod
    def _refused() -> FhirError:
        return unauthorized(_REFUSAL)
