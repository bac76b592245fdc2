"""One referral episode: the sender's Task T1 computed from its children, and what a child sets off.

http://hl7.org/fhir/us/sdoh-clinicalcare (indirect referrals)
http://hl7.org/fhir/R4/task.html

T1 is a projection: the hub owns it and no partner's status is copied into it. `accepted` on T1
means that the hub has taken responsibility, not that anybody will serve the patient;
`business_status` says the latter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from coordhub.referral import needs as needs_of
from coordhub.referral.needs import Child, Need, Output
from coordhub.referral.task_machine import REASONS, STARTED, TERMINAL, WON, Reason

REFERRAL_SYSTEM = "urn:coordhub:referral"
"""System of the identifier that all Tasks and ServiceRequests of one referral share."""

BUSINESS_STATUS_SYSTEM = "urn:coordhub:business-status"

BUSINESS_STATUSES: dict[str, str] = {
    "screening": "Checking permission, identity and directory",
    "awaiting-recipient": "Waiting for a recipient's answer",
    "delivered-to-service": "Delivered to the service",
    "offers-received": "Recipients have offered, one is to be chosen",
    "re-referring": "Declined by one recipient, another is being asked",
    "selected": "The offer of a recipient was chosen",
    "matched": "A recipient has accepted",
    "contact-attempted": "The person was tried to be reached, in vain so far",
    "awaiting-information": "A recipient waits for more information",
    "information-received": "What a recipient asked for is there",
    "appointment-offered": "An appointment is offered",
    "appointment-scheduled": "An appointment is made",
    "appointment-missed": "An appointment was missed",
    "appointment-cancelled": "An appointment was cancelled",
    "visit-complete": "A visit took place",
    "waitlisted": "On a waiting list",
    "paused": "Work is paused",
    "cancellation-requested": "The recipient is asked to stop",
    "in-service": "Work has begun",
    "fulfilled": "Done",
    "partially-fulfilled": "Done in part",
    "not-fulfilled": "Begun and not achieved",
    "no-provider-available": "No provider is available",
    "withdrawn": "Withdrawn",
    "not-received": "The person says that it did not get what it needed",
    "delivered-after-cancellation": "Done, although it was cancelled before",
}
"""T1.businessStatus code -> display."""

_SAID_BY_OWNERS: Final[Mapping[str, AbstractSet[str]]] = {
    "matched": WON,
    "contact-attempted": WON,
    "awaiting-information": WON,
    "information-received": frozenset({"accepted", "ready", "on-hold"}),
    "appointment-offered": WON,
    "appointment-scheduled": WON,
    "appointment-missed": WON,
    "appointment-cancelled": WON,
    "visit-complete": WON,
    "waitlisted": frozenset({"on-hold"}),
    "paused": frozenset({"on-hold"}),
    "in-service": WON,
    "cancellation-requested": WON,
}
"""What T1 repeats of who is at work beside its status, and with which; all else the hub concludes."""

LATE: Final = "delivered-after-cancellation"
"""Of a T2 that its owner completed all the same, and of the T1 that had been cancelled with it."""


def business_status(code: str) -> dict[str, object]:
    """The CodeableConcept for Task.businessStatus."""
    display = BUSINESS_STATUSES[code]
    coding = {"system": BUSINESS_STATUS_SYSTEM, "code": code, "display": display}
    return {"coding": [coding], "text": display}


@dataclass(frozen=True, slots=True)
class Parent:
    """What T1 is to be.

    business_status: code of BUSINESS_STATUSES, "" to leave T1's own as it is.
    outputs: all outputs of all children, each once, in the children's order.
    """

    status: str
    business_status: str
    reason: Reason | None = None
    outputs: tuple[Output, ...] = ()


def parent(children: Sequence[Child], current: str, needs: Sequence[Need] = ()) -> Parent:
    """T1's state given its children and its current status.

    needs: all of them, also those that nobody was asked for; without them those of the children, and
    nobody else is to be asked for these.
    A final or draft T1 keeps its status whatever the children do; outputs still arrive (a service
    delivered after a cancellation is delivered).
    """
    told = [child for child in children if not child.apart]
    needs = needs or tuple(Need(key) for key in dict.fromkeys(child.need for child in children))
    if len(told) < len(children):
        return _beside_one_apart(told, current, _beside(children, told, needs))
    outputs = _union(children)
    if current in TERMINAL or current == "draft":
        late = current not in ("completed", "draft") and any(
            child.business_status == LATE and child.status == "completed" for child in children
        )
        ended = "withdrawn" if current == "cancelled" else ""
        return Parent(current, LATE if late else ended, None, outputs)
    live = [child for child in children if child.status not in TERMINAL]
    open_needs = [need for need in needs if needs_of.is_open(need, children)]
    if not children and (open_needs or not needs):
        queued = any(need.queued for need in open_needs)
        return Parent(
            _forward("accepted", current), "no-provider-available" if queued else "screening"
        )
    if not open_needs:
        return _ended(children, current, outputs, needs)
    working = [child for child in live if needs_of.is_won(child)]
    if working:
        paused = all(child.status == "on-hold" for child in live) and all(
            any(child.need == need.key for child in live) for need in open_needs
        )
        status = "on-hold" if paused else "in-progress"
        return Parent(status, _progress(working), _live_reason(working, paused), outputs)
    business = _waiting(children, live, open_needs)
    if business != "re-referring" and all(needs_of.is_asked(child) for child in children):
        return Parent(_forward("accepted", current), business, None, outputs)
    return Parent("in-progress", business, None, outputs)


def _waiting(children: Sequence[Child], live: Sequence[Child], open_needs: Sequence[Need]) -> str:
    """What T1 says while nobody has taken anything on."""
    if any(child.offered for child in live):
        return "offers-received"
    if any(child.kept for child in live):
        return "waitlisted"
    asked = {child.need for child in live}
    waiting = [need for need in open_needs if need.key not in asked]
    if not live and waiting and all(need.queued for need in waiting):
        return "no-provider-available"
    if any(child.business_status == "awaiting-information" for child in live):
        return "awaiting-information"
    keys = {need.key for need in open_needs if not need.queued}
    refused = any(child.need in keys and child.status in TERMINAL for child in children)
    return "re-referring" if refused or not live else "awaiting-recipient"


def _beside(
    children: Sequence[Child], told: Sequence[Child], needs: Sequence[Need]
) -> tuple[Need, ...]:
    """Without the needs of which nothing but a child that is apart could tell."""
    apart = {child.need for child in children if child.apart} - {child.need for child in told}
    return tuple(need for need in needs if need.key not in apart or need.more or need.queued)


def _beside_one_apart(told: Sequence[Child], current: str, needs: Sequence[Need]) -> Parent:
    """T1 of which a child is apart: as the others make it, and never at an end for want of a provider."""
    others = parent(told, current, needs)
    if needs and others.status not in ("rejected", "failed"):
        return others
    if current in TERMINAL or current == "draft":
        return others
    return Parent(_forward("accepted", current), "delivered-to-service", None, others.outputs)


def unaddressed(current: str, reason: str = "no-provider-available") -> Parent:
    """T1 when there is nobody to ask; `reason` is a code of REASONS."""
    if current in TERMINAL or current == "draft":
        return Parent(current, "")
    status = "failed" if current in STARTED else "rejected"
    return Parent(status, "no-provider-available", REASONS[reason])


@dataclass(frozen=True, slots=True)
class Cancel:
    """A child that the hub cancels as a consequence, in the same transaction."""

    task: str
    reason: Reason
    status: str = "cancelled"


@dataclass(frozen=True, slots=True)
class Proceed:
    """The change stands; these siblings go with it."""

    cancels: tuple[Cancel, ...] = ()


@dataclass(frozen=True, slots=True)
class AlreadyWon:
    """Another candidate was first: refuse with a conflict. `by` is not for the loser's eyes."""

    by: str


def on_child_change(
    children: Sequence[Child], task: str, status: str, *, kept: bool = False
) -> Proceed | AlreadyWon:
    """What follows when the owner of child `task` moves it to `status`.

    children: the episode's children as they stand before the change, `task` among them.
    First accept wins within a need: candidates still being asked are cancelled as not selected. Places
    on waiting lists are kept until the need is met. kept: it takes such a place, and wins nothing.
    """
    changing = next(child for child in children if child.task == task)
    if status not in WON or changing.apart:
        return Proceed()
    siblings = [
        child
        for child in children
        if child.need == changing.need and child.task != task and not child.apart
    ]
    for sibling in siblings:
        if needs_of.is_won(sibling) or sibling.status == "completed":
            return AlreadyWon(sibling.task)
    if kept:
        return Proceed()
    over = {"not-selected": [one for one in siblings if needs_of.is_asked(one)]}
    if status == "completed":
        over["no-longer-needed"] = [one for one in siblings if one.kept]
    return Proceed(
        tuple(Cancel(one.task, REASONS[reason]) for reason, them in over.items() for one in them)
    )


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What the requester's wish to stop does to the children.

    cancels: not begun, so cancelled at once. ask: begun, so their owners have to be asked to stop;
    T1 may become cancelled only when this is empty.
    """

    cancels: tuple[Cancel, ...]
    ask: tuple[str, ...]


def withdraw(
    children: Sequence[Child],
    reason: str = "requester-cancelled",
    asks: Mapping[str, AbstractSet[str]] | None = None,
) -> Withdrawal:
    """The requester cancels T1: what nobody has begun ends with it.

    reason: code of REASONS. asks: by child from which of its statuses its owner has to be asked, where
    that is more than the work having begun: a profile of its owner's may want it.
    A place on a waiting list is given back at once.
    Who is apart and has taken it on goes on: neither to stop it nor to be refused would be neutral.
    """
    asks = asks or {}
    stops = [
        _stop(
            [child],
            reason,
            WON if child.apart else _begun(child) | asks.get(child.task, frozenset()),
        )
        for child in children
    ]
    return Withdrawal(
        tuple(cancel for stop in stops for cancel in stop.cancels),
        tuple(
            task
            for child, stop in zip(children, stops, strict=True)
            for task in stop.ask
            if not child.apart
        ),
    )


def _begun(child: Child) -> AbstractSet[str]:
    """Statuses of a child in which work has begun; a place on a waiting list is none."""
    waits = child.business_status == "waitlisted" and not child.begun
    return STARTED - {"on-hold"} if waits else STARTED


def permission_withdrawn(children: Sequence[Child]) -> Withdrawal:
    """These recipients may no longer see whom they were asked to serve.

    Who has taken it on, begun or not, may have promised something to the person: it is asked to stop. A place
    that is kept is given back, an offer let go: neither has won anything, and is never to count as if it had.
    """
    return _stop(children, "consent-withdrawn", WON)


def _stop(children: Sequence[Child], reason: str, taken: AbstractSet[str]) -> Withdrawal:
    live = [child for child in children if child.status not in TERMINAL]
    ask = [
        child
        for child in live
        if child.status in taken and (child.apart or not (child.kept or child.offered))
    ]
    return Withdrawal(
        tuple(Cancel(child.task, REASONS[reason]) for child in live if child not in ask),
        tuple(child.task for child in ask),
    )


def _forward(status: str, current: str) -> str:
    """`status`, unless T1 has been further already: it never goes back to accepted."""
    return "in-progress" if current in STARTED else status


def _union(children: Sequence[Child]) -> tuple[Output, ...]:
    outputs: list[Output] = []
    for child in children:
        outputs.extend(output for output in child.outputs if output not in outputs)
    return tuple(outputs)


def _progress(working: Sequence[Child]) -> str:
    """Of several needs the furthest speaks; what the child says itself is more than its status.

    That the sender wants to stop is said before all else: it waits for that answer.
    """
    if any(is_asked_to_stop(child) and child.reason != "consent-withdrawn" for child in working):
        return "cancellation-requested"
    ranked = ("in-progress", "on-hold", "ready", "accepted")
    leading = min(working, key=lambda child: ranked.index(child.status))
    if leading.status in _SAID_BY_OWNERS.get(leading.business_status, ()):
        return leading.business_status
    return {"in-progress": "in-service", "on-hold": "paused"}.get(leading.status, "matched")


def _live_reason(working: Sequence[Child], paused: bool) -> Reason | None:
    """Why all is paused, or why a recipient was asked to stop, or that it cannot any more."""
    if any(child.reason == "consent-withdrawn" for child in working):
        return REASONS["consent-withdrawn"]
    for child in working:
        if is_asked_to_stop(child) or child.reason == "cannot-stop":
            return _known(child.reason)
    return _known(working[-1].reason) if paused else None


def is_asked_to_stop(child: Child) -> bool:
    """Whether its owner has been asked to stop, and has neither stopped nor said that it cannot."""
    return child.business_status == "cancellation-requested" and child.status not in TERMINAL


def _ended(
    children: Sequence[Child], current: str, outputs: tuple[Output, ...], needs: Sequence[Need]
) -> Parent:
    """T1 once no child is live and none will follow."""
    completed = {child.need for child in children if child.status == "completed"}
    if completed:
        unmet = {need.key for need in needs} - completed
        if not unmet:
            return Parent("completed", "fulfilled", None, outputs)
        why = _why([child for child in children if child.need in unmet],
                   [need for need in needs if need.key in unmet])  # fmt: skip
        because = why or REASONS["no-provider-available"]
        return Parent("completed", "partially-fulfilled", because, outputs)
    reason = _why(children, needs)
    if any(needs_of.is_withdrawn(child) for child in children):
        return Parent("cancelled", "withdrawn", reason, outputs)
    decisive = [child for child in children if child.reason not in needs_of.BEATEN]
    if decisive and all(child.status in {"cancelled", "entered-in-error"} for child in decisive):
        return Parent("cancelled", "withdrawn", reason, outputs)
    if any(child.status == "failed" for child in children):
        return Parent("failed", "not-fulfilled", reason, outputs)
    status = "failed" if current in STARTED else "rejected"
    because = reason or REASONS["no-provider-available"]
    return Parent(status, "no-provider-available", because, outputs)


def _why(children: Sequence[Child], needs: Sequence[Need]) -> Reason | None:
    """The last reason that any of these states."""
    known = [_known(child.reason) for child in reversed(children)]
    return next((one for one in (*known, *(_known(need.reason) for need in needs)) if one), None)


def _known(code: str) -> Reason | None:
    return REASONS.get(code)
