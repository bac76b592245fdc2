"""T1 computed from its children; what a child's change and a withdrawal set off."""

from __future__ import annotations

from itertools import product

import pytest

from coordhub.referral import episode
from coordhub.referral.episode import (
    BUSINESS_STATUSES,
    AlreadyWon,
    Cancel,
    Parent,
    Proceed,
    Withdrawal,
    on_child_change,
    parent,
    unaddressed,
    withdraw,
)
from coordhub.referral.needs import Child, Need
from coordhub.referral.task_machine import EDGES, OWNER, REASONS, STATUSES, TERMINAL


def children(
    *statuses: str, needs: str = "aaaaaaaaa", reasons: tuple[str, ...] = ()
) -> list[Child]:
    padded = reasons + ("",) * len(statuses)
    return [
        Child(f"Task/{n}", status, need, reason)
        for n, (status, need, reason) in enumerate(zip(statuses, needs, padded, strict=False))
    ]


@pytest.mark.parametrize(
    ("statuses", "current", "status", "business"),
    [
        ((), "requested", "accepted", "screening"),
        (("requested",), "requested", "accepted", "awaiting-recipient"),
        (("received",), "accepted", "accepted", "awaiting-recipient"),
        (("requested", "received"), "accepted", "accepted", "awaiting-recipient"),
        (("rejected", "requested"), "accepted", "in-progress", "re-referring"),
        (("rejected", "requested"), "in-progress", "in-progress", "re-referring"),
        (("accepted",), "accepted", "in-progress", "matched"),
        (("ready",), "in-progress", "in-progress", "matched"),
        (("in-progress",), "in-progress", "in-progress", "in-service"),
        (("on-hold",), "in-progress", "on-hold", "paused"),
        (("in-progress",), "on-hold", "in-progress", "in-service"),
        (("completed",), "in-progress", "completed", "fulfilled"),
        (("rejected", "completed"), "in-progress", "completed", "fulfilled"),
        (("cancelled", "completed"), "in-progress", "completed", "fulfilled"),
        (("rejected",), "accepted", "rejected", "no-provider-available"),
        (("rejected", "rejected"), "in-progress", "failed", "no-provider-available"),
        (("failed",), "in-progress", "failed", "not-fulfilled"),
        (("cancelled",), "accepted", "cancelled", "withdrawn"),
        (("requested",), "draft", "draft", ""),
    ],
)
def test_given_children_when_computed_then_the_parent_is_as_the_table_says(
    statuses: tuple[str, ...], current: str, status: str, business: str
) -> None:
    computed = parent(children(*statuses), current)
    assert (computed.status, computed.business_status) == (status, business)


def test_given_two_needs_when_one_is_done_and_one_still_asked_then_not_re_referring() -> None:
    computed = parent(children("completed", "requested", needs="ab"), "in-progress")
    assert (computed.status, computed.business_status) == ("in-progress", "awaiting-recipient")


def test_given_two_needs_when_only_one_is_met_at_the_end_then_partially_fulfilled() -> None:
    computed = parent(children("completed", "rejected", needs="ab"), "in-progress")
    assert (computed.status, computed.business_status) == ("completed", "partially-fulfilled")
    assert computed.reason == REASONS["no-provider-available"]


def test_given_two_needs_when_one_is_paused_and_one_runs_then_in_progress() -> None:
    computed = parent(children("on-hold", "in-progress", needs="ab"), "in-progress")
    assert (computed.status, computed.business_status) == ("in-progress", "in-service")


def test_given_a_refusal_when_more_candidates_follow_then_never_rejected() -> None:
    computed = parent(children("rejected"), "accepted", [Need("a", more=True)])
    assert (computed.status, computed.business_status) == ("in-progress", "re-referring")


def test_given_a_child_that_tells_more_when_computed_then_its_business_status_speaks() -> None:
    child = Child("Task/1", "on-hold", "a", "missing-documents", "waitlisted")
    assert parent([child], "in-progress") == Parent(
        "on-hold", "waitlisted", REASONS["missing-documents"]
    )


def test_given_a_refusal_with_reason_when_computed_then_the_parent_carries_it() -> None:
    computed = parent(children("rejected", reasons=("no-capacity",)), "accepted")
    assert computed.reason == REASONS["no-capacity"]


@pytest.mark.parametrize("reason", ["expired", "undeliverable"])
def test_given_nobody_answered_when_the_last_is_cancelled_then_no_provider(reason: str) -> None:
    computed = parent(children("cancelled", reasons=(reason,)), "accepted")
    assert (computed.status, computed.reason) == ("rejected", REASONS[reason])


def test_given_a_refusal_and_then_consent_withdrawn_when_computed_then_cancelled() -> None:
    ended = children("rejected", "cancelled", reasons=("no-capacity", "consent-withdrawn"))
    computed = parent(ended, "in-progress")
    assert computed == Parent("cancelled", "withdrawn", REASONS["consent-withdrawn"])


def test_given_outputs_of_several_children_when_computed_then_each_once_in_order() -> None:
    one = {"type": {"text": "a"}, "valueReference": {"reference": "Observation/1"}}
    two = {"type": {"text": "a"}, "valueReference": {"reference": "Observation/2"}}
    done = [
        Child("Task/1", "completed", "a", outputs=(one,)),
        Child("Task/2", "completed", "b", outputs=(two, one)),
    ]
    assert parent(done, "in-progress").outputs == (one, two)
    assert parent(done, "cancelled") == Parent("cancelled", "withdrawn", None, (one, two))


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        ("in-progress", "waitlisted", "in-service"),
        ("in-progress", "paused", "in-service"),
        ("in-progress", "information-received", "in-service"),
        ("accepted", "fulfilled", "matched"),
        ("in-progress", "withdrawn", "in-service"),
        ("in-progress", "no-provider-available", "in-service"),
        ("on-hold", "waitlisted", "waitlisted"),
        ("in-progress", "appointment-missed", "appointment-missed"),
    ],
)
def test_given_a_word_of_an_owner_when_it_is_not_its_to_say_or_left_over_then_its_status_speaks(
    status: str, said: str, told: str
) -> None:
    assert parent([Child("Task/1", status, business_status=said)], "accepted").business_status == (
        told
    )


@pytest.mark.parametrize("current", ["accepted", "in-progress", "on-hold"])
def test_given_any_two_children_when_computed_then_the_hub_may_make_that_change(
    current: str,
) -> None:
    for statuses in product(STATUSES, repeat=2):
        for needs in ("aa", "ab"):
            for more in (False, True):
                of = [Need(key, more=more) for key in dict.fromkeys(needs)]
                computed = parent(children(*statuses, needs=needs), current, of)
                assert computed.status == current or OWNER in EDGES[current, computed.status]
                assert computed.business_status in BUSINESS_STATUSES


@pytest.mark.parametrize("current", sorted(TERMINAL))
def test_given_a_final_parent_when_computed_then_it_stays(current: str) -> None:
    for statuses in product(STATUSES, repeat=2):
        assert parent(children(*statuses), current).status == current
    assert unaddressed(current).status == current


def test_given_nobody_to_ask_when_unaddressed_then_rejected_with_a_reason() -> None:
    assert unaddressed("requested", "recipient-unknown") == Parent(
        "rejected", "no-provider-available", REASONS["recipient-unknown"]
    )


def test_given_three_candidates_when_one_accepts_then_the_others_are_not_selected() -> None:
    asked = children("requested", "received", "rejected", "requested", needs="aaab")
    assert on_child_change(asked, "Task/0", "accepted") == Proceed(
        (Cancel("Task/1", REASONS["not-selected"]),)
    )


def test_given_a_winner_when_another_accepts_then_it_is_too_late() -> None:
    asked = children("accepted", "requested")
    assert on_child_change(asked, "Task/1", "accepted") == AlreadyWon("Task/0")
    assert on_child_change(asked, "Task/1", "rejected") == Proceed()
    assert on_child_change(asked, "Task/0", "in-progress") == Proceed(
        (Cancel("Task/1", REASONS["not-selected"]),)
    )


def test_given_one_named_recipient_when_it_accepts_then_nothing_else_changes() -> None:
    assert on_child_change(children("requested"), "Task/0", "accepted") == Proceed()


def test_given_a_winner_that_failed_when_another_accepts_then_it_wins() -> None:
    assert on_child_change(children("failed", "requested"), "Task/1", "accepted") == Proceed()


def test_given_children_when_the_requester_withdraws_then_begun_ones_are_asked() -> None:
    running = children("requested", "accepted", "in-progress", "rejected", needs="abcd")
    because = REASONS["requester-cancelled"]
    assert withdraw(running) == Withdrawal(
        (Cancel("Task/0", because), Cancel("Task/1", because)), ("Task/2",)
    )


def apart(status: str) -> Child:
    return Child("Task/apart", status, "a", apart=True)


@pytest.mark.parametrize("status", STATUSES)
def test_given_a_child_that_is_apart_when_it_moves_then_nothing_follows_for_anyone(
    status: str,
) -> None:
    others = children("requested", "accepted")
    for beside in ([], others, children("rejected"), children("completed")):
        expected = parent([*beside, apart("requested")], "accepted")
        assert parent([*beside, apart(status)], "accepted") == expected
    assert on_child_change([*others, apart("requested")], "Task/apart", status) == Proceed()
    assert withdraw([*others, apart(status)]).ask == withdraw(others).ask


def test_given_only_a_child_that_is_apart_when_computed_then_it_says_delivered() -> None:
    assert parent([apart("rejected")], "requested") == Parent("accepted", "delivered-to-service")
    assert parent([apart("completed"), *children("rejected")], "in-progress") == Parent(
        "in-progress", "delivered-to-service"
    )
    assert parent([apart("completed")], "cancelled").status == "cancelled"


def test_given_siblings_when_one_wins_then_what_is_apart_is_not_cancelled_with_them() -> None:
    asked = [*children("requested", "requested", needs="aa"), apart("requested")]
    step = on_child_change(asked, "Task/0", "accepted")
    assert step == Proceed((Cancel("Task/1", REASONS["not-selected"]),))


def test_given_a_permission_taken_back_when_a_place_is_kept_or_an_offer_made_then_neither_is_left() -> (
    None
):
    place = Child("Task/1", "on-hold", reason="place-kept", business_status="waitlisted")
    offer = Child("Task/2", "accepted", offered=True)
    taken = Child("Task/3", "accepted")
    found = episode.permission_withdrawn([place, offer, taken])
    assert [one.task for one in found.cancels] == ["Task/1", "Task/2"]
    assert found.ask == ("Task/3",)
