"""What a client must know before it asks for a token.

http://hl7.org/fhir/smart-app-launch/conformance.html#using-well-known
"""

from __future__ import annotations

from typing import Any

from coordhub.access import keys, oauth
from coordhub.authorization.token import GRANTS


def configuration(base: str) -> dict[str, Any]:
    """base: the FHIR base as clients see it."""
    signed = {"methods": ["private_key_jwt"], "algorithms": list(keys.ALGORITHMS)}
    document: dict[str, Any] = {
        "issuer": base,
        "grant_types_supported": list(GRANTS),
        "scopes_supported": ["system/*.cruds", "system/*.read", "system/*.write"],
        "response_types_supported": [],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
    for name, path in (
        ("token", "token"),
        ("introspection", "introspect"),
        ("revocation", "revoke"),
    ):
        document[f"{name}_endpoint"] = oauth.address(base, path)
        document[f"{name}_endpoint_auth_methods_supported"] = signed["methods"]
        document[f"{name}_endpoint_auth_signing_alg_values_supported"] = signed["algorithms"]
    return document
