"""The circuit of an endpoint: whether it is spoken to at all, and by how many at once.

https://martinfowler.com/bliki/CircuitBreaker.html

*closed*: as usual. *open*: nobody speaks to it, so that what waits for it uses up neither attempts nor
workers. *probing*: one delivery is out to see whether it is back. *recovering*: one was taken; twice as
many go at once with each that is, until it is as usual again. A decision over values; `store.circuits`
keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from coordhub.routing.channels.channel import Delivered, Outcome, Refused, Unreachable
from coordhub.store.circuits import Circuit

Health: TypeAlias = Literal["answers", "fails", "needs-mending"]


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """failures: in a row that open it. first, cap: the wait before a probe, doubled by each that fails;
    who says when to come again (Retry-After) is asked then.
    mending: the wait where somebody has to change something first (credentials, certificate, address).
    full: how many at once are as usual."""

    failures: int = 5
    first: timedelta = timedelta(seconds=60)
    cap: timedelta = timedelta(minutes=5)
    mending: timedelta = timedelta(minutes=15)
    full: int = 16
    longest_retry_after: timedelta = timedelta(minutes=15)


def health(outcome: Outcome) -> Health:
    """What an outcome says of the endpoint: who refuses one message for good is well."""
    match outcome:
        case Delivered() | Refused(permanence="permanent" | "gone" | "conflict"):
            return "answers"
        case Refused(permanence="auth" | "config") | Unreachable(kind="tls" | "blocked"):
            return "needs-mending"
        case _:
            return "fails"


def after(circuit: Circuit, outcome: Outcome, now: datetime, policy: BreakerPolicy) -> Circuit:
    """The circuit once this outcome is known."""
    shown = health(outcome)
    if shown == "answers":
        return _answered(circuit, policy)
    failures = circuit.failures + 1
    if circuit.state == "open":  # under way when it opened
        return replace(circuit, failures=failures)
    if circuit.state == "closed" and shown == "fails" and failures < policy.failures:
        return replace(circuit, failures=failures, opened_at=circuit.opened_at or now)
    probes = circuit.probes + 1 if circuit.state == "probing" else 0
    wait = policy.mending
    if shown == "fails":
        wait = min(policy.first * 2 ** min(probes, 16), policy.cap)
        if isinstance(outcome, Refused) and outcome.retry_after is not None:
            wait = max(policy.first, min(outcome.retry_after, policy.longest_retry_after))
    return replace(
        circuit,
        state="open",
        failures=failures,
        probes=probes,
        opened_at=circuit.opened_at or now,
        probe_at=now + wait,
        allowance=0,
        reason=None if isinstance(outcome, Delivered) else outcome.reason,
    )


def _answered(circuit: Circuit, policy: BreakerPolicy) -> Circuit:
    allowance = circuit.allowance * 2 if circuit.state == "recovering" else 1
    if circuit.state == "closed" or allowance >= policy.full:
        return Circuit(circuit.endpoint)
    return replace(
        circuit, state="recovering", failures=0, probes=0, probe_at=None, allowance=allowance
    )
