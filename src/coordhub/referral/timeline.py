"""The timeline of a referral: what happened, told in one order, and what is expected next, from whom.

Computed from what is stored. A referral that has not ended always expects something of somebody: that
is what "every referral closes its loop" means, and the simulated county asks it of each.

http://hl7.org/fhir/us/sdoh-clinicalcare (Task for referral management)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from coordhub.referral.task_machine import TERMINAL
from coordhub.store.timeline import Asked, Due, Moments, Step, Told

EVENTS: dict[str, str] = {
    "sent": "sent to the hub",
    "asked": "asked by the hub",
    "delivered": "arrived at the recipient's server, or in its inbox at the hub",
    "opened": "first read by the recipient",
    "received": "receipt confirmed",
    "accepted": "accepted",
    "scheduled": "an appointment is made",
    "waitlisted": "put on a waiting list",
    "seen": "the person is seen, work has begun",
    "paused": "work is paused",
    "progress": "said how far it is",
    "declined": "declined",
    "released": "not waited for any longer",
    "failed": "begun and not achieved",
    "completed": "done",
    "result": "a result came",
    "said": "something was said about it",
    "attempted": "the person was tried to be reached, in vain",
    "due": "a time ran out",
    "errand": "somebody is asked to do something about it",
    "errand-done": "that is done, or not asked any more",
    "status": "the requester's Task moved",
    "closed": "the referral ended",
}
"""Code of an event -> what it means."""

STEPS: dict[str, str] = {
    "ask": "the hub asks who is named",
    "deliver": "the hub delivers what is asked",
    "answer": "accept or decline",
    "inform": "send the information that the recipient waits for",
    "begin": "begin the work",
    "finish": "give an outcome",
    "resume": "go on with the work, or give an outcome",
    "stop": "stop, or give an outcome",
    "close": "no answer will be told: close it when it is no longer wanted",
}
"""Code of what is expected next -> what it means; the kinds of errands (record.errands) besides."""

_REMINDERS = frozenset({"receipt", "accept-half", "next-wave"})
"""Kinds of timers that are nobody's time limit."""

_SAID = frozenset({"Communication", "CommunicationRequest", "Appointment", "Encounter"})

_BY_BUSINESS = {"appointment-scheduled": "scheduled", "waitlisted": "waitlisted"}

_BY_STATUS = {
    "received": "received",
    "accepted": "accepted",
    "ready": "progress",
    "in-progress": "seen",
    "on-hold": "paused",
    "completed": "completed",
    "failed": "failed",
    "rejected": "declined",
    "cancelled": "released",
    "entered-in-error": "released",
}


@dataclass(frozen=True, slots=True)
class Event:
    """what: a code of EVENTS. ordinal: of the recipient it is about; None: the whole.

    kind: of what ran out, or of an errand. resource: `Type/id` of what was brought. owner: of the errand.
    """

    at: datetime
    what: str
    ordinal: int | None = None
    status: str = ""
    business_status: str = ""
    reason: str = ""
    kind: str = ""
    resource: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """what: a code of STEPS. who: `hub`, `requester`, `recipient` (the one of `ordinal`), or `Type/id`.

    by: when at the latest, or when it is tried again; None: no time is set. need: ordinal of what for.
    """

    what: str
    who: str
    ordinal: int | None = None
    by: datetime | None = None
    need: int | None = None


def events(told: Told, moments: Moments) -> list[Event]:
    """What happened, oldest first."""
    found: list[tuple[int, Event]] = []
    if told.whole:
        found.append((0, Event(told.opened_at, "sent")))
    for one in told.asked:
        found.extend((1, event) for event in _of_asked(one, moments))
    found.extend(
        (
            2,
            Event(
                one.at,
                "attempted" if one.in_vain else "said" if one.type in _SAID else "result",
                resource=one.reference,
            ),
        )
        for one in moments.brought
    )
    found.extend(
        (3, Event(one.fired_at, "due", one.ordinal, kind=one.kind))
        for one in moments.dues
        if one.fired_at is not None
    )
    for errand in moments.errands:
        found.append((3, Event(errand.at, "errand", kind=errand.kind, owner=errand.owner)))
        if errand.closed_at is not None:
            done = Event(errand.closed_at, "errand-done", kind=errand.kind, owner=errand.owner)
            found.append((3, done))
    found.extend((4, event) for event in _of_the_whole(moments))
    return [event for _, event in sorted(found, key=lambda each: (each[1].at, each[0]))]


def _of_asked(one: Asked, moments: Moments) -> Iterator[Event]:
    yield Event(one.asked_at, "asked", one.ordinal)
    for what, at in (("delivered", one.delivered_at), ("opened", one.opened_at)):
        if at is not None:
            yield Event(at, what, one.ordinal)
    steps = [step for step in moments.steps if step.ordinal == one.ordinal]
    for before, step in _moved(steps):
        business = step.business_status
        what = "progress" if step.status == before.status else _BY_STATUS[step.status]
        if business != before.business_status:
            what = _BY_BUSINESS.get(business, what)
        yield Event(step.at, what, one.ordinal, step.status, business, step.reason)
    if not steps and one.ended_at is not None:
        yield Event(one.ended_at, "released", one.ordinal, one.status)


def _of_the_whole(moments: Moments) -> Iterator[Event]:
    for _, step in _moved([step for step in moments.steps if step.ordinal is None]):
        what = "closed" if step.status in TERMINAL else "status"
        yield Event(step.at, what, None, step.status, step.business_status, step.reason)


def _moved(steps: Sequence[Step]) -> Iterator[tuple[Step, Step]]:
    """Each version that says something new, with the one before it."""
    for before, step in pairwise(steps):
        if (before.status, before.business_status, before.reason) != (
            step.status,
            step.business_status,
            step.reason,
        ):
            yield before, step


def expected(told: Told, moments: Moments) -> list[Next]:
    """What is expected, from whom and by when; something, unless the referral has ended.

    Also after its end: an errand, such as to say that a critical value was seen.
    """
    live = [one for one in told.asked if one.status not in TERMINAL]
    found = [_of_recipient(one, moments) for one in live if not one.apart or _underway(one)]
    errands = [one for one in moments.errands if one.closed_at is None]
    found.extend(Next(one.kind, one.owner, by=one.by) for one in errands)
    if told.closed_at is not None or not told.whole:
        return found
    asked = {one.need for one in live}
    found.extend(
        Next("ask", "hub", need=need.ordinal)
        for need in moments.needs
        if need.state == "open" and need.ordinal not in asked
    )
    return found or [Next("close", "requester") if live else Next("ask", "hub")]


def _underway(one: Asked) -> bool:
    """Whether it still has to arrive: what may be told of who is apart."""
    return one.delivered_at is None and one.delivery in (None, "queued", "leased", "parked")


def _of_recipient(one: Asked, moments: Moments) -> Next:
    if _underway(one):
        waits = one.delivery in ("queued", "parked")
        return Next("deliver", "hub", one.ordinal, one.next_at if waits else None)
    by = _earliest(one.ordinal, moments.dues)
    latest = next((s for s in reversed(moments.steps) if s.ordinal == one.ordinal), None)
    business = latest.business_status if latest is not None else ""
    if business == "awaiting-information":
        return Next("inform", "requester", one.ordinal, by)
    if one.status in ("requested", "received", "draft"):
        return Next("answer", "recipient", one.ordinal, by)
    if business == "cancellation-requested":
        return Next("stop", "recipient", one.ordinal, by)
    what = {"in-progress": "finish", "on-hold": "resume"}.get(one.status, "begin")
    return Next(what, "recipient", one.ordinal, by)


def _earliest(ordinal: int | None, dues: Sequence[Due]) -> datetime | None:
    open_ones = [
        one.at
        for one in dues
        if one.ordinal == ordinal
        and one.fired_at is None
        and not one.stands
        and one.kind not in _REMINDERS
    ]
    return min(open_ones, default=None)
