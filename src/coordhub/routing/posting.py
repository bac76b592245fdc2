"""Events of Subscriptions told by mail: that there were some, by their numbers, and where to ask for them.

A mail says which Subscription, its topic, and the numbers: nothing of what happened, to whom, or which resource, for
anybody may read a mail on its way. All that waits at one address is told in one mail, at most one in EVERY; what
happens meanwhile is in the next. No mail asks for a confirmation: it goes only to where the directory's steward says
that the organization reads (`record.mailed`), and that is looked at again before each.

https://hl7.org/fhir/R4/subscription.html, http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from coordhub.access import viewer
from coordhub.outbound.client import Unreachable
from coordhub.outbound.smtp import Accepted, Mail, Post, Rejected
from coordhub.record import mailed, subscribing
from coordhub.record.hub import Hub
from coordhub.store import audit, resources, subscription_mail, subscriptions
from coordhub.store.engine import Connection
from coordhub.store.subscriptions import Subscribed
from coordhub.store.transact import AuditRow
from coordhub.telemetry import log

EVERY: Final = timedelta(hours=1)
"""At most one mail in this time to an address."""

LEASE: Final = timedelta(seconds=90)
"""Longer than a mail takes to be handed in."""

MOST: Final = 50
"""Subscriptions that one mail tells of; the others are told in the next."""

NO_RELAY: Final = (
    "No mail is sent by this hub (COORDHUB_SMTP_URL). Use another channel, or ask its operator."
)

SAID: Final = frozenset({NO_RELAY, mailed.NOT_ITS, mailed.NOT_BY_MAIL})
"""Reasons that a subscriber may read: nothing of a network is in them."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Events `since` to `until`, both included, of a Subscription; reference: `Subscription/id`. again: they were
    told before."""

    held: Subscribed
    since: int
    until: int
    again: bool = False
    reference: str = ""


async def why_not(hub: Hub, conn: Connection, post: Post | None, held: Subscribed) -> str | None:
    """None where it may be told by mail."""
    if post is None:
        return NO_RELAY
    return await mailed.why_not(conn, held.organization, _address(held), hub.base, hub.clock())


async def tell(hub: Hub, post: Post | None, held: Subscribed) -> str | None:
    """Tell of what waits there, and write it down, or put it off where it is not its time; else why it failed."""
    now, address = hub.clock(), _address(held)
    async with hub.engine.transaction(at_last=True) as conn:
        if (reason := await why_not(hub, conn, post, held)) is not None:
            return reason
        free = await subscription_mail.take(conn, address, now, LEASE, EVERY)
        parts = [] if free is not None else await _parts(hub, conn, held, now)
        if free is not None or not parts:
            await subscription_mail.put_off(conn, held.rid, free or now)
        if free is None and not parts:
            await subscription_mail.leave(conn, address, None)
    if not parts:
        return None
    assert post is not None
    said = " ".join(f"{one.reference} {one.since} {one.until}" for one in parts)
    key = str(uuid5(NAMESPACE_URL, f"{hub.base} {address} {said}"))
    posted = await post.send(Mail(key, address, SUBJECT, _text(hub.base, parts), now))
    if isinstance(posted, Accepted):
        await _told(hub, address, parts, key)
        return None
    async with hub.engine.pool.acquire_at_last() as conn:
        await subscription_mail.leave(conn, address, None)
    match posted:
        case Rejected(reason=reason):
            return reason
        case Unreachable(kind=kind):
            return kind


async def _parts(hub: Hub, conn: Connection, held: Subscribed, now: datetime) -> list[_Part]:
    """What the mail tells of: of this one first, then of all others that wait there and may be told."""
    parts = []
    if held.is_again and held.again_from is not None and held.trying is not None:
        parts.append(_Part(held, held.again_from, held.trying, again=True))
    may: dict[int, bool] = {held.organization: True}
    for one in await subscription_mail.waiting(conn, held.config.endpoint, now, held.rid, MOST):
        if one.rid == held.rid and parts:
            continue  # asked for again: what is new comes after it
        if one.organization not in may:
            reason = await mailed.why_not(conn, one.organization, _address(one), hub.base, now)
            may[one.organization] = reason is None
        if may[one.organization]:
            parts.append(_Part(one, one.sent + 1, one.event))
    found = await resources.read_rids(conn, viewer.deciding(), [one.held.rid for one in parts])
    return [
        replace(one, reference=found[one.held.rid].reference)
        for one in parts
        if one.held.rid in found
    ]


async def _told(hub: Hub, address: str, parts: Sequence[_Part], key: str) -> None:
    """A mail discloses nothing; that it went is on record."""
    now = hub.clock()
    async with hub.engine.transaction(at_last=True) as conn:
        await subscription_mail.leave(conn, address, now)
        for one in parts:
            if one.again:
                await subscriptions.told_again(conn, one.held, now)
            else:
                await subscriptions.told(conn, one.held, one.until, now, None)
            row = AuditRow(
                None, one.held.organization, "notice", 0, rids=(one.held.rid,),
                request_id=f"subscription {one.held.rid} event {one.until}",
            )  # fmt: skip
            await audit.append(conn, row, now)
    async with hub.engine.pool.acquire_at_last() as conn:
        await subscription_mail.forget(conn, now - EVERY)
    for one in parts:
        log(
            "subscription.told", subscription=one.held.rid, organization=one.held.organization, message=key,
            events=one.until - one.since + 1, until=one.until, again=one.again,
        )  # fmt: skip


def _address(held: Subscribed) -> str:
    return subscribing.mailbox_of(held.config.endpoint) or ""


SUBJECT: Final = "Something happened that you subscribed to"


def _text(base: str, parts: Sequence[_Part]) -> str:
    count = sum(one.until - one.since + 1 for one in parts)
    host = urlsplit(base).hostname or ""
    lines = [
        "Hello,",
        "",
        f"{count} {'event' if count == 1 else 'events'} at {host} that your organization subscribed to.",
        "",
    ]
    for one in parts:
        span = (
            f"event {one.since}" if one.since == one.until else f"events {one.since} to {one.until}"
        )
        again = ", as asked for again" if one.again else ""
        lines += [
            f"{one.reference}: {span}{again}",
            f"Topic {one.held.config.topic}",
            f"GET {base}/{one.reference}/$events?eventsSinceNumber={one.since}&eventsUntilNumber={one.until}",
            "",
        ]
    lines += [
        "This mail says nothing of what happened, for anybody may read a mail on its way. Ask with the address above,",
        "as the client of your organization. The next mail comes in an hour at the earliest.",
        "It was sent by a machine; nobody reads what is answered to it.",
        "",
    ]
    return "\n".join(lines)
