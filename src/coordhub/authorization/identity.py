"""Who signed in to an app, as OpenID Connect says it: identity tokens that the hub signs, and the keys to check them.

https://openid.net/specs/openid-connect-core-1_0.html
http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#scopes-for-requesting-identity-data

The first key of the set signs. To change it, a new one is put behind it until every client may have seen it, then
before it; the old one goes when what it signed has ended.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from coordhub.access import oauth, viewer
from coordhub.store import accounts, resources
from coordhub.store.clients import PERSONS
from coordhub.store.engine import Connection

ALGORITHM: Final = "RS256"
LIFETIME: Final = timedelta(minutes=10)
"""Of an identity token: it is to be read when it comes."""
_SMALLEST: Final = 2048

USERS: Final = (*PERSONS, "Practitioner", "PractitionerRole")
"""Types that fhirUser may be of."""


class Signer:
    """The hub's keys. One per process."""

    def __init__(self, text: str) -> None:
        """text: a JSON Web Key Set of private RSA keys with a kid. ValueError says what is wrong."""
        try:
            stated = json.loads(text)["keys"]
            keys = [RSAKey.import_key(each) for each in stated]
            fit = all(
                key.is_private and key.kid and key.raw_value.key_size >= _SMALLEST for key in keys
            )
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            keys, fit = [], False
        if not keys or not fit or len({key.kid for key in keys}) < len(keys):
            raise ValueError(
                f"is no JSON Web Key Set of private RSA keys of {_SMALLEST} bits or more, each with a kid of its own"
            )
        self._keys: Sequence[RSAKey] = keys

    def public(self) -> dict[str, Any]:
        """What anybody may have."""
        return {
            "keys": [
                {
                    **key.as_dict(private=False),
                    "kid": key.kid,
                    "use": "sig",
                    "alg": ALGORITHM,
                    "key_ops": ["verify"],
                }
                for key in self._keys
            ]
        }

    def sign(self, claims: dict[str, Any]) -> str:
        key = self._keys[0]
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM])


def new_keys(kid: str) -> str:
    """A set of one key, as `Signer` takes it."""
    key = RSAKey.generate_key(_SMALLEST, {"kid": kid})
    return json.dumps({"keys": [key.as_dict(private=True)]})


def claims(
    base: str, person: str, client: str, fhir_user: str | None, nonce: str | None, now: datetime
) -> dict[str, Any]:
    """fhir_user: `Patient/id`, if that is to be told."""
    told: dict[str, Any] = {
        "iss": base,
        "sub": person,
        "aud": client,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
    }
    if fhir_user is not None:
        told["fhirUser"] = f"{base}/{fhir_user}"
    if nonce is not None:
        told["nonce"] = nonce
    return told


async def own_record(conn: Connection, person: str, organization: int) -> str | None:
    """Of who signed in: the Patient or RelatedPerson that it is, or the Practitioner that an operator has named.

    organization: rid of whom it acts for.
    """
    view = viewer.as_organization(organization)
    for rid in (organization, await accounts.practitioner(conn, person)):
        found = None
        if rid is not None:
            found = (await resources.read_rids(conn, view, [rid])).get(rid)
        if found is not None and found.body is not None and found.type in USERS:
            return found.reference
    return None


def configuration(base: str) -> dict[str, Any]:
    """https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata"""
    return {
        "issuer": base,
        "authorization_endpoint": oauth.address(base, "authorize"),
        "token_endpoint": oauth.address(base, "token"),
        "userinfo_endpoint": oauth.address(base, "userinfo"),
        "jwks_uri": oauth.address(base, "jwks.json"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "fhirUser"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "fhirUser"],
    }
