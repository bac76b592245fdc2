"""The operations Subscription/$status and $events: how a subscription stands, and what it was, or was not, told.

For whose subscription it is, and nobody else; of what it tells another client of the same organization is shown
what its own token lets it read besides.

http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html
http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-events.html
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation, subscribed
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.numbers import number_of
from coordhub.r4 import notification
from coordhub.record import parties
from coordhub.record.hub import instant
from coordhub.record.notifying import compose
from coordhub.record.subscribing import LEVELS, MOST_EVENTS
from coordhub.store import subscription_events
from coordhub.store.resources import Version
from coordhub.store.subscriptions import Subscribed

STATUSES = ("requested", "active", "error", "off")


async def status(context: Context, asked: Asked) -> Answer:
    """A searchset of Parameters: of one subscription, or of all the caller's (`id`, `status`)."""
    pairs = [pair for pair in invocation.pairs(asked) if pair[0] in ("id", "status")]
    ids = [part for name, value in pairs if name == "id" for part in value.split(",")]
    wanted = [part for name, value in pairs if name == "status" for part in value.split(",")]
    unknown = sorted(set(wanted) - set(STATUSES))
    if unknown:
        raise FhirError(400, Issue("value", f"One of {', '.join(STATUSES)}.", "http.status"))
    if asked.target.id is not None:
        ids = [asked.target.id]
    base = context.hub.base
    async with context.hub.engine.pool.acquire() as conn:
        found = await subscribed.own(conn, asked, ids)
        if asked.target.id is not None and not found:
            raise errors.not_found(asked.target.reference)
    shown = [(version, held) for version, held in found if not wanted or held.state in wanted]
    entries = [
        {
            "fullUrl": f"{base}/{version.reference}/$status",
            "resource": notification.status(_about(base, version, held), "query-status"),
            "search": {"mode": "match"},
        }
        for version, held in shown
    ]
    body = {
        "resourceType": "Bundle",
        "type": "searchset",
        "timestamp": instant(context.hub.clock()),
        "total": len(entries),
        **({"entry": entries} if entries else {}),
    }
    return Answer(200, msgspec.json.encode(body), shown=tuple(version.rid for version, _ in shown))


async def events(context: Context, asked: Asked) -> Answer:
    """A notification of events by their numbers, both included; `content` is at most what was agreed on."""
    pairs = dict(invocation.pairs(asked))
    since = number_of(asked, "eventsSinceNumber", 1)
    until = number_of(asked, "eventsUntilNumber", 2**62)
    async with context.hub.engine.pool.acquire() as conn:
        version, held = await subscribed.the_one(conn, asked)
        if not held.config.topic:
            raise FhirError(
                400,
                Issue("not-supported", "Events are numbered for topics; this one is by criteria."),
            )
        level = pairs.get("content", held.config.level)
        if level not in LEVELS or LEVELS.index(level) > _rank(held.config.level):
            allowed = ", ".join(LEVELS[: _rank(held.config.level) + 1]) or "nothing"
            raise FhirError(
                400, Issue("value", f"This subscription is told {allowed}.", "http.content")
            )
        happened = await subscription_events.events(conn, held.rid, since, until, MOST_EVENTS)
        told = await compose(
            context.hub, conn, held, version.reference, held.state, "query-event", happened, uuid4(), level,
            viewer.of(asked.caller),
        )  # fmt: skip
    return Answer(200, told.body, shown=(held.rid, *told.rids))


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1


def _about(base: str, version: Version, held: Subscribed) -> notification.About:
    error = str(parties.document(version).get("error", "")) if version.body else ""
    return notification.About(
        f"{base}/{version.reference}", held.config.topic, held.state, held.event, error
    )
