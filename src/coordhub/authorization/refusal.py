"""What the authorization server refuses, in the words of OAuth.

https://www.rfc-editor.org/rfc/rfc6749#section-5.2
"""

from __future__ import annotations

from typing import Final


class OAuthError(Exception):
    """error: a code of RFC 6749. description: what to do, nothing of what was sent but names of scopes.

    client, organization: who asked, once that is known; for the audit.
    """

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        client: str | None = None,
        organization: int | None = None,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status
        self.client = client
        self.organization = organization


_WHO: Final = (
    "Send client_assertion_type urn:ietf:params:oauth:client-assertion-type:jwt-bearer and a client_assertion: "
    "a JWT with kid in its header, signed RS384 or ES384 by a key registered for the client; iss and sub the "
    "client, aud this server's token endpoint, exp at most five minutes ahead, a jti that was not used before. "
    "An app that was registered without a key sends its client_id instead."
)


def invalid_request(description: str) -> OAuthError:
    return OAuthError("invalid_request", description)


def invalid_client() -> OAuthError:
    """401, the same whether the client, its key, its time or its jti is at fault."""
    return OAuthError("invalid_client", _WHO, 401)
