"""What a client must know before it asks for a token.

http://hl7.org/fhir/smart-app-launch/conformance.html#using-well-known
"""

from __future__ import annotations

from typing import Any

from coordhub.access import keys, oauth
from coordhub.access.wishes import FHIR_USER, OPENID, WORDS
from coordhub.authorization.token import GRANTS


def configuration(base: str, *, identifies: bool, binds: bool = False) -> dict[str, Any]:
    """base: the FHIR base as clients see it. identifies: the hub signs who signed in.

    binds: tokens, to certificates of clients.
    """
    signed = {"methods": ["private_key_jwt"], "algorithms": list(keys.ALGORITHMS)}
    of_apps = [*signed["methods"], "none"]
    document: dict[str, Any] = {
        "issuer": base,
        "grant_types_supported": list(GRANTS),
        "authorization_endpoint": oauth.address(base, "authorize"),
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": [
            *(
                f"{level}/*.{letters}"
                for level in ("system", "user", "patient")
                for letters in ("cruds", "read", "write")
            ),
            *(word for word in WORDS if identifies or word not in (OPENID, FHIR_USER)),
        ],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [
            "launch-ehr",
            "launch-standalone",
            "context-banner",
            "context-ehr-patient",
            "context-standalone-patient",
            "client-public",
            "client-confidential-asymmetric",
            "permission-offline",
            "permission-online",
            "permission-patient",
            "permission-user",
            "permission-v1",
            "permission-v2",
        ],
    }
    if binds:  # RFC 8705, 3.3
        document["tls_client_certificate_bound_access_tokens"] = True
    if identifies:
        document["jwks_uri"] = oauth.address(base, "jwks.json")
        document["capabilities"].append("sso-openid-connect")
    for name, path in (
        ("token", "token"),
        ("introspection", "introspect"),
        ("revocation", "revoke"),
    ):
        document[f"{name}_endpoint"] = oauth.address(base, path)
        document[f"{name}_endpoint_auth_methods_supported"] = (
            signed["methods"] if name == "introspection" else of_apps
        )
        document[f"{name}_endpoint_auth_signing_alg_values_supported"] = signed["algorithms"]
    return document
