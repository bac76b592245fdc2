"""The next step of a need, as tables: whom to ask, how long to wait, when a person has to look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordhub.referral.needs import Child
from coordhub.referral.strategies import Strategy
from coordhub.referral.strategy import (
    Ask,
    Candidacy,
    Choose,
    End,
    Look,
    Nobody,
    Queue,
    Step,
    View,
    Wait,
    next_step,
)

SENT = datetime(2026, 11, 23, 9, tzinfo=UTC)
NOW = SENT + timedelta(minutes=5)
EVERY = timedelta(hours=2)


def strategy(name: str, **changed: object) -> Strategy:
    values = {
        "hops": 8, "days": timedelta(days=30), "at_once": 20, "waves": (2, 3), "every": EVERY,
        **changed,
    }  # fmt: skip
    return Strategy(name, **values)  # type: ignore[arg-type]


def tried(*statuses: str, reason: str = "", **flags: bool) -> tuple[Child, ...]:
    return tuple(Child(f"Task/{status}", status, "0", reason, **flags) for status in statuses)


def view(name: str, *prospects: tuple[Child, ...], wave: int = 1, **more: object) -> View:
    """Prospects by what became of their Tasks; () where they were not asked."""
    limits = {key: more.pop(key) for key in ("hops", "days", "at_once") if key in more}
    wave = wave if any(prospects) else 0
    return View(
        strategy(name, **limits), SENT, tuple(Candidacy(rank, tried=each) for rank, each in enumerate(prospects)),
        wave, SENT if wave else None, **more,  # type: ignore[arg-type]
    )  # fmt: skip


LEFT: tuple[Child, ...] = ()
REFUSED = tried("rejected", reason="no-capacity")
ASKED = tried("requested")
KEPT = tried("on-hold", reason="place-kept")
BEATEN = tried("cancelled", reason="not-selected")


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (view("direct", LEFT), Ask((0,), 1)),
        (view("direct", ASKED), Wait()),
        (view("direct"), Nobody()),
        (view("direct", REFUSED), Nobody()),
        (view("direct", REFUSED, several=True), Queue()),
        (view("direct", REFUSED, several=True, queued=True), Wait()),
        (view("sequential", LEFT, LEFT, LEFT), Ask((0,), 1)),
        (view("sequential", ASKED, LEFT), Wait()),
        (view("sequential", REFUSED, LEFT, LEFT), Ask((1,), 2)),
        (view("sequential", tried("cancelled", reason="expired"), LEFT), Ask((1,), 2)),
        (view("sequential", tried("failed"), LEFT), Ask((1,), 2)),
        (view("sequential", tried("failed", begun=True), LEFT), End()),
        (view("sequential", tried("accepted"), LEFT), End()),
        (view("sequential", tried("completed"), LEFT), End()),
        (view("sequential", tried("cancelled", reason="consent-withdrawn"), LEFT), End()),
        (view("sequential", REFUSED, REFUSED), Queue()),
        (view("sequential", REFUSED, extendable=True), Look()),
        (view("sequential", extendable=True), Look()),
        (view("sequential"), Nobody()),
        (view("sequential", REFUSED, queued=True), Wait()),
        (view("sequential", KEPT, LEFT), Ask((1,), 2)),
        (view("sequential", KEPT, REFUSED), Wait()),
        (view("sequential", REFUSED, LEFT, wave=8), Queue()),
        (view("sequential", REFUSED, LEFT, days=timedelta(minutes=1)), Queue()),
        (view("sequential", REFUSED, LEFT, until=NOW), Queue()),
        (view("broadcast", LEFT, LEFT, LEFT), Ask((0, 1, 2), 1)),
        (view("broadcast", LEFT, LEFT, LEFT, at_once=2), Ask((0, 1), 1)),
        (view("broadcast", ASKED, REFUSED), Wait()),
        (view("broadcast", REFUSED, BEATEN), Ask((1,), 2)),
        (view("broadcast", tried("cancelled", "rejected")), Queue()),
        (view("pool", LEFT, LEFT, LEFT), Ask((0, 1, 2), 1)),
        (view("pool", ASKED, ASKED), Wait()),
        (view("pool", tried("accepted"), tried("accepted")), End()),
        (view("pool", tried("cancelled", reason="given-back"), BEATEN, BEATEN), Ask((1, 2), 2)),
        (view("pool", tried("cancelled", reason="expired"), tried("cancelled", reason="expired")), Queue()),
        (view("waves", LEFT, LEFT, LEFT), Ask((0, 1), 1)),
        (view("waves", ASKED, REFUSED, LEFT), Wait(SENT + EVERY)),
        (view("waves", REFUSED, REFUSED, LEFT, LEFT, LEFT, LEFT), Ask((2, 3, 4), 2)),
        (view("waves", ASKED, ASKED), Wait()),
        (view("broadcast-choose", ASKED, REFUSED), Wait()),
        (view("broadcast-choose", tried("accepted", offered=True), ASKED), Wait(SENT + EVERY)),
        (view("broadcast-choose", tried("accepted", offered=True), REFUSED), Choose()),
    ],
)  # fmt: skip
def test_given_a_need_when_looked_at_then_its_next_step_is_as_the_table_says(
    view: View, step: Step
) -> None:
    assert next_step(view, NOW) == step


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (view("waves", ASKED, ASKED, LEFT), Ask((2,), 2)),
        (view("waves", ASKED, ASKED, LEFT, hops=1), Wait()),
        (view("broadcast-choose", tried("accepted", offered=True), ASKED), Choose()),
        (view("sequential", ASKED, LEFT), Wait()),
    ],
)
def test_given_its_period_is_over_when_looked_at_then_waves_and_offers_go_on(
    view: View, step: Step
) -> None:
    assert next_step(view, SENT + EVERY) == step


def test_given_whom_a_person_suggests_when_the_limits_are_reached_then_it_is_asked_all_the_same() -> (
    None
):
    prospects = (Candidacy(0, tried=REFUSED), Candidacy(1), Candidacy(2, suggested=True))
    looked_for = View(strategy("sequential", hops=1), SENT, prospects, 1, SENT)
    assert next_step(looked_for, SENT + timedelta(days=99)) == Ask((2,), 2)


@pytest.mark.parametrize("status", ["requested", "accepted", "rejected", "completed", "cancelled"])
def test_given_one_that_is_apart_when_it_answers_then_the_steps_are_the_same(status: str) -> None:
    apart = Candidacy(1, apart=True, tried=tried(status, apart=True))
    for beside in ((), (Candidacy(0, tried=REFUSED),), (Candidacy(0, tried=ASKED), Candidacy(2))):
        here = View(strategy("sequential"), SENT, (*beside, apart), 1, SENT, extendable=True)
        silent = Candidacy(1, apart=True, tried=tried("requested", apart=True))
        there = View(strategy("sequential"), SENT, (*beside, silent), 1, SENT, extendable=True)
        assert next_step(here, NOW) == next_step(there, NOW)


def test_given_one_that_is_apart_among_several_when_the_first_is_asked_then_it_is_asked_along() -> (
    None
):
    prospects = (Candidacy(0), Candidacy(1), Candidacy(2, apart=True))
    assert next_step(View(strategy("sequential"), SENT, prospects), NOW) == Ask((0, 2), 1)


@pytest.mark.parametrize("status", ["requested", "accepted", "rejected", "completed"])
def test_given_one_that_is_apart_when_nobody_else_is_left_then_no_person_is_called(
    status: str,
) -> None:
    apart = Candidacy(1, apart=True, tried=tried(status, apart=True))
    declined = Candidacy(0, tried=tried("rejected"))
    for others in ((declined, apart), (declined,)):
        step = next_step(View(strategy("sequential"), SENT, others, 1, SENT), SENT)
        assert step == (Nobody() if apart in others else Queue())
