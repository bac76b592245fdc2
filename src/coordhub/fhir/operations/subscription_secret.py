"""The operation Subscription/$rotate-secret: another secret that its notifications are signed with.

Made by the hub, and shown this one time, or handed in, and not shown at all. The one before it signs
beside it for a while, so that a receiver can change over; a third rotation within it ends the first.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from binascii import Error
from datetime import timedelta
from typing import Any, Final

from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, subscribed
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document
from coordhub.record.hub import instant
from coordhub.store import subscription_secrets

PREFIX: Final = "whsec_"
LENGTH: Final = range(24, 65)
"""Bytes of a secret, as the specification has it."""
OVERLAP: Final = 24 * 3600
LONGEST: Final = 7 * 24 * 3600
"""Seconds for which the secret before signs, too: without a word, and at most."""


async def answer(context: Context, asked: Asked) -> Answer:
    """Parameters: `secret` if the hub made it, `formerUntil` if there was one before."""
    given = invocation.parameter(asked, "secret")
    secret = secrets.token_bytes(32) if given is None else _read(given)
    overlap = _overlap(invocation.parameter(asked, "overlap"))
    now = context.hub.clock()
    until = now + timedelta(seconds=overlap)
    async with context.hub.engine.transaction() as conn:
        version, held = await subscribed.the_one(conn, asked)
        if held.channel != "rest-hook":
            raise FhirError(
                422,
                Issue(
                    "business-rule",
                    f"What is sent to a rest-hook is signed; this is {held.channel}.",
                ),
            )
        had_one = await subscription_secrets.replace(conn, held.rid, secret, now, until)
    said: list[dict[str, Any]] = []
    if given is None:
        said.append({"name": "secret", "valueString": PREFIX + b64encode(secret).decode()})
    if had_one:
        said.append({"name": "formerUntil", "valueInstant": instant(until)})
    said.append({"name": "since", "valueInstant": instant(now)})
    body = document.encode({"resourceType": "Parameters", "parameter": said})
    return Answer(200, body, shown=(version.rid,))


def _read(given: dict[str, Any]) -> bytes:
    """What is wrong with it is said without it."""
    text = given.get("valueString")
    if isinstance(text, str) and text.startswith(PREFIX):
        try:
            secret = b64decode(text.removeprefix(PREFIX), validate=True)
        except (Error, ValueError):
            secret = b""
        if len(secret) in LENGTH:
            return secret
    raise FhirError(
        400,
        Issue(
            "value",
            f"A secret is a valueString {PREFIX} followed by {LENGTH.start} to {LENGTH.stop - 1} random bytes "
            "in base64; leave it out, and the hub makes one.",
            "Parameters.parameter.where(name='secret')",
        ),
    )


def _overlap(given: dict[str, Any] | None) -> int:
    if given is None:
        return OVERLAP
    seconds = given.get("valueUnsignedInt")
    if isinstance(seconds, int) and 0 <= seconds <= LONGEST:
        return seconds
    raise FhirError(
        400,
        Issue(
            "value",
            f"A valueUnsignedInt: seconds for which the secret before signs, too; at most {LONGEST}.",
            "Parameters.parameter.where(name='overlap')",
        ),
    )
