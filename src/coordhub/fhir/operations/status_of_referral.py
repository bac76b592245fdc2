"""The operation $status-of-referral: the timeline of a referral, and what is expected next.

Asked of the sender's own Task or ServiceRequest, it tells the whole; of the Task or ServiceRequest by
which a recipient is asked, it tells that recipient its own part. All others get 404, and so does a victim
service provider, about which nobody learns more than that it was asked. Times are the hub's: delivered is
acknowledged by the recipient's Endpoint, or put into its inbox here; opened is first read here.

http://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.r4 import document
from coordhub.record.hub import instant
from coordhub.referral import task_machine as machine
from coordhub.referral import timeline as pure
from coordhub.referral.episode import BUSINESS_STATUSES, business_status
from coordhub.store import resources, timeline
from coordhub.store.timeline import Moments, Told

NAME = "status-of-referral"
TYPES = ("ServiceRequest", "Task")

Parameter = dict[str, Any]


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters resource; 404 unless the caller opened a referral with it, or is asked by it."""
    target = asked.target
    kind, fhir_id = target.instance()
    view = viewer.of(asked.caller)
    async with context.hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, view, kind, fhir_id)
        told = await timeline.told(conn, view, found.rid) if found else None
        tasks = await resources.read_rids(conn, view, [told.id]) if told else {}
        moments = await timeline.moments(conn, view, told) if told else None
    if found is None:
        raise errors.not_found(target.reference)
    task = tasks.get(told.id) if told else None
    if told is None or moments is None or task is None or task.body is None:
        raise errors.FhirError(
            404,
            errors.Issue(
                "not-found",
                f"{target.reference} opened no referral of yours. Send a Task (status requested, "
                "intent order) whose focus is your ServiceRequest.",
            ),
        )
    state = document.parse(task.body.encode())
    parameters = [
        {"name": "task", "valueReference": {"reference": task.reference}},
        *_state(state),
        *_needs(moments),
        *_asked(told, moments),
        *_events(told, pure.events(told, moments)),
        *_next(told, moments, context.hub.organization),
    ]
    body = document.encode({"resourceType": "Parameters", "parameter": parameters})
    return Answer(200, body, shown=(found.rid,))


def _state(state: dict[str, Any]) -> Iterator[Parameter]:
    yield {"name": "status", "valueCode": state["status"]}
    for name in ("businessStatus", "statusReason"):
        if name in state:
            yield {"name": name, "valueCodeableConcept": state[name]}


def _needs(moments: Moments) -> Iterator[Parameter]:
    """What is asked for and how far each is: to the requester, whose Task says it of all together."""
    for need in moments.needs:
        state = {"name": "state", "valueCode": need.state}
        yield {"name": "need", "part": [_reference("request", need.request), state]}


def _asked(told: Told, moments: Moments) -> Iterator[Parameter]:
    needs = {need.ordinal: need.request for need in moments.needs}
    if told.whole:
        yield _time("sent", told.opened_at)
        if told.closed_at is not None:
            yield _time("closed", told.closed_at)
    for one in told.asked:
        parts: list[Parameter] = [
            _reference("recipient", one.recipient),
            {"name": "status", "valueCode": one.status},
            _time("asked", one.asked_at),
        ]
        if one.need in needs:  # how many were asked before is nothing to a recipient
            parts.append(_reference("need", needs[one.need]))
            parts.append({"name": "wave", "valuePositiveInt": one.wave})
        for name, at in (
            ("delivered", one.delivered_at),
            ("opened", one.opened_at),
            ("accepted", one.accepted_at),
            ("ended", one.ended_at),
        ):
            if at is not None:
                parts.append(_time(name, at))
        if one.delivery is not None:
            parts.append({"name": "delivery", "valueCode": one.delivery})
            parts.append({"name": "attempts", "valueInteger": one.attempts or 0})
        if one.delivery in ("queued", "parked") and one.next_at is not None:
            parts.append(_time("nextAttempt", one.next_at))
        if one.unreachable_since is not None:
            parts.append(_time("unreachableSince", one.unreachable_since))
        if one.delivered_at is None and one.trouble:
            parts.append({"name": "trouble", "valueString": one.trouble})
        yield {"name": "asked", "part": parts}


def _events(told: Told, events: list[pure.Event]) -> Iterator[Parameter]:
    recipients = {one.ordinal: one.recipient for one in told.asked}
    for event in events:
        parts: list[Parameter] = [
            _time("at", event.at),
            {"name": "what", "valueCode": event.what},
        ]
        if event.ordinal is not None:
            parts.append(_reference("recipient", recipients[event.ordinal]))
        if event.status:
            parts.append({"name": "status", "valueCode": event.status})
        if event.business_status in BUSINESS_STATUSES:
            concept = business_status(event.business_status)
            parts.append({"name": "businessStatus", "valueCodeableConcept": concept})
        if event.reason in machine.REASONS:
            concept = machine.concept(machine.REASONS[event.reason])
            parts.append({"name": "reason", "valueCodeableConcept": concept})
        if event.kind:
            name = "timer" if event.what == "due" else "errand"
            parts.append({"name": name, "valueCode": event.kind})
        if event.owner:
            parts.append(_reference("owner", event.owner))
        if event.resource:
            parts.append(_reference("resource", event.resource))
        yield {"name": "event", "part": parts}


def _next(told: Told, moments: Moments, hub: str) -> Iterator[Parameter]:
    recipients = {one.ordinal: one.recipient for one in told.asked}
    needs = {need.ordinal: need.request for need in moments.needs}
    for step in pure.expected(told, moments):
        who = {"hub": hub, "requester": told.requester}.get(step.who, step.who)
        if step.who == "recipient" and step.ordinal is not None:
            who = recipients[step.ordinal]
        parts: list[Parameter] = [
            {"name": "what", "valueCode": step.what},
            _reference("from", who),
        ]
        if step.need is not None:
            parts.append(_reference("need", needs[step.need]))
        if step.ordinal is not None:
            parts.append(_reference("recipient", recipients[step.ordinal]))
        if step.by is not None:
            parts.append(_time("by", step.by))
        yield {"name": "next", "part": parts}


def _reference(name: str, reference: str) -> Parameter:
    """Of a recipient that has no name yet, as it has not claimed what is offered to several, that."""
    target = {"reference": reference} if reference else {"display": "whoever claims it"}
    return {"name": name, "valueReference": target}


def _time(name: str, at: datetime) -> Parameter:
    return {"name": name, "valueInstant": instant(at)}
