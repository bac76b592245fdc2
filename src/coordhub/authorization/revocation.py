"""A token taken back by the client that has it.

https://www.rfc-editor.org/rfc/rfc7009
"""

from __future__ import annotations

from typing import Any

from coordhub.access import oauth
from coordhub.access.token import digest
from coordhub.authorization.authentication import identify
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import invalid_request
from coordhub.store import apps, audit, tokens
from coordhub.store.transact import AuditRow


async def answer(context: Context, asked: Asked) -> dict[str, Any] | None:
    """Nothing, whether there was such a token of its or not."""
    client = await identify(context, asked, oauth.address(context.base, "revoke"))
    token = asked.form.get("token")
    if token is None:
        raise invalid_request("Send the token to take back as token.")
    row = AuditRow(
        client.id, client.organization, "token-revoked", 200, request_id=asked.request_id
    )
    async with context.engine.transaction() as conn:
        now = context.clock()
        permission = await apps.of_refresh(conn, digest(token), client.id)
        if permission is not None:  # with it goes all that came of the same leave
            await apps.end(conn, [permission], now)
        if permission is not None or await tokens.revoke(conn, digest(token), client.id):
            await audit.append(conn, row, now)
    return None
