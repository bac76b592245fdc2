"""Habits of simulated partners."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from coordhub.sandbox.behaviour import MODES, Behaviour, as_json, choose, read


@pytest.mark.parametrize("mode", MODES)
def test_given_a_mode_when_read_and_written_then_the_same(mode: str) -> None:
    habits = read({"mode": mode, "delay_ms": 5, "probability": 0.5, "until_count": 3})
    assert habits == (Behaviour(mode, 5, 0.5, 1, 3),)
    assert read(as_json(habits)) == habits


def test_given_slow_without_a_delay_when_read_then_two_seconds() -> None:
    assert read({"mode": "slow"})[0].delay_ms == 2000


@pytest.mark.parametrize(
    "stated",
    [
        {"mode": "sad"},
        {"mode": ["ok"]},
        {"mood": "ok"},
        {"probability": 2},
        {"probability": "often"},
        {"probability": True},
        {"delay_ms": -1},
        {"delay_ms": 1.5},
        {"retry_after": "1"},
        {"until_count": -1},
        {"idempotent": 1},
        "ok",
        [1],
    ],
)
def test_given_nonsense_when_read_then_refused(stated: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        read(stated)


def test_given_a_seed_when_chosen_then_repeatable_and_about_as_often_as_told() -> None:
    habits = read([{"mode": "lost", "probability": 0.25}, {"mode": "error", "probability": 0.5}])

    def run() -> list[str]:
        whims = Random("7")
        return [choose(habits, {}, whims)[1].mode for _ in range(2000)]

    first = run()
    assert first == run()
    shares = {mode: count / 2000 for mode, count in Counter(first).items()}
    assert shares["lost"] == pytest.approx(0.25, abs=0.04)
    assert shares["error"] == pytest.approx(0.375, abs=0.04)
    assert shares["ok"] == pytest.approx(0.375, abs=0.04)


def test_given_a_count_when_it_is_reached_then_the_habit_has_ended() -> None:
    habits = read({"mode": "down", "until_count": 2, "idempotent": False})
    assert choose(habits, {0: 1}, Random(1)) == (0, habits[0])
    assert choose(habits, {0: 2}, Random(1)) == (-1, Behaviour(idempotent=False))
