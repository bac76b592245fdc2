"""Events are told to their subscriber: handshake, notification, heartbeat, and what comes of each.

No transaction is open while a subscriber is spoken to. What cannot be told is tried again, less and less
often; after that the subscription is in error: its events are counted on, and told when it is asked for
them (`$events`), or requested again.

http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from coordhub.access import caller, viewer
from coordhub.outbound.client import Answer, Outbound, Unreachable
from coordhub.record import commit, parties
from coordhub.record.hub import Hub
from coordhub.record.notifying import Composed, compose
from coordhub.record.operations import Update
from coordhub.store import audit, resources, subscriptions
from coordhub.store.subscriptions import Event, Subscribed
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


async def due(hub: Hub) -> Subscribed | None:
    """A subscription that is owed something, held for LEASE."""
    async with hub.engine.pool.acquire_at_last() as conn:
        return await subscriptions.claim(conn, hub.clock(), LEASE)


async def tell(
    hub: Hub,
    outbound: Outbound,
    held: Subscribed,
    new_id: Callable[[], UUID],
    patience: Patience | None = None,
) -> None:
    """Tell one subscriber what is due, and write down what came of it."""
    patience, now = patience or Patience(), hub.clock()
    if held.until is not None and held.until <= now:
        await set_status(hub, held, "off", None)
        return
    async with hub.engine.pool.acquire_at_last() as conn:
        found = await resources.read_rids(conn, viewer.deciding(), [held.rid])
        pending = await subscriptions.events(
            conn, held.rid, held.sent + 1, held.event, held.config.most
        )
        reference = found[held.rid].reference
        is_handshake = held.state == "requested"
        composed = await compose(
            hub, conn, held, reference, "active" if is_handshake else held.state,
            "handshake" if is_handshake else "event-notification" if pending else "heartbeat",
            [] if is_handshake else pending, new_id(),
        )  # fmt: skip
    if not (is_handshake or pending or held.config.heartbeat):
        async with hub.engine.pool.acquire_at_last() as conn:
            await subscriptions.told(conn, held, held.sent, now, None)
        return
    failure = await _send(outbound, held, composed, new_id(), now)
    if failure is None:
        await _told(hub, held, pending, composed, is_handshake=is_handshake)
    else:
        await _failed(hub, held, failure, patience, is_handshake=is_handshake)


async def _send(
    outbound: Outbound, held: Subscribed, composed: Composed, identifier: UUID, now: datetime
) -> str | None:
    """None if it was taken; else why not."""
    pairs = (line.partition(":") for line in held.config.headers)
    headers = {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
    headers |= {"webhook-id": str(identifier), "webhook-timestamp": str(int(now.timestamp()))}
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


async def _told(
    hub: Hub, held: Subscribed, pending: list[Event], composed: Composed, *, is_handshake: bool
) -> None:
    now = hub.clock()
    sent = held.sent if is_handshake or not pending else pending[-1].number
    beat = timedelta(seconds=held.config.heartbeat)
    async with hub.engine.transaction() as conn:
        await subscriptions.told(conn, held, sent, now, now + beat if beat else None)
        if composed.rids:
            row = AuditRow(
                None, held.organization, "disclosure", 0, rids=composed.rids,
                request_id=f"subscription {held.rid} event {sent}",
            )  # fmt: skip
            await audit.append(conn, row, now)
    if is_handshake:
        await set_status(hub, held, "active", None)
    log(
        "subscription.told", subscription=held.rid, organization=held.organization,
        events=0 if is_handshake else len(pending), until=sent,
    )  # fmt: skip


async def _failed(
    hub: Hub, held: Subscribed, reason: str, patience: Patience, *, is_handshake: bool
) -> None:
    now = hub.clock()
    wait = min(patience.first * 2 ** min(held.failures, 16), patience.cap)
    async with hub.engine.pool.acquire_at_last() as conn:
        await subscriptions.failed(conn, held, now + wait, reason)
    over = is_handshake or held.failures + 1 >= patience.failures
    if over:
        await set_status(hub, held, "error", f"not reached: {reason}")
    log(
        "subscription.failed", level="warning", subscription=held.rid,
        organization=held.organization, failures=held.failures + 1, reason=reason,
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
