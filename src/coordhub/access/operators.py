"""Tokens of operators: of the admin API alone, as no partner's token is of any use there.

Signed under the hub's key like a client's, by another issuer, so that neither door takes the other's. The
operator's row decides at each use what it may: it is asked every time, as operators are few.

https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from coordhub.access.token import ALGORITHM, claims_of, keys_of
from coordhub.errors import forbidden, unauthorized
from coordhub.store import operators
from coordhub.store.engine import Engine

ISSUER: Final = "coordhub/admin"

SCOPES: Final = {
    "deliveries.read": "list deliveries and endpoints, see reasons and attempts",
    "deliveries.act": "replay, discard, probe",
    "deliveries.content": "see what a delivery carries",
    "partners.read": "list partners, see their reports, agreements and limits",
    "partners.act": "register, check, suspend and end partners, change their agreements and limits",
    "partners.approve": "approve partners that others have registered and had checked",
}
"""What an operator may be let do. None holds another."""

_REFUSAL: Final = (
    "Send `Authorization: Bearer <token>` with an operator's token (`coordhub operators token`)."
)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who operates. scopes: those of SCOPES that both the token and the operator have."""

    name: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """403 without it."""
        if scope not in self.scopes:
            raise forbidden(
                f"The token does not let you {SCOPES[scope]}: {scope} is needed. See: coordhub operators list"
            )


class OperatorTokens:
    """Makes them and tells whose they are."""

    def __init__(self, key: bytes, engine: Engine, former: Sequence[bytes] = ()) -> None:
        """key: signs. former: what it was before, by which tokens are still taken."""
        self._key = OctKey.import_key(key)
        self._keys = keys_of(key, former)
        self._engine = engine

    def issue(self, name: str, scope: str, *, now: datetime, lifetime: timedelta) -> str:
        claims = {
            "iss": ISSUER,
            "sub": name,
            "scope": scope,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        return jwt.encode(
            {"alg": ALGORITHM, "typ": "JWT"}, claims, self._key, algorithms=[ALGORITHM]
        )

    async def bearer(self, authorization: str | None) -> Bearer:
        """Whose it is; 401, always in the same words, if it is nobody's."""
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise unauthorized(_REFUSAL)
        try:
            claims = claims_of(text.strip(), self._keys)
            if claims["iss"] != ISSUER or float(claims["exp"]) <= self._engine.now().timestamp():
                raise unauthorized(_REFUSAL)
            name, asked = str(claims["sub"]), str(claims["scope"]).split()
        except (JoseError, KeyError, ValueError, TypeError) as error:
            raise unauthorized(_REFUSAL) from error
        async with self._engine.pool.acquire() as conn:
            known = await operators.read(conn, name)
        if known is None or not known.active:
            raise unauthorized(_REFUSAL)
        return Bearer(name, frozenset(asked) & frozenset(known.scopes.split()))
