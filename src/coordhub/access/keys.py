"""Public keys of clients, by which they prove who they are.

https://www.rfc-editor.org/rfc/rfc7517, http://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html

Of a JSON Web Key Set only what can verify RS384 or ES384 counts: the kind of the key says which, never
what is signed with it.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

Key: TypeAlias = RSAKey | ECKey

ALGORITHMS: Final = ("RS384", "ES384")
MOST_KEYS: Final = 50
LARGEST: Final = 64 * 1024
"""Characters of a key set at most."""
_BITS: Final = range(2048, 8193)
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_CURVE: Final = "P-384"


class UnusableKeysError(Exception):
    """The text is no set of keys that a client can be registered with; says what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """kid: its id within the set. algorithm: the one it verifies."""

    kid: str
    algorithm: str
    key: Key


def read(text: str) -> tuple[PublicKey, ...]:
    """The keys of a set that can be used; what cannot is passed over."""
    return tuple(key for each in _listed(text) if (key := _usable(each)) is not None)


def registered(text: str) -> str:
    """A set to keep with a client, as it is kept; UnusableKeysError if it gives away a secret or holds no key."""
    listed = _listed(text)
    if any(_PRIVATE & each.keys() for each in listed):
        raise UnusableKeysError(
            "the set holds a private or secret key. Whoever has read it has that key: make a new one, and "
            "register its public half only."
        )
    if not any(_usable(each) for each in listed):
        raise UnusableKeysError(
            'it holds no key to use. Give a JSON Web Key Set, {"keys": [...]}, with a public key that has a kid '
            f"and is RSA of {_BITS.start} bits or more, for RS384, or EC on {_CURVE}, for ES384."
        )
    return json.dumps({"keys": listed}, separators=(",", ":"))


def _listed(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        document = None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return []
    return [each for each in listed[:MOST_KEYS] if isinstance(each, dict)]


def _usable(stated: Mapping[str, Any]) -> PublicKey | None:
    kid, kind = stated.get("kid"), stated.get("kty")
    if not isinstance(kid, str) or not kid or _PRIVATE & stated.keys():
        return None
    operations = stated.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if stated.get("use", "sig") != "sig":
        return None
    wanted = ("kty", "kid", "n", "e") if kind == "RSA" else ("kty", "kid", "crv", "x", "y")
    plain = {name: stated[name] for name in wanted if name in stated}
    key: Key
    try:
        if kind == "RSA":
            if _bits(plain["n"]) not in _BITS:
                return None
            key, algorithm = RSAKey.import_key(plain), "RS384"
            _ = key.raw_value
        elif kind == "EC" and stated.get("crv") == _CURVE:
            key, algorithm = ECKey.import_key(plain), "ES384"
            _ = key.raw_value  # it is made here, and does not lie on the curve perhaps
        else:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return PublicKey(kid, algorithm, key) if stated.get("alg", algorithm) == algorithm else None


def _bits(modulus: str) -> int:
    return int.from_bytes(urlsafe_b64decode(f"{modulus}==")).bit_length()
