"""A token taken back by the client that has it.

https://www.rfc-editor.org/rfc/rfc7009
"""

from __future__ import annotations

from typing import Any

from coordhub.access import oauth
from coordhub.access.token import digest
from coordhub.authorization.authentication import authenticate
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import invalid_request
from coordhub.store import audit, tokens
from coordhub.store.transact import AuditRow


async def answer(context: Context, asked: Asked) -> dict[str, Any] | None:
    """Nothing, whether there was such a token of its or not."""
    client = await authenticate(context, asked, oauth.address(context.base, "revoke"))
    token = asked.form.get("token")
    if token is None:
        raise invalid_request("Send the token to take back as token.")
    row = AuditRow(
        client.id, client.organization, "token-revoked", 200, request_id=asked.request_id
    )
    async with context.engine.transaction() as conn:
        if await tokens.revoke(conn, digest(token), client.id):
            await audit.append(conn, row, context.clock())
    return None
