"""The decision after an attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordhub.routing.channels.channel import (
    Delivered,
    Outcome,
    Permanence,
    Refused,
    Unreachable,
)
from coordhub.routing.retry import Again, Decision, GiveUp, Parked, RetryPolicy, Settled, decide

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
POLICY = RetryPolicy()
SECOND = timedelta(seconds=1)


def refused(permanence: Permanence, wait: timedelta | None = None, status: int = 500) -> Refused:
    return Refused(status, permanence, wait, f"status {status}")


def after(
    outcome: Outcome, attempt: int = 1, rnd: float = 1.0, age: timedelta = SECOND
) -> Decision:
    return decide(outcome, attempt, NOW - age, NOW, rnd, POLICY)


def test_given_delivered_when_decided_then_settled_even_beyond_the_budget() -> None:
    assert after(Delivered(201), age=timedelta(days=9)) == Settled()


@pytest.mark.parametrize("permanence", ["permanent", "gone"])
def test_given_a_lasting_refusal_when_decided_then_dead_at_once(permanence: Permanence) -> None:
    assert after(refused(permanence, status=422)) == GiveUp("status 422")


@pytest.mark.parametrize(
    "outcome",
    [refused("transient"), Unreachable("timeout", True, "x"), Unreachable("reset", False, "x")],
)
@pytest.mark.parametrize(
    ("attempt", "ceiling"),
    [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (40, 3600), (100_000, 3600)],
)
def test_given_a_passing_failure_when_decided_then_the_wait_doubles_up_to_the_cap(
    outcome: Outcome, attempt: int, ceiling: int
) -> None:
    assert after(outcome, attempt) == Again(NOW + ceiling * SECOND)
    assert after(outcome, attempt, rnd=0.5) == Again(NOW + ceiling / 2 * SECOND)
    assert after(outcome, attempt, rnd=0.0) == Again(NOW)


def test_given_retry_after_when_decided_then_never_earlier_than_asked() -> None:
    asked = refused("transient", 120 * SECOND, 429)
    assert after(asked, rnd=0.0) == Again(NOW + 120 * SECOND)
    assert after(asked, rnd=1.0) == Again(NOW + 150 * SECOND)


def test_given_an_absurd_retry_after_when_decided_then_bounded() -> None:
    asked = refused("transient", timedelta(days=365), 503)
    assert after(asked, rnd=0.0) == Again(NOW + POLICY.longest_retry_after)


@pytest.mark.parametrize(
    "outcome",
    [refused("auth", status=401), refused("config", status=301), Unreachable("tls", False, "x")],
)
def test_given_an_endpoint_at_fault_when_decided_then_parked(outcome: Outcome) -> None:
    decision = after(outcome)
    assert isinstance(decision, Parked)
    assert decision.until == NOW + POLICY.park


def test_given_an_address_that_is_blocked_when_decided_then_parked() -> None:
    assert isinstance(after(Unreachable("blocked", False, "x")), Parked)


def test_given_a_conflict_when_decided_then_again_whatever_failed_before() -> None:
    assert isinstance(after(refused("conflict", status=412), 9), Again)


@pytest.mark.parametrize("permanence", ["transient", "auth", "conflict"])
def test_given_a_used_budget_when_decided_then_dead(permanence: Permanence) -> None:
    assert isinstance(after(refused(permanence), age=POLICY.budget), GiveUp)


def test_given_a_budget_nearly_used_when_decided_then_the_last_attempt_is_at_its_end() -> None:
    age = POLICY.budget - 10 * SECOND
    assert after(refused("transient"), 20, age=age) == Again(NOW + 10 * SECOND)
    assert after(refused("auth"), 20, age=age) == Parked(NOW + 10 * SECOND, "status 500")
