"""The token endpoint: a grant is exchanged for an access token.

https://www.rfc-editor.org/rfc/rfc6749#section-3.2
http://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from coordhub.access import scopes
from coordhub.access.token import digest, random_token
from coordhub.authorization import codes
from coordhub.authorization.authentication import authenticate
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import OAuthError, invalid_request
from coordhub.store import audit, tokens
from coordhub.store.tokens import Given
from coordhub.store.transact import AuditRow

Answer = dict[str, Any]


async def answer(context: Context, asked: Asked) -> Answer:
    """What is answered with 200; OAuthError for all else."""
    kind = asked.form.get("grant_type")
    if kind is None:
        raise invalid_request(f"Send grant_type, which is here {' or '.join(GRANTS)}.")
    grant = GRANTS.get(kind)
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"A grant here is {' or '.join(GRANTS)}.")
    return await grant(context, asked)


async def _client_credentials(context: Context, asked: Asked) -> Answer:
    """For what the client may by itself; less than it asks for, where it was registered for less."""
    client = await authenticate(context, asked)
    text = asked.form.get("scope", "")
    faults = scopes.faults(text)
    if faults:
        raise OAuthError(
            "invalid_scope", f"{'; '.join(faults[:10])}.", 400, client.id, client.organization
        )
    wanted = scopes.parse(text)
    granted = wanted.meet(scopes.parse(client.scopes)).stated()
    if not granted:
        raise OAuthError(
            "invalid_scope",
            "Ask for scopes as system/Task.rs, of those that the client was registered for.",
            client=client.id,
            organization=client.organization,
        )
    token, now = random_token(), context.clock()
    given = Given(
        client.id,
        client.organization,
        granted,
        now,
        now + context.lifetime,
        None,
        asked.certificate,
    )
    row = AuditRow(
        client.id, client.organization, "token-granted", 200, query=f"scope={granted}",
        request_id=asked.request_id,
    )  # fmt: skip
    async with context.engine.transaction() as conn:
        await tokens.give(conn, digest(token), given)
        await audit.append(conn, row, now)
    return {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": int(context.lifetime.total_seconds()),
        "scope": granted,
    }


Grant = Callable[[Context, Asked], Awaitable[Answer]]

GRANTS: Final[Mapping[str, Grant]] = {
    "client_credentials": _client_credentials,
    "authorization_code": codes.exchange,
    "refresh_token": codes.refresh,
}
