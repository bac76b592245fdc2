"""What a token is, told to who acts for the same organization.

https://www.rfc-editor.org/rfc/rfc7662
"""

from __future__ import annotations

from typing import Any

from coordhub.access import oauth, scopes
from coordhub.access.token import OPAQUE, digest
from coordhub.authorization.authentication import authenticate
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import invalid_request
from coordhub.store import clients, tokens


async def answer(context: Context, asked: Asked) -> dict[str, Any]:
    """`active` false is all that is said of another's token, and of what is none."""
    client = await authenticate(context, asked, oauth.address(context.base, "introspect"))
    token = asked.form.get("token")
    if token is None:
        raise invalid_request("Send the token to introspect as token.")
    async with context.engine.pool.acquire() as conn:
        given = await tokens.find(conn, digest(token), context.clock())
        if not token.startswith(OPAQUE) or given is None:
            return {"active": False}
        if given.organization != client.organization:
            return {"active": False}
        holder = await clients.read(conn, given.client)
    if holder is None:
        return {"active": False}
    levels = scopes.SYSTEM if given.permission is None else scopes.APP
    allowed = scopes.parse(given.scopes, levels).meet(scopes.parse(holder.scopes, levels))
    return {
        "active": True,
        "scope": allowed.stated(),
        "client_id": given.client,
        "token_type": "bearer",
        "iss": context.base,
        "iat": int(given.issued_at.timestamp()),
        "exp": int(given.expires_at.timestamp()),
    }
