"""When to try a delivery again: a decision over values.

https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter (full jitter)
https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from coordhub.routing.channels.channel import Delivered, Outcome, Permanence, Refused, Unreachable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """base, cap: the wait after attempt n lies between zero and min(cap, base * 2^(n-1)).

    budget: from the first attempt; when it is used up the delivery is dead.
    park: the wait where somebody has to mend something first (credentials, address, certificate).
    conflicts: how often at most a partner's copy is read and the delivery made anew upon it.
    longest_retry_after: a partner may ask for more; it is asked again after this.
    """

    base: timedelta = timedelta(seconds=30)
    cap: timedelta = timedelta(hours=1)
    budget: timedelta = timedelta(hours=72)
    park: timedelta = timedelta(minutes=15)
    conflicts: int = 3
    longest_retry_after: timedelta = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Settled:
    """Delivered."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try again, not before `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Parked:
    """Not this delivery but its endpoint is at fault; look again at `until`, and tell operators."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Dead: a person decides. `reason` for ledger and log."""

    reason: str


Decision = Settled | Again | Parked | GiveUp


def decide(
    outcome: Outcome,
    attempt: int,
    first_at: datetime,
    now: datetime,
    rnd: float,
    policy: RetryPolicy,
) -> Decision:
    """What follows attempt number `attempt` (the first is 1).

    rnd: uniform in [0, 1); spreads partners' recoveries.
    The last attempt falls on the end of the budget, however long the wait would have been.
    """
    match outcome:
        case Delivered():
            return Settled()
        case Refused(permanence="permanent" | "gone", reason=reason):
            return GiveUp(reason)
    deadline = first_at + policy.budget
    if now >= deadline:
        return GiveUp(f"not delivered in time: {outcome.reason}")
    if _lasting(outcome) in {"auth", "config"}:
        return Parked(min(now + policy.park, deadline), outcome.reason)
    wait = rnd * _ceiling(attempt, policy)
    if isinstance(outcome, Refused) and outcome.retry_after is not None:
        wait += min(outcome.retry_after, policy.longest_retry_after)
    return Again(min(now + wait, deadline))


def _ceiling(attempt: int, policy: RetryPolicy) -> timedelta:
    doublings = min(max(attempt, 1) - 1, 32)
    seconds = min(policy.base.total_seconds() * 2**doublings, policy.cap.total_seconds())
    return timedelta(seconds=seconds)


def _lasting(outcome: Refused | Unreachable) -> Permanence:
    if isinstance(outcome, Refused):
        return outcome.permanence
    # A certificate that does not prove the partner, or an address that the hub does not connect to:
    # repeating changes nothing until the directory does. Never downgraded.
    return "config" if outcome.kind in {"tls", "blocked"} else "transient"
