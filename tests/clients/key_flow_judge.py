"""The client of SMART's bulk exporter as a backend with keys of its own: it makes its assertions by itself.

https://github.com/smart-on-fhir/cumulus-fhir-support, http://hl7.org/fhir/smart-app-launch/backend-services.html

COORDHUB_KEYS names a file with private keys, RS384 and ES384, whose public halves the client `judge-keys` was
registered with.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from cumulus_fhir_support import AuthFailed, FatalNetworkError, FhirClient
from jwcrypto import jwk
from steps import step

BASE = os.environ["COORDHUB_BASE"]
KEYS: list[dict[str, Any]] = json.loads(Path(os.environ["COORDHUB_KEYS"]).read_text())["keys"]


async def found(client: FhirClient, what: str) -> str:
    answered = await client.request("GET", what)
    return str(answered.json()["type"])


async def searched(key: dict[str, Any]) -> str:
    """A client that has nothing but this key."""
    keys = {"keys": [key]}
    async with FhirClient(
        BASE, ["Patient"], smart_client_id="judge-keys", smart_jwks=keys
    ) as client:
        return await found(client, "Patient?_count=1")


async def beyond() -> int:
    async with FhirClient(
        BASE, ["Patient"], smart_client_id="judge-keys", smart_jwks={"keys": KEYS}
    ) as client:
        try:
            await found(client, "Task?_count=1")
        except FatalNetworkError as refused:
            return int(refused.response.status_code)
    return 0


async def ended() -> str:
    """Its token is none any more; the client gets itself the next."""
    async with FhirClient(
        BASE, ["Patient"], smart_client_id="judge-keys", smart_jwks={"keys": KEYS}
    ) as client:
        client._auth._access_token += "x"
        return await found(client, "Patient?_count=1")


async def stranger() -> str:
    """The right names, and a key that nobody has registered."""
    made = jwk.JWK.generate(kty="EC", crv="P-384", kid=KEYS[1]["kid"], alg="ES384", key_ops="sign")
    try:
        return await searched(made.export(as_dict=True) | {"key_ops": ["sign"]})
    except AuthFailed as refused:
        return str(refused)


with step("a token by an RSA key"):
    assert asyncio.run(searched(KEYS[0])) == "searchset"

with step("a token by an EC key"):
    assert asyncio.run(searched(KEYS[1])) == "searchset"

with step("no more than its scopes"):
    assert asyncio.run(beyond()) == 403

with step("the next token by itself"):
    assert asyncio.run(ended()) == "searchset"

with step("a stranger's key"):
    assert "kid in its header, signed RS384 or ES384" in asyncio.run(stranger())
