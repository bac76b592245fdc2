"""Software statements: what an issuer that the hub trusts says of a client that is to be registered.

https://www.rfc-editor.org/rfc/rfc7591#section-2.3

A JWT, signed RS384 or ES384 by a key of its issuer. Beside what RFC 7591 names it has to say for which organization
of the hub's directory the software may be registered (`organization`, as `Organization/id`): that somebody may use
the software does not mean that it may act for anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from joserfc import jws
from joserfc.errors import JoseError

from coordhub.access import keys
from coordhub.access.keys import ALGORITHMS, PublicKey

LEEWAY: Final = timedelta(seconds=30)
_LONGEST: Final = 64 * 1024

Issuers: TypeAlias = Mapping[str, tuple[PublicKey, ...]]
"""By `iss` the keys of who may make statements."""


class UnusableIssuersError(ValueError):
    """The file of issuers says what cannot be; the message says what to do."""


class InvalidStatement(Exception):
    """It is none, or none of a trusted issuer's, or its time is over; says what a good one is."""


@dataclass(frozen=True, slots=True)
class Statement:
    """keys: a JSON Web Key Set, or the address of one; "" where it leaves that to who registers. scope: the same."""

    issuer: str
    software: str
    organization: str
    keys: str
    scope: str


def issuers(text: str) -> Issuers:
    """`{"https://issuer.example": {"keys": [...]}}`."""
    try:
        stated = json.loads(text)
    except ValueError:
        stated = None
    if not isinstance(stated, dict) or not stated:
        raise UnusableIssuersError('write {"https://issuer.example": {"keys": [...]}}')
    found = {str(name): keys.read(json.dumps(one)) for name, one in stated.items()}
    for name, held in found.items():
        if not held:
            raise UnusableIssuersError(
                f"{name} has no public key with a kid that is RSA of 2048 bits or more, or EC on P-384"
            )
    return found


_WANTED: Final = (
    "Send as software_statement a JWT with kid in its header, signed RS384 or ES384 by an issuer that this hub trusts, "
    "with iss, iat, software_id and organization (Organization/id of this hub's directory); exp, if it has one, ahead."
)


def read(text: object, trusted: Issuers, now: datetime) -> Statement:
    """InvalidStatement, always in the same words, for all that is not one."""
    claims = _signed(text, trusted)
    issued, expires = _instant(claims.get("iat")), _instant(claims.get("exp"))
    if issued is None or issued > now + LEEWAY:
        raise InvalidStatement(_WANTED)
    if "exp" in claims and (expires is None or expires <= now):
        raise InvalidStatement(_WANTED)
    software, organization = claims.get("software_id"), claims.get("organization")
    version = claims.get("software_version", "")
    if not (_is_name(software) and _is_name(organization) and (version == "" or _is_name(version))):
        raise InvalidStatement(_WANTED)
    key_set, where = claims.get("jwks"), claims.get("jwks_uri", "")
    scope = claims.get("scope", "")
    if not (isinstance(where, str) and isinstance(scope, str)):
        raise InvalidStatement(_WANTED)
    return Statement(
        str(claims["iss"]),
        f"{software} {version}".strip(),
        str(organization),
        json.dumps(key_set) if isinstance(key_set, dict) else where,
        scope,
    )


def _signed(text: object, trusted: Issuers) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isascii():
        raise InvalidStatement(_WANTED)
    try:
        parts = jws.extract_compact(text.encode())
        claims = json.loads(parts.payload)
        header = parts.headers()
        held = trusted.get(str(claims["iss"]), ())
        for one in held:
            if one.kid == header.get("kid") and one.algorithm == header.get("alg"):
                jws.deserialize_compact(text, one.key, algorithms=list(ALGORITHMS))
                if "crit" not in header and isinstance(claims, dict):
                    return claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        pass
    raise InvalidStatement(_WANTED)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255 and value.isprintable()


def _instant(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None
