"""Events are told to their subscriber: handshake, notification, heartbeat, and what comes of each.

No transaction is open while a subscriber is spoken to. What cannot be told is tried again, the same message
with the same identity, less and less often; after that the subscription is in error: its events are counted
on, and told when it is asked for them (`$events`), or requested again.

http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from coordhub.access import caller, viewer
from coordhub.outbound.client import Answer, Outbound, Unreachable
from coordhub.outbound.smtp import Post
from coordhub.r4.notification import Kind
from coordhub.record import commit, parties
from coordhub.record.hub import Hub
from coordhub.record.notifying import Composed, compose
from coordhub.record.operations import Update
from coordhub.routing import posting, signing
from coordhub.store import (
    audit,
    resources,
    subscription_events,
    subscription_secrets,
    subscriptions,
)
from coordhub.store.subscription_events import Event
from coordhub.store.subscriptions import Subscribed
from coordhub.store.transact import AuditRow
from coordhub.telemetry import log

LEASE: Final = timedelta(seconds=90)
"""Longer than the longest timeout a subscriber may ask for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """first, cap: the wait after a failure, doubled by each. failures: in a row, then it is in error."""

    first: timedelta = timedelta(seconds=15)
    cap: timedelta = timedelta(minutes=10)
    failures: int = 10


NOT_REACHED: Final = "not reached: its address did not take what was sent"
"""What a subscriber is told whatever failed: else an address of ours could be probed by a Subscription to it.
What it was, stands in the log."""


async def due(hub: Hub) -> Subscribed | None:
    """A subscription that is owed something, held for LEASE."""
    async with hub.engine.pool.acquire_at_last() as conn:
        return await subscriptions.claim(conn, hub.clock(), LEASE, uuid4())


@dataclass(frozen=True, slots=True)
class _Due:
    """What one is told now. kind: of the notification. pending: the events in it."""

    held: Subscribed
    kind: Kind
    pending: list[Event]
    composed: Composed
    secrets: list[bytes]


async def tell(
    hub: Hub,
    outbound: Outbound,
    held: Subscribed,
    patience: Patience | None = None,
    post: Post | None = None,
) -> None:
    """Tell one subscriber what is due, and write down what came of it. post: None where no mail is sent."""
    patience, now = patience or Patience(), hub.clock()
    if held.until is not None and held.until <= now:
        await set_status(hub, held, "off", None)
        return
    if held.channel == "websocket":  # there is no address to try; who holds the socket tells
        async with hub.engine.pool.acquire_at_last() as conn:
            await subscriptions.told(conn, held, held.event, now, None)
        if held.state == "requested":
            await set_status(hub, held, "active", None)
        return
    if held.channel == "email":
        await _by_mail(hub, post, held, patience)
        return
    due = await _prepare(hub, held)
    if due.kind == "heartbeat" and not held.config.heartbeat:
        async with hub.engine.pool.acquire_at_last() as conn:
            await subscriptions.told(conn, held, held.sent, now, None)
        return
    failure = await _send(outbound, due, hub.clock())
    if failure is None:
        await _told(hub, due)
    else:
        await _failed(hub, held, failure, patience)


async def _by_mail(hub: Hub, post: Post | None, held: Subscribed, patience: Patience) -> None:
    """The directory's word for the mailbox is the handshake: it is looked at, and nothing is sent for it."""
    now = hub.clock()
    if held.state != "requested":
        failure = await posting.tell(hub, post, held)
    else:
        async with hub.engine.pool.acquire_at_last() as conn:
            failure = await posting.why_not(hub, conn, post, held)
            if failure is None:
                await subscriptions.told(conn, held, held.sent, now, None)
        if failure is None:
            await set_status(hub, held, "active", None)
    if failure is not None:
        await _failed(hub, held, failure, patience)


async def _prepare(hub: Hub, held: Subscribed) -> _Due:
    assert held.message is not None
    assert held.trying is not None
    async with hub.engine.pool.acquire_at_last() as conn:
        found = await resources.read_rids(conn, viewer.deciding(), [held.rid])
        since = held.again_from if held.is_again else held.sent + 1
        pending: list[Event] = []
        if held.state != "requested" and since is not None:
            pending = await subscription_events.events(
                conn, held.rid, since, held.trying, held.config.most
            )
        kind: Kind = "event-notification" if pending else "heartbeat"
        if held.state == "requested":
            kind = "handshake"
        composed = await compose(
            hub, conn, held, found[held.rid].reference,
            "active" if kind == "handshake" else held.state, kind, pending, held.message,
        )  # fmt: skip
        secrets = await subscription_secrets.valid(conn, held.rid, hub.clock())
    return _Due(held, kind, pending, composed, secrets)


async def _send(outbound: Outbound, due: _Due, now: datetime) -> str | None:
    """None if it was taken; else why not."""
    held, composed = due.held, due.composed
    assert held.message is not None
    pairs = (line.partition(":") for line in held.config.headers)
    headers = {
        name.strip(): value.strip()
        for name, _, value in pairs
        if name.strip() and not name.strip().lower().startswith("webhook-")
    }
    headers |= signing.headers(due.secrets, held.message, now, composed.body)
    method, address = "POST", held.config.endpoint
    if composed.path:  # http://hl7.org/fhir/R4/subscription.html#2.46.7.1
        method, address = "PUT", f"{address.rstrip('/')}/{composed.path}"
    if composed.body:
        headers |= {"Content-Type": "application/fhir+json; fhirVersion=4.0"}
    answer = await outbound.send(method, address, headers, composed.body)
    match answer:
        case Answer(status=status) if 200 <= status < 300:
            return None
        case Answer(status=status):
            return f"status {status}"
        case Unreachable(kind=kind):
            return kind


async def _told(hub: Hub, due: _Due) -> None:
    held, now = due.held, hub.clock()
    sent = due.pending[-1].number if due.pending and not held.is_again else held.sent
    beat = timedelta(seconds=held.config.heartbeat)
    async with hub.engine.transaction() as conn:
        if held.is_again:
            await subscriptions.told_again(conn, held, now)
        else:
            await subscriptions.told(conn, held, sent, now, now + beat if beat else None)
        if due.composed.rids:
            row = AuditRow(
                None, held.organization, "disclosure", 0, rids=due.composed.rids,
                request_id=f"subscription {held.rid} event {due.pending[-1].number}",
            )  # fmt: skip
            await audit.append(conn, row, now)
    if due.kind == "handshake":
        await set_status(hub, held, "active", None)
    log(
        "subscription.told", subscription=held.rid, organization=held.organization,
        message=str(held.message), events=len(due.pending), until=sent, again=held.is_again,
    )  # fmt: skip


async def _failed(hub: Hub, held: Subscribed, reason: str, patience: Patience) -> None:
    now = hub.clock()
    wait = min(patience.first * 2 ** min(held.failures, 16), patience.cap)
    async with hub.engine.pool.acquire_at_last() as conn:
        await subscriptions.failed(conn, held, now + wait, reason)
    if held.state == "requested" or held.failures + 1 >= patience.failures:
        said = reason if reason in posting.SAID else NOT_REACHED
        await set_status(hub, held, "error", said)
    log(
        "subscription.failed", level="warning", subscription=held.rid,
        organization=held.organization, message=str(held.message), failures=held.failures + 1,
        reason=reason,
    )  # fmt: skip


async def set_status(hub: Hub, held: Subscribed, status: str, error: str | None) -> None:
    """A new version of the Subscription, by the hub; unless its subscriber was faster."""
    async with hub.engine.pool.acquire_at_last() as conn:
        found = (await resources.read_rids(conn, viewer.deciding(), [held.rid])).get(held.rid)
    if found is None or found.body is None:
        return
    document = parties.document(found)
    if document.get("status") != held.state:
        return
    document = {**document, "status": status}
    document.pop("error", None)
    if error is not None:
        document["error"] = error
    update = Update("Subscription", found.id, document, if_match=found.version)
    await commit.commit(hub, caller.hub(hub.organization), [update], interaction="update")
