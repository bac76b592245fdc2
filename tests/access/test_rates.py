"""What a client may ask, counted: each case is a moment of a clock that is moved by hand."""

from __future__ import annotations

import pytest

from coordhub.access import rates
from coordhub.access.rates import Defaults, Rates, Terms, TooMuch
from coordhub.store.clients import Allowance

TEN = Terms(10.0, 5, 100, None)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def taken(counted: Rates, client: str, terms: Terms, times: int) -> int:
    """How many of so many requests, each ended before the next, were taken."""
    done = 0
    for _ in range(times):
        if counted.begin(client, terms) is None:
            counted.end(client)
            done += 1
    return done


def test_given_a_burst_when_it_is_used_then_as_many_are_taken_as_time_gives_back() -> None:
    clock = Clock()
    counted = Rates(clock)
    assert taken(counted, "a", TEN, 9) == 5
    clock.now += 0.2
    assert taken(counted, "a", TEN, 9) == 2
    assert taken(counted, "b", TEN, 9) == 5, "another client's is its own"
    clock.now += 3600
    assert taken(counted, "a", TEN, 9) == 5, "no more than a burst is saved up"


def test_given_too_many_when_refused_then_after_the_wait_that_is_said_one_is_taken() -> None:
    clock = Clock()
    counted = Rates(clock)
    taken(counted, "a", TEN, 5)
    refused = counted.begin("a", TEN)
    assert refused is not None
    assert (refused.what, round(refused.wait, 6)) == ("rate", 0.1)
    clock.now += refused.wait
    assert counted.begin("a", TEN) is None


def test_given_requests_under_way_when_one_ends_then_another_is_taken() -> None:
    counted, two = Rates(Clock()), Terms(100.0, 100, 2, None)
    assert [counted.begin("a", two) for _ in range(3)] == [None, None, TooMuch("at-once", 1.0)]
    counted.end("a")
    assert counted.begin("a", two) is None


def test_given_a_large_bundle_when_it_was_taken_then_what_follows_waits_for_it() -> None:
    clock = Clock()
    counted = Rates(clock)
    assert counted.begin("a", TEN) is None
    counted.owe("a", TEN, 20)
    refused = counted.begin("a", TEN)
    assert refused is not None
    assert round(refused.wait, 6) == 1.7
    counted.owe("a", TEN, 10**9)
    clock.now += rates.MOST_OWED + 0.5
    assert counted.begin("a", TEN) is None, "nobody waits longer than a minute"


def test_given_a_clock_that_is_set_back_when_asked_then_nobody_is_shut_out_for_it() -> None:
    clock = Clock()
    counted = Rates(clock)
    taken(counted, "a", TEN, 5)
    taken(counted, "b", TEN, 3)
    clock.now -= 86400
    assert (taken(counted, "a", TEN, 9), taken(counted, "b", TEN, 9)) == (0, 2), "as it was before"
    clock.now += 0.2
    assert taken(counted, "a", TEN, 9) == 2


def test_given_a_days_number_when_portions_are_used_up_then_a_new_day_begins_anew() -> None:
    counted = Rates(Clock())
    assert not counted.take("a", 7)
    counted.portion("a", 7, 2, 2)
    assert [counted.take("a", 7) for _ in range(3)] == [True, True, False]
    counted.portion("a", 7, 3, 5)
    assert not counted.take("a", 8)
    counted.portion("a", 7, 3, 5)
    assert not counted.take("a", 8), "of another day"


def test_given_more_clients_than_are_kept_when_counted_then_who_is_full_again_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "MOST_CLIENTS", 3)
    clock = Clock()
    counted = Rates(clock)
    taken(counted, "idle", TEN, 1)
    clock.now += 10
    for name in ("b", "c", "d", "e"):
        taken(counted, name, TEN, 5)
    assert len(counted._counts) == 3
    assert counted.begin("e", TEN) == TooMuch("rate", pytest.approx(0.1))


@pytest.mark.parametrize(
    ("agreed", "processes", "terms"),
    [
        (Allowance(), 1, Terms(500, 1000, 100, None)),
        (Allowance(), 4, Terms(125, 250, 25, None)),
        (Allowance(per_second=2.5), 1, Terms(2.5, 3, 100, None)),
        (Allowance(2.0, 8, 2, 100), 4, Terms(0.5, 2, 1, 100)),
    ],
)
def test_given_what_was_agreed_when_several_serve_then_each_gives_its_part(
    agreed: Allowance, processes: int, terms: Terms
) -> None:
    assert Defaults(processes=processes).of(agreed) == terms


def test_given_terms_when_stated_then_in_the_words_of_the_draft() -> None:
    counted, terms = Rates(Clock()), Terms(10.0, 5, 4, 1000)
    assert terms.policy == (
        '"rate";q=5;w=1, "at-once";q=4;qu="concurrent-requests", "day";q=1000;w=86400'
    )
    counted.begin("a", terms)
    counted.portion("a", 11, 10, 10)
    assert counted.standing("a", terms).startswith('"rate";r=4;t=1, "day";r=')
