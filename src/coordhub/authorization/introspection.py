"""What a token is, told to who acts for the same organization.

https://www.rfc-editor.org/rfc/rfc7662
"""

from __future__ import annotations

from typing import Any

from coordhub.access import oauth, scopes, viewer, wishes
from coordhub.access.certificates import confirmation
from coordhub.access.token import OPAQUE, digest
from coordhub.access.wishes import FHIR_USER, OPENID
from coordhub.authorization import identity
from coordhub.authorization.authentication import authenticate
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import invalid_request
from coordhub.store import apps, clients, resources, tokens
from coordhub.store.engine import Connection
from coordhub.store.tokens import Given


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
        of_app = await _of_app(conn, context, given)
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
        **of_app,
        **({} if given.thumbprint is None else {"cnf": confirmation(given.thumbprint)}),
    }


async def _of_app(conn: Connection, context: Context, given: Given) -> dict[str, Any]:
    """What an app was told with it, as far as it may still be told.

    http://hl7.org/fhir/smart-app-launch/token-introspection.html
    """
    if given.permission is None:
        return {}
    one = await apps.permitted(conn, given.permission)
    if one is None:
        return {}
    told: dict[str, Any] = {}
    words = wishes.read(given.scopes).words
    if OPENID in words:
        told["sub"] = one.person
        user = await identity.own_record(conn, one.person, one.organization)
        if FHIR_USER in words and user is not None:
            told["fhirUser"] = f"{context.base}/{user}"
    if one.patient is not None:
        view = viewer.as_organization(one.organization)
        seen = (await resources.read_rids(conn, view, [one.patient])).get(one.patient)
        if seen is not None and seen.body is not None:
            told["patient"] = seen.id
    return told
