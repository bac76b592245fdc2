"""The operation Subscription/$get-ws-binding-token: what a websocket is bound with.

http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-get-ws-binding-token.html
"""

from __future__ import annotations

from coordhub import errors
from coordhub.access.binding import LIFETIME, Binding
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, subscribed
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document
from coordhub.record.hub import instant
from coordhub.store.clients import Acting

PATH = "/ws"
"""Of the websocket, below the FHIR base."""


async def answer(context: Context, asked: Asked) -> Answer:
    """Parameters: the token, until when it binds, for which subscriptions, and where.

    Without ids it is for all active ones of the caller's organization whose channel is a websocket.
    """
    now = context.hub.clock()
    ids = [value for name, value in invocation.pairs(asked) if name == "id"]
    if asked.target.id is not None:
        ids = [asked.target.id]
    async with context.hub.engine.pool.acquire() as conn:
        found = await subscribed.own(conn, asked, ids)
    met = {version.id for version, _ in found}
    if missing := [one for one in ids if one not in met]:
        raise errors.not_found(f"Subscription/{missing[0]}" if asked.target.id else "One of these")
    ready = {
        version.id: version.rid
        for version, held in found
        if held.channel == "websocket" and held.state == "active"
    }
    if not ready or (ids and len(ready) < len(met)):
        raise FhirError(
            400,
            Issue(
                "business-rule",
                "There is no active Subscription with channel.type websocket among these. Create one; the hub sets "
                "it active within a second or so.",
            ),
        )
    caller = asked.caller
    who = Acting(caller.client or "", caller.scopes.text, caller.permission)
    binding = Binding(who, caller.organization, tuple(ready))
    base = context.hub.base
    said = [
        {"name": "token", "valueString": context.tokens.bindings.issue(binding, now)},
        {"name": "expiration", "valueDateTime": instant(now + LIFETIME)},
        *({"name": "subscription", "valueString": one} for one in ready),
        {"name": "websocket-url", "valueUrl": f"ws{base.removeprefix('http')}{PATH}"},
    ]
    body = document.encode({"resourceType": "Parameters", "parameter": said})
    return Answer(200, body, shown=tuple(ready.values()))
