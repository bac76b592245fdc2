"""Task.status transitions of a fulfilment Task, by actor, and the reason codes of the hub.

http://hl7.org/fhir/R4/task.html#statemachine
http://hl7.org/fhir/us/sdoh-clinicalcare (Task for referral management)
http://hl7.org/fhir/us/bser (harmonized states of BSeR and 360X)

The edges are the lenient union of the three: a hub between partners of different profiles must take
what any of them may rightly send. Who of them may send what is in `profiles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag

STATUSES = (
    "draft",
    "requested",
    "received",
    "accepted",
    "rejected",
    "ready",
    "cancelled",
    "in-progress",
    "on-hold",
    "failed",
    "completed",
    "entered-in-error",
)

TERMINAL = frozenset({"rejected", "cancelled", "failed", "completed", "entered-in-error"})

INITIAL = frozenset({"draft", "requested", "received"})
"""Statuses a fulfilment Task may be created with; `received` is how BSeR sends one."""

WON = frozenset({"accepted", "ready", "in-progress", "on-hold", "completed"})
"""The owner has taken the need: no other candidate may."""

STARTED = frozenset({"in-progress", "on-hold"})
"""Work has begun and has not ended: the requester may only ask for cancellation."""


class Actor(Flag):
    """In which part a caller acts on a Task; one organization can be both."""

    REQUESTER = 1
    OWNER = 2


REQUESTER = Actor.REQUESTER
OWNER = Actor.OWNER
EITHER = REQUESTER | OWNER


def _edges() -> Iterator[tuple[tuple[str, str], Actor]]:
    rows: tuple[tuple[str, Actor, str], ...] = (
        ("draft", REQUESTER, "requested received cancelled"),
        ("requested", OWNER, "received accepted rejected"),
        ("requested", EITHER, "cancelled"),
        ("received", OWNER, "accepted rejected"),
        ("received", EITHER, "cancelled"),
        # BSeR lets a recipient decline after accepting, and even after work began.
        ("accepted", OWNER, "ready in-progress on-hold completed failed rejected"),
        ("accepted", EITHER, "cancelled"),
        ("ready", OWNER, "in-progress on-hold completed failed rejected"),
        ("ready", EITHER, "cancelled"),
        ("in-progress", OWNER, "on-hold completed failed rejected cancelled"),
        ("on-hold", OWNER, "in-progress completed failed cancelled"),
    )
    for old, actors, targets in rows:
        for new in targets.split():
            yield (old, new), actors
    for old in STATUSES:
        if old != "entered-in-error":
            yield (old, "entered-in-error"), REQUESTER


EDGES: dict[tuple[str, str], Actor] = dict(_edges())
"""(from, to) -> who may; a pair that is absent nobody may."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A coded Task.statusReason.

    text: always sent beside the code (Gravity requires it).
    statuses: the statuses it explains.
    stable: the recipient gave an answer that will not change: do not ask it again for this need.
    """

    code: str
    text: str
    statuses: frozenset[str]
    stable: bool


REASON_SYSTEM = "urn:coordhub:task-status-reason"


def _reason(code: str, text: str, statuses: str, *, stable: bool = False) -> Reason:
    return Reason(code, text, frozenset(statuses.split()), stable)


REASONS: dict[str, Reason] = {
    reason.code: reason
    for reason in (
        _reason("no-capacity", "at capacity", "rejected"),
        _reason("not-eligible", "does not meet eligibility", "rejected", stable=True),
        _reason("out-of-area", "outside the service area", "rejected", stable=True),
        _reason("wrong-service", "service not provided here", "rejected", stable=True),
        _reason("insufficient-resources", "out of funds or goods", "rejected failed"),
        _reason("place-kept", "a place is kept while others are asked", "on-hold"),
        _reason("missing-documents", "documents missing", "on-hold failed"),
        _reason(
            "needs-exceed-capability", "needs beyond what we can offer", "rejected", stable=True
        ),
        _reason(
            "duplicate-service", "already served or enrolled", "rejected cancelled", stable=True
        ),
        _reason("cannot-contact", "could not reach the client", "failed"),
        _reason("client-declined", "client declined", "failed cancelled", stable=True),
        _reason("no-longer-needed", "need resolved otherwise", "cancelled", stable=True),
        _reason("expired", "no answer in time", "cancelled"),
        _reason("not-selected", "another provider was selected", "cancelled"),
        _reason("given-back", "given back by who had claimed it", "cancelled", stable=True),
        _reason("not-wanted", "the offer was not taken", "cancelled", stable=True),
        _reason(
            "consent-withdrawn",
            "withdrawn by patient",
            "accepted ready in-progress on-hold cancelled",
            stable=True,
        ),
        _reason(
            "consent-missing",
            "no consent of the patient covers this recipient; record one and refer again",
            "rejected failed",
        ),
        _reason("safety", "unsafe to proceed", "cancelled rejected", stable=True),
        _reason(
            "requester-cancelled",
            "cancelled by the requester",
            "accepted ready in-progress on-hold cancelled",
        ),
        _reason("cannot-stop", "cannot be stopped any more", "accepted ready in-progress on-hold"),
        _reason("changed-request", "cannot be done as changed", "rejected failed", stable=True),
        _reason("other", "another reason, stated in words", "rejected failed"),
        _reason("patient-died", "the patient has died", "requested"),
        _reason("patient-moved", "the patient has moved", "requested"),
        _reason("patient-merged", "the patient is recorded elsewhere", "requested"),
        _reason("entered-in-error", "entered in error", "entered-in-error cancelled"),
        _reason("offboarded", "has left this exchange", "cancelled failed requested", stable=True),
        _reason("undeliverable", "could not be delivered", "cancelled"),
        _reason("no-provider-available", "no provider is available", "rejected failed"),
        _reason("order-unknown", "names no order that it was sent", "requested"),
        _reason("order-unnamed", "names no order, and may answer one", "requested"),
        _reason("order-ambiguous", "its number belongs to several orders", "requested"),
        _reason("order-of-another", "the order it names is for another patient", "requested"),
        _reason("recipient-ambiguous", "recipient ambiguous", "on-hold rejected"),
        _reason("source-unreachable", "not read from your server yet", "requested received"),
        _reason("source-refused", "not taken from your server", "rejected"),
        _reason("recipient-unknown", "recipient not in the directory", "on-hold rejected"),
    )
}


def concept(reason: Reason) -> dict[str, object]:
    """The CodeableConcept for Task.statusReason."""
    return {
        "coding": [{"system": REASON_SYSTEM, "code": reason.code, "display": reason.text}],
        "text": reason.text,
    }
