"""What a referral's timeline says happened, and what it says is expected next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from coordhub.referral import timeline
from coordhub.referral.timeline import Next
from coordhub.store.timeline import Asked, Brought, Due, Errand, Moments, Need, Step, Told

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def asked(ordinal: int = 0, status: str = "requested", **changed) -> Asked:
    one = Asked(
        ordinal, 0, 1, f"Organization/{ordinal}", status, at(1), at(2), None, None, None, False,
        "delivered", 1, at(1), None,
    )  # fmt: skip
    return replace(one, **changed)


def told(*recipients: Asked, **changed) -> Told:
    return replace(Told(1, 1, True, "Organization/s", at(0), at(1), None, recipients), **changed)


def moments(*steps: Step, brought=(), dues=(), errands=(), needs=()) -> Moments:
    return Moments(steps, tuple(brought), tuple(dues), tuple(errands), tuple(needs))


def step(minutes: int, ordinal: int | None, status: str, business: str = "", reason: str = ""):
    return Step(at(minutes), ordinal, status, business, reason)


def test_given_a_referral_that_was_met_when_its_timeline_is_told_then_each_thing_comes_in_its_order():
    whole = told(asked(status="completed", opened_at=at(3)), closed_at=at(9))
    events = timeline.events(
        whole,
        moments(
            step(0, None, "requested"),
            step(1, 0, "requested"),
            step(1, None, "accepted", "awaiting-recipient"),
            step(4, 0, "accepted"),
            step(4, None, "in-progress", "matched"),
            step(5, 0, "accepted", "appointment-scheduled"),
            step(6, 0, "in-progress"),
            step(9, 0, "completed"),
            step(9, None, "completed", "fulfilled"),
            brought=[Brought(at(8), "Observation", "Observation/1")],
        ),
    )
    assert [event.what for event in events] == [
        "sent", "asked", "status", "delivered", "opened", "accepted", "status", "scheduled", "seen",
        "result", "completed", "closed",
    ]  # fmt: skip
    assert timeline.expected(whole, moments()) == []


def test_given_a_hop_when_its_timeline_is_told_then_the_reason_is_there():
    events = timeline.events(
        told(asked(0, "rejected"), asked(1)),
        moments(step(1, 0, "requested"), step(5, 0, "rejected", "", "no-capacity")),
    )
    [declined] = [event for event in events if event.what == "declined"]
    assert (declined.ordinal, declined.reason) == (0, "no-capacity")


def test_given_a_version_that_says_nothing_new_when_its_timeline_is_told_then_it_is_left_out():
    events = timeline.events(
        told(asked()), moments(step(1, 0, "requested"), step(2, 0, "requested"))
    )
    assert [event.what for event in events] == ["sent", "asked", "delivered"]


def test_given_a_time_that_ran_out_when_the_timeline_is_told_then_it_says_of_what_and_to_whom():
    due = Due(at(60), 0, "accept-by", at(61))
    assert timeline.events(told(asked()), moments(dues=[due]))[-1] == timeline.Event(
        at(61), "due", 0, kind="accept-by"
    )


@pytest.mark.parametrize(
    ("one", "what", "who"),
    [
        (asked(delivered_at=None, delivery=None), "deliver", "hub"),
        (asked(delivered_at=None, delivery="leased"), "deliver", "hub"),
        (asked(delivered_at=None, delivery="dead"), "answer", "recipient"),
        (asked(), "answer", "recipient"),
        (asked(status="received"), "answer", "recipient"),
        (asked(status="accepted"), "begin", "recipient"),
        (asked(status="ready"), "begin", "recipient"),
        (asked(status="in-progress"), "finish", "recipient"),
        (asked(status="on-hold"), "resume", "recipient"),
    ],
)
def test_given_one_who_is_asked_when_what_is_next_is_told_then_it_is_expected_of_somebody(
    one, what, who
):
    assert timeline.expected(told(one), moments()) == [Next(what, who, 0)]


def test_given_a_time_to_answer_when_what_is_next_is_told_then_it_says_by_when():
    dues = [
        Due(at(90), 0, "accept-by", None),
        Due(at(30), 0, "accept-half", None),
        Due(at(40), 0, "progress", None, stands=True),
        Due(at(60), 0, "accept-due", at(60)),
    ]
    [step] = timeline.expected(told(asked()), moments(dues=dues))
    assert step.by == at(90)


def test_given_one_who_was_asked_to_stop_when_what_is_next_is_told_then_it_is_that():
    history = moments(step(1, 0, "requested"), step(5, 0, "in-progress", "cancellation-requested"))
    assert timeline.expected(told(asked(status="in-progress")), history) == [
        Next("stop", "recipient", 0)
    ]


@pytest.mark.parametrize("status", ["received", "accepted", "on-hold"])
def test_given_one_who_awaits_information_when_what_is_next_is_told_then_it_is_the_requesters(
    status,
):
    history = moments(step(1, 0, "requested"), step(5, 0, status, "awaiting-information"))
    assert timeline.expected(told(asked(status=status)), history) == [
        Next("inform", "requester", 0)
    ]
    answered = moments(step(1, 0, "requested"), step(5, 0, status, "information-received"))
    assert [one.who for one in timeline.expected(told(asked(status=status)), answered)] == [
        "recipient"
    ]


def test_given_nobody_asked_yet_when_what_is_next_is_told_then_it_is_the_hubs():
    assert timeline.expected(told(), moments()) == [Next("ask", "hub")]


def test_given_one_apart_when_what_is_next_is_told_then_nothing_is_expected_of_it():
    assert timeline.expected(told(asked(apart=True)), moments()) == [Next("close", "requester")]
    beside = told(asked(0, apart=True), asked(1))
    assert timeline.expected(beside, moments()) == [Next("answer", "recipient", 1)]


def test_given_its_own_part_when_it_is_told_to_a_recipient_then_it_holds_nothing_of_the_whole():
    own = told(asked(2), whole=False)
    assert [event.what for event in timeline.events(own, moments())] == ["asked", "delivered"]
    assert timeline.expected(told(asked(2, "rejected"), whole=False), moments()) == []


def test_given_nobody_left_when_what_is_next_is_told_then_it_is_the_errand_of_who_looks():
    looks = Errand(at(5), "find-provider", "Organization/s", at(90), None)
    needs = [Need(0, "ServiceRequest/1", "queued")]
    tried = told(asked(status="rejected"))
    assert timeline.expected(tried, moments(errands=[looks], needs=needs)) == [
        Next("find-provider", "Organization/s", by=at(90))
    ]


def test_given_two_needs_when_for_one_nobody_is_asked_then_the_hub_is_to_ask():
    needs = [Need(0, "ServiceRequest/1", "won"), Need(1, "ServiceRequest/2", "open")]
    steps = timeline.expected(told(asked(status="accepted")), moments(needs=needs))
    assert steps == [Next("begin", "recipient", 0), Next("ask", "hub", need=1)]


def test_given_an_errand_when_the_timeline_is_told_then_it_opens_and_closes_in_it():
    errand = Errand(at(5), "abort", "Organization/0", None, at(7))
    happened = timeline.events(told(asked()), moments(errands=[errand]))
    assert [event.what for event in happened] == [
        "sent", "asked", "delivered", "errand", "errand-done",
    ]  # fmt: skip
    closed = told(asked(status="completed"), closed_at=at(9))
    acknowledge = replace(errand, kind="acknowledge", closed_at=None)
    assert [step.what for step in timeline.expected(closed, moments(errands=[acknowledge]))] == [
        "acknowledge"
    ]
