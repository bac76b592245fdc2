"""One attempt at one delivery: look again whether it may go, render it, send it, settle it.

No transaction is open while a partner is spoken to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from coordhub import tracing
from coordhub.directory import bases
from coordhub.record.hub import Hub
from coordhub.routing import breaker, mailing, mending, payload, proving, resolve, retry
from coordhub.routing.breaker import BreakerPolicy
from coordhub.routing.channels.channel import (
    Channel,
    Delivered,
    Message,
    Outcome,
    Refused,
    Source,
    Unreachable,
)
from coordhub.routing.mailing import Manners
from coordhub.routing.payload import Payload
from coordhub.routing.proving import Spoken
from coordhub.store import (
    circuits,
    counterparts,
    deliveries,
    fetches,
    mailboxes,
    mendings,
    resources,
    traces,
)
from coordhub.store.deliveries import INBOX, Attempt, Claimed
from coordhub.store.engine import Connection
from coordhub.store.mendings import Mending
from coordhub.store.transact import AuditRow
from coordhub.store.visibility import EVERYONE
from coordhub.telemetry import DELIVERIES, log

NO_RELAY = "no mail can be sent: COORDHUB_SMTP_URL is not set"


@dataclass(frozen=True, slots=True)
class Sending:
    """What an attempt needs. channels: by Endpoint.connectionType; rnd: uniform in [0, 1).
    breaker: when an endpoint is left alone. manners: how often who has a mailbox only is written to."""

    hub: Hub
    channels: Mapping[str, Channel]
    policy: retry.RetryPolicy
    rnd: Callable[[], float]
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    manners: Manners = field(default_factory=Manners)


async def deliver(sending: Sending, held: Claimed) -> None:
    """Try it once and write down what came of it."""
    parent = None
    if tracing.is_on():
        async with sending.hub.engine.pool.acquire_at_last() as conn:
            parent = await traces.of_delivery(conn, held.id)
    with tracing.span(
        "deliver",
        parent=parent,
        delivery=str(held.id),
        attempt=held.attempt,
        organization=held.organization,
        endpoint=held.endpoint,
        episode=held.episode,
    ):
        await _deliver(sending, held)


async def _deliver(sending: Sending, held: Claimed) -> None:
    hub = sending.hub
    async with hub.engine.pool.acquire_at_last() as conn:
        # Its time is the delivery's, so that what is sent again under the same key is the same.
        otherwise = await mendings.of(conn, held.id) if held.attempt > 1 else []
        composed = await payload.compose(hub, conn, held, held.created_at, otherwise)
        endpoint = None if held.endpoint == INBOX else await _endpoint(hub, conn, held)
    if isinstance(composed, payload.Withheld):
        await _settle(hub, held, "suppressed", reason=composed.reason)
        return
    disclosed = AuditRow(
        None,
        held.organization,
        "disclosure",
        0,
        rids=composed.rids,
        delivery=held.id,
        request_id=str(held.id),
    )
    if held.endpoint == INBOX:
        await _settle(
            hub,
            held,
            "delivered",
            attempt=Attempt("delivered", None, 0, "inbox"),
            disclosed=disclosed,
        )
        return
    if endpoint is None:
        now, reason = hub.clock(), "the Endpoint is not active (any more)"
        if now >= held.created_at + sending.policy.budget:
            await _settle(hub, held, "dead", reason=reason)
        else:
            await _settle(hub, held, "parked", next_at=now + sending.policy.park, reason=reason)
        return
    spoken, kind = endpoint
    channels = composed.custom.terms.channels
    if channels is not None and kind not in channels:
        await _settle(hub, held, "suppressed", reason=payload.not_agreed(kind).reason)
        return
    address, headers = spoken.address, spoken.headers
    begun = time.perf_counter()
    if kind == resolve.MAILED:
        await _by_mail(sending, held, address, begun)
        return
    park = sending.policy.park
    if again := await proving.waits_until(hub, sending.channels[kind], spoken, park):
        if hub.clock() >= held.created_at + sending.policy.budget:
            await _settle(hub, held, "dead", reason=proving.REASON)
        else:
            await _settle(hub, held, "parked", next_at=again, reason=proving.REASON)
        return
    message = Message(held.key, address, headers, composed.body, f"{held.id}.{held.attempt}")
    outcome = await _send(sending, held, message, composed)
    if isinstance(outcome, Refused) and outcome.permanence in ("conflict", "gone"):
        outcome = await _mend(sending, held, message, composed, outcome, otherwise)
    if not isinstance(outcome, Unreachable):
        await _remember(hub, held, composed, outcome)
    await _conclude(sending, held, outcome, begun, disclosed)


async def _by_mail(sending: Sending, held: Claimed, address: str, begun: float) -> None:
    """Tell the recipient that it waits. What it holds goes to nobody by this, so nothing of it is disclosed."""
    hub, channel = sending.hub, sending.channels.get(resolve.MAILED)
    if channel is None:
        until = hub.clock() + sending.policy.park
        await _settle(hub, held, "parked", next_at=until, reason=NO_RELAY)
        return
    outcome = await mailing.tell(hub, channel, sending.manners, held, address)
    if isinstance(outcome, mailing.Later):
        await _settle(hub, held, "queued", next_at=outcome.at)
        async with hub.engine.pool.acquire_at_last() as conn:
            await mailboxes.hurry(conn, [held.id], hub.clock())
        return
    told = AuditRow(None, held.organization, "notice", 0, delivery=held.id, request_id=str(held.id))
    await _conclude(sending, held, outcome, begun, told)


async def _conclude(
    sending: Sending, held: Claimed, outcome: Outcome, begun: float, disclosed: AuditRow
) -> None:
    """Write down what came of an attempt, and what follows."""
    hub = sending.hub
    attempt = _attempt(outcome, round((time.perf_counter() - begun) * 1000))
    decision = retry.decide(
        outcome, held.attempt, held.created_at, hub.clock(), sending.rnd(), sending.policy
    )
    # Whatever left the house is on record, also when the partner refused it or was not heard.
    unsent = isinstance(outcome, Unreachable) and not outcome.sent_unknown
    told = None if unsent else disclosed
    match decision:
        case retry.Settled():
            troubled = await _settle(hub, held, "delivered", attempt=attempt, disclosed=told)
        case retry.Again(at):
            troubled = await _settle(
                hub, held, "queued", next_at=at, attempt=attempt, disclosed=told
            )
        case retry.Parked(until, reason):
            troubled = await _settle(
                hub, held, "parked", next_at=until, reason=reason, attempt=attempt, disclosed=told
            )
        case retry.GiveUp(reason):
            troubled = await _settle(
                hub, held, "dead", reason=reason, attempt=attempt, disclosed=told
            )
    if troubled or breaker.health(outcome) != "answers":
        await _note_health(sending, held, outcome)


async def _send(sending: Sending, held: Claimed, message: Message, composed: Payload) -> Outcome:
    """Send it; a repeat to who would not know it for one only if its copy does not say it yet."""
    channel = sending.channels[resolve.SERVED]
    if held.attempt > 1 and not composed.custom.knows_repeats and isinstance(channel, Source):
        seen = await mending.arrived(channel, message, composed)
        if seen is not None:
            return seen
    return await channel.send(message)


async def _mend(
    sending: Sending,
    held: Claimed,
    message: Message,
    composed: Payload,
    refused: Refused,
    otherwise: Sequence[Mending],
) -> Outcome:
    """What came of it after all, once the partner's copy was looked at.

    Still refused, it is said otherwise at the next attempt.
    """
    channel, hub = sending.channels[resolve.SERVED], sending.hub
    assert isinstance(channel, Source)
    done = await mending.mended(
        channel, message, composed, refused, otherwise, sending.policy.conflicts
    )
    if not isinstance(done, Mending):
        return done
    async with hub.engine.pool.acquire_at_last() as conn:
        await mendings.mend(conn, held, done, hub.clock())
    return replace(refused, permanence="conflict")


async def _note_health(sending: Sending, held: Claimed, outcome: Outcome) -> None:
    """What the outcome says of the endpoint; what is told of it is told once, when it changes."""
    hub = sending.hub
    now = hub.clock()
    async with hub.engine.pool.acquire_at_last() as conn:
        before, after = await circuits.change(
            conn,
            held.endpoint,
            now,
            lambda circuit: breaker.after(circuit, outcome, now, sending.breaker),
        )
    if before.state != after.state and (before.state, after.state) != ("probing", "open"):
        log(
            f"endpoint.{after.state}",
            level="warning" if after.state == "open" else "info",
            endpoint=held.endpoint,
            organization=held.organization,
            failures=after.failures,
            reason=after.reason,
        )


async def _remember(hub: Hub, held: Claimed, sent: Payload, outcome: Delivered | Refused) -> None:
    """Under which ids the server has it, and that it is to be read for answers where that was agreed.

    Before the settlement, so that it is not forgotten. Of what it refused in part, what it took.
    """
    told = sent.told(outcome.partner_ids)
    watched = sent.custom.answers_every is not None and isinstance(outcome, Delivered)
    if not told and not watched:
        return
    async with hub.engine.pool.acquire_at_last() as conn:
        await counterparts.learn(conn, held.organization, held.endpoint, told, hub.clock())
        if watched:
            await fetches.watch(conn, held.rid, held.organization, held.endpoint, hub.clock())


async def _endpoint(hub: Hub, conn: Connection, held: Claimed) -> tuple[Spoken, str] | None:
    """How the Endpoint is spoken to, as the directory has it now, and by which channel."""
    version = (await resources.read_rids(conn, EVERYONE, [held.endpoint])).get(held.endpoint)
    for document in resolve.usable_versions([version] if version else [], hub.clock()):
        assert version is not None
        kind = resolve.kind_of(document) or resolve.SERVED
        headers = bases.headers_of(document)
        return Spoken(held.endpoint, version.version, document["address"], headers), kind
    return None


def _attempt(outcome: Outcome, milliseconds: int) -> Attempt:
    match outcome:
        case Delivered(status, _, reason):
            return Attempt("delivered", status, milliseconds, reason)
        case Refused(status, reason=reason):
            return Attempt("refused", status, milliseconds, reason)
        case Unreachable(kind, _, reason):
            return Attempt("unreachable", None, milliseconds, f"{kind}: {reason}")


async def _settle(
    hub: Hub,
    held: Claimed,
    state: str,
    *,
    next_at: datetime | None = None,
    reason: str | None = None,
    attempt: Attempt | None = None,
    disclosed: AuditRow | None = None,
) -> bool:
    """Write it down; whether the endpoint has a circuit."""
    async with hub.engine.pool.acquire_at_last() as conn:
        settled = await deliveries.settle(
            conn,
            held,
            state,
            now=hub.clock(),
            next_at=next_at,
            reason=reason,
            attempt=attempt,
            disclosed=disclosed,
        )
    tracing.note(state=state)
    if attempt is not None:
        channel = "inbox" if held.endpoint == INBOX else resolve.SERVED
        DELIVERIES.labels(channel, attempt.outcome).inc()
    log(
        "delivery.settled" if settled.held else "delivery.overtaken",
        level="error" if state == "dead" else "info",
        delivery=str(held.id),
        organization=held.organization,
        endpoint=held.endpoint,
        attempt=held.attempt,
        state=state,
        status=attempt.status if attempt else None,
        reason=reason,
    )
    return settled.troubled
