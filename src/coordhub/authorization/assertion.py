"""The assertion by which a client says who it is, read and judged; no I/O.

https://www.rfc-editor.org/rfc/rfc7523#section-3
http://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from coordhub.access.keys import ALGORITHMS, Key, PublicKey

LIFETIME: Final = timedelta(minutes=5)
LEEWAY: Final = timedelta(seconds=30)
"""How far a client's clock may be ahead of ours."""
_LONGEST: Final = 8 * 1024
_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Assertion:
    """As it states itself: nothing of it is proven. key_set: `jku`, where its key is said to be."""

    text: str
    client: str
    kid: str
    algorithm: str
    key_set: str | None
    claims: Mapping[str, Any]


def read(text: str, *, of_itself: bool = True) -> Assertion | None:
    """None for what is no JWT of an algorithm that is taken here, or names neither client nor key.

    of_itself: the client must be named as its subject, too, as RFC 7523 has it; CDS Hooks asks for no subject.
    """
    if len(text) > _LONGEST or not text.isascii():
        return None
    try:
        parts = jws.extract_compact(text.encode())
        claims = json.loads(parts.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
    header: Mapping[str, Any] = parts.headers()
    algorithm, kid, key_set = header.get("alg"), header.get("kid"), header.get("jku")
    if algorithm not in ALGORITHMS or not isinstance(claims, dict) or "crit" in header:
        return None
    if str(header.get("typ", "JWT")).upper() != "JWT":
        return None
    client = claims.get("iss")
    subject = claims.get("sub", None if of_itself else client)
    if not _is_name(client) or client != subject or not _is_name(kid):
        return None
    if key_set is not None and not isinstance(key_set, str):
        return None
    return Assertion(text, str(client), str(kid), str(algorithm), key_set, claims)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()


def is_signed(asserted: Assertion, keys: Sequence[PublicKey]) -> bool:
    """By the one of these keys that it names. Where there is none, one is tried that nobody has: it takes as long."""
    for one in keys:
        if one.kid == asserted.kid and one.algorithm == asserted.algorithm:
            return _verifies(asserted, one.key)
    _verifies(asserted, _nobodys(asserted.algorithm))
    return False


def _verifies(asserted: Assertion, key: Key) -> bool:
    try:
        jws.deserialize_compact(asserted.text, key, algorithms=[asserted.algorithm])
    except (JoseError, ValueError, TypeError):
        return False
    return True


@cache
def _nobodys(algorithm: str) -> Key:
    if algorithm == "ES384":
        return ECKey.generate_key("P-384", private=True)
    # The modulus is no product of primes that anybody knows, and none is needed to verify.
    modulus = (2**2047 + 1).to_bytes(256, "big")
    return RSAKey.import_key(
        {"kty": "RSA", "n": urlsafe_b64encode(modulus).decode().rstrip("="), "e": "AQAB"}
    )


def expiry(asserted: Assertion, audiences: Sequence[str], now: datetime) -> datetime | None:
    """Until when it must be remembered; None if it is not meant for here, or not for now."""
    claims = asserted.claims
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(one, str) and one in audiences for one in named):
        return None
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_NAME:
        return None
    expires = _instant(claims.get("exp"))
    if expires is None or not now < expires <= now + LIFETIME + LEEWAY:
        return None
    for name in ("nbf", "iat"):
        if name in claims:
            begins = _instant(claims[name])
            if begins is None or begins > now + LEEWAY:
                return None
    return expires


def _instant(value: object) -> datetime | None:
    """Of a NumericDate; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:  # an int may be beyond every float
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None
