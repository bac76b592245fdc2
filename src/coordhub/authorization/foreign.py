"""Identity tokens of another provider, judged; no I/O.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeGuard

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from coordhub.access.keys import LARGEST, MOST_KEYS, Key, PublicKey

LEEWAY: Final = timedelta(seconds=60)
"""How far the provider's clock may be off."""

_LONGEST: Final = 16 * 1024
_LONGEST_NAME: Final = 255
_SMALLEST: Final = 2048
_BY_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_EC: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
ALGORITHMS: Final = (*_BY_RSA, *_BY_EC.values())


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say. nonce: of the request that it answers. access_token: that came with it."""

    issuer: str
    client: str
    nonce: str
    access_token: str | None = None


def read_keys(text: str) -> tuple[PublicKey, ...]:
    """The public keys of a set, each once for every algorithm that it may verify; a kid that is not said is empty."""
    try:
        document = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        return ()
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return ()
    return tuple(
        one for each in listed[:MOST_KEYS] if isinstance(each, dict) for one in _usable(each)
    )


def _usable(stated: Mapping[str, Any]) -> list[PublicKey]:
    kind, kid = stated.get("kty"), stated.get("kid", "")
    if not isinstance(kid, str) or stated.get("use", "sig") != "sig":
        return []
    wanted = ("kty", "n", "e") if kind == "RSA" else ("kty", "crv", "x", "y")
    plain = {name: stated[name] for name in wanted if name in stated}
    key: Key
    fits: tuple[str, ...]
    try:
        if kind == "RSA":
            key = RSAKey.import_key(plain)
            fits = _BY_RSA if key.raw_value.key_size >= _SMALLEST else ()
        elif kind == "EC" and stated.get("crv") in _BY_EC:
            key = ECKey.import_key(plain)
            _ = key.raw_value  # it is made here, and does not lie on the curve perhaps
            fits = (_BY_EC[stated["crv"]],)
        else:
            return []
    except (JoseError, ValueError, TypeError, KeyError):
        return []
    return [PublicKey(kid, one, key) for one in fits if stated.get("alg", one) == one]


def kid_of(text: str) -> str:
    """Which key it names; empty for none, and for what is no token."""
    header = _header(text)
    kid = None if header is None else header.get("kid")
    return kid if isinstance(kid, str) else ""


def _header(text: str) -> Mapping[str, Any] | None:
    if len(text) > _LONGEST or not text.isascii():
        return None
    try:
        return jws.extract_compact(text.encode()).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def judged(
    text: str, keys: Sequence[PublicKey], expected: Expected, now: datetime
) -> Mapping[str, Any] | None:
    """Its claims, if it is signed by one of these keys and says what is expected; else None."""
    header = _header(text)
    if header is None or header.get("alg") not in ALGORITHMS or "crit" in header:
        return None
    fit = [one for one in keys if one.algorithm == header["alg"]]
    if "kid" in header:
        fit = [one for one in fit if one.kid == header["kid"]]
    if len(fit) != 1:
        return None
    try:
        signed = jws.deserialize_compact(text, fit[0].key, algorithms=[fit[0].algorithm])
        claims = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
    if not isinstance(claims, dict) or not _says(claims, expected, header["alg"]):
        return None
    return claims if _is_of_now(claims, now) else None


def _says(claims: Mapping[str, Any], expected: Expected, algorithm: str) -> bool:
    audience, subject = claims.get("aud"), claims.get("sub")
    named = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != expected.issuer or claims.get("nonce") != expected.nonce:
        return False
    if expected.client not in named:
        return False
    if (len(named) > 1 or "azp" in claims) and claims.get("azp") != expected.client:
        return False
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_NAME:
        return False
    if not subject.isprintable():
        return False
    if "at_hash" not in claims:
        return True
    said = claims["at_hash"]
    return (
        isinstance(said, str)
        and expected.access_token is not None
        and hmac.compare_digest(
            said.encode("utf-8", "replace"), half(expected.access_token, algorithm).encode()
        )
    )


def half(token: str, algorithm: str) -> str:
    """at_hash: the left half of the token's hash."""
    made = hashlib.new(f"sha{algorithm[2:]}", token.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(made[: len(made) // 2]).decode().rstrip("=")


def _is_of_now(claims: Mapping[str, Any], now: datetime) -> bool:
    at, leeway = now.timestamp(), LEEWAY.total_seconds()
    expires, issued, begins = (claims.get(name) for name in ("exp", "iat", "nbf"))
    if begins is None:
        begins = issued
    if not (_is_date(expires) and _is_date(issued) and _is_date(begins)):
        return False
    return bool(at - leeway < expires and max(issued, begins) <= at + leeway)


def _is_date(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
