"""The operation Subscription/$resend: events are sent again, by their numbers, with these numbers.

Of the 1.2 ballot of the backport. What is sent is what its organization may see by then. Of $events it
differs in the way it takes: through the channel, as soon as there is time.

https://build.fhir.org/ig/HL7/fhir-subscription-backport-ig/OperationDefinition-backport-subscription-resend.html
"""

from __future__ import annotations

from typing import Final

from coordhub.errors import FhirError, Issue, conflict
from coordhub.fhir import subscribed
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.numbers import number_of
from coordhub.r4 import outcome
from coordhub.store import subscriptions

MOST: Final = 1000
"""Events of one request."""


async def answer(context: Context, asked: Asked) -> Answer:
    """An OperationOutcome that says what will come; 409 while other events are being sent again."""
    now = context.hub.clock()
    async with context.hub.engine.pool.acquire() as conn:
        version, held = await subscribed.the_one(conn, asked)
        if held.channel == "websocket" or not held.config.topic:
            raise FhirError(
                422,
                Issue(
                    "not-supported",
                    "Sent again are notifications of topics, by rest-hook or e-mail. Use $events here."
                    if held.config.topic
                    else "Events are numbered for topics; this one is by criteria.",
                ),
            )
        since, until = _span(asked, held.sent)
        if since > until or until > held.sent:
            raise FhirError(
                422,
                Issue(
                    "value",
                    f"Events 1 to {held.sent} were sent; name a part of these, the first not after the last.",
                    "http.eventsUntilNumber",
                ),
            )
        if until - since >= MOST:
            raise FhirError(
                422,
                Issue("too-costly", f"At most {MOST} at once.", "http.eventsUntilNumber"),
            )
        if held.state != "active":
            raise FhirError(
                422,
                Issue(
                    "business-rule",
                    f"It is {held.state}. Send it with status requested first, then ask again; or use $events.",
                ),
            )
        if not await subscriptions.tell_again(conn, held.rid, since, until, now):
            raise conflict(
                "Other events of it are being sent again. Ask again when they have come."
            )
    context.hub.engine.wake()
    said = Issue(
        "informational", f"Events {since} to {until} are sent again.", severity="information"
    )
    return Answer(202, outcome.render([said]), is_outcome=True, shown=(version.rid,))


def _span(asked: Asked, sent: int) -> tuple[int, int]:
    return (
        max(1, number_of(asked, "eventsSinceNumber", 1)),
        number_of(asked, "eventsUntilNumber", sent),
    )
