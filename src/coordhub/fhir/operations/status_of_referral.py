"""The operation $status-of-referral: how far a referral went, told to its sender.

Asked of the sender's own Task or ServiceRequest; answered to the organization that sent it, and to
nobody else. Times are the hub's: sent (committed here), asked, delivered (acknowledged by the
recipient's Endpoint, or put into its inbox here), seen (first read by the recipient), accepted, ended.

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
from coordhub.store import episodes, resources
from coordhub.store.episodes import Progress

NAME = "status-of-referral"
TYPES = ("ServiceRequest", "Task")

Parameter = dict[str, Any]


async def answer(context: Context, asked: Asked) -> Answer:
    """A Parameters resource; 404 unless the caller's organization opened a referral with it."""
    target = asked.target
    kind, fhir_id = target.instance()
    view = viewer.of(asked.caller)
    async with context.hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, view, kind, fhir_id)
        progress = await episodes.progress(conn, view, found.rid) if found else None
        tasks = await resources.read_rids(conn, view, [progress.id]) if progress else {}
    if found is None:
        raise errors.not_found(target.reference)
    task = tasks.get(progress.id) if progress else None
    if progress is None or task is None or task.body is None:
        raise errors.FhirError(
            404,
            errors.Issue(
                "not-found",
                f"{target.reference} opened no referral of yours. Send a Task (status requested, "
                "intent order) whose focus is your ServiceRequest.",
            ),
        )
    state = document.parse(task.body.encode())
    body = document.encode(
        {"resourceType": "Parameters", "parameter": list(_told(task.id, state, progress))}
    )
    return Answer(200, body, shown=(found.rid,))


def _told(task: str, state: dict[str, Any], progress: Progress) -> Iterator[Parameter]:
    yield {"name": "task", "valueReference": {"reference": f"Task/{task}"}}
    yield {"name": "status", "valueCode": state["status"]}
    if "businessStatus" in state:
        yield {"name": "businessStatus", "valueCodeableConcept": state["businessStatus"]}
    yield _time("sent", progress.opened_at)
    if progress.closed_at is not None:
        yield _time("closed", progress.closed_at)
    for one in progress.asked:
        parts: list[Parameter] = [
            {"name": "recipient", "valueReference": {"reference": one.recipient}},
            {"name": "status", "valueCode": one.status},
            _time("asked", one.asked_at),
        ]
        for name, at in (
            ("delivered", one.delivered_at),
            ("seen", one.seen_at),
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
        if one.delivered_at is None and one.trouble:
            parts.append({"name": "trouble", "valueString": one.trouble})
        yield {"name": "asked", "part": parts}


def _time(name: str, at: datetime) -> Parameter:
    return {"name": name, "valueInstant": instant(at)}
