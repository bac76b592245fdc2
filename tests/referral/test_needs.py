"""Where a need stands, by its children and by what its strategy and the queue say."""

from __future__ import annotations

import pytest

from coordhub.referral.episode import parent
from coordhub.referral.needs import Child, Need, is_released, state
from coordhub.referral.task_machine import REASONS


def child(status: str, reason: str = "", *, need: str = "a", **flags: bool) -> Child:
    return Child(f"Task/{status}", status, need, reason, **flags)


@pytest.mark.parametrize(
    ("children", "need", "t1", "expected"),
    [
        ((), Need("a"), "accepted", "open"),
        ((), Need("a", reason="consent-missing"), "accepted", "unmet"),
        ((), Need("a", queued=True), "accepted", "queued"),
        ((), Need("a"), "cancelled", "withdrawn"),
        ((child("requested"),), Need("a"), "accepted", "open"),
        ((child("rejected"),), Need("a", more=True), "in-progress", "open"),
        ((child("rejected"),), Need("a", queued=True), "in-progress", "queued"),
        ((child("rejected"),), Need("a"), "in-progress", "unmet"),
        ((child("rejected"), child("accepted")), Need("a"), "in-progress", "won"),
        ((child("accepted", offered=True),), Need("a"), "accepted", "open"),
        ((child("completed"), child("cancelled")), Need("a"), "in-progress", "met"),
        ((child("completed"),), Need("a", more=True), "completed", "met"),
        ((child("failed", begun=True),), Need("a", more=True), "in-progress", "unmet"),
        ((child("failed"),), Need("a", more=True), "in-progress", "open"),
        ((child("cancelled", "no-longer-needed"),), Need("a", more=True), "accepted", "withdrawn"),
        ((child("accepted", need="b"),), Need("a", more=True), "in-progress", "open"),
        ((child("rejected", apart=True),), Need("a"), "accepted", "open"),
        ((child("completed", apart=True),), Need("a"), "cancelled", "withdrawn"),
        ((child("completed", apart=True), child("rejected")), Need("a"), "accepted", "open"),
    ],
)
def test_given_children_when_judged_then_the_need_stands_as_the_table_says(
    children: tuple[Child, ...], need: Need, t1: str, expected: str
) -> None:
    assert state(need, children, t1) == expected


def test_given_what_ended_a_child_when_judged_then_only_some_of_it_leaves_the_need_to_others() -> (
    None
):
    for reason in ("no-capacity", "not-eligible", "expired", "not-selected", "undeliverable"):
        assert is_released([child("cancelled", reason)])
    assert is_released([child("rejected"), child("failed")])
    assert not is_released([child("cancelled", "consent-withdrawn"), child("rejected")])
    assert not is_released([child("rejected"), child("requested")])
    assert not is_released([child("failed", begun=True)])
    assert is_released([child("rejected"), child("requested", apart=True)])


def test_given_two_needs_when_one_ends_unmet_then_the_parent_waits_for_the_other() -> None:
    both = [Need("a"), Need("b")]
    asked = [child("rejected"), child("in-progress", need="b")]
    assert parent(asked, "in-progress", both).business_status == "in-service"
    done = [child("rejected"), child("completed", need="b")]
    told = parent(done, "in-progress", both)
    assert (told.status, told.business_status) == ("completed", "partially-fulfilled")


def test_given_a_need_that_nobody_could_be_asked_for_when_the_other_is_met_then_partly() -> None:
    both = [Need("a", reason="consent-missing"), Need("b")]
    told = parent([child("completed", need="b")], "in-progress", both)
    assert (told.status, told.business_status) == ("completed", "partially-fulfilled")
    alone = parent([], "accepted", both[:1])
    assert (alone.status, alone.reason) == ("rejected", REASONS["consent-missing"])
    assert parent([], "accepted", both[1:]).business_status == "screening"


def test_given_a_need_in_the_queue_when_nobody_is_asked_then_the_parent_says_so_and_goes_on() -> (
    None
):
    told = parent([child("rejected")], "in-progress", [Need("a", queued=True)])
    assert (told.status, told.business_status) == ("in-progress", "no-provider-available")
    beside = [child("rejected"), child("accepted", need="b")]
    told = parent(beside, "in-progress", [Need("a", queued=True), Need("b")])
    assert (told.status, told.business_status) == ("in-progress", "matched")


def test_given_a_need_in_the_queue_when_the_other_is_paused_then_the_parent_is_not() -> None:
    asked = [child("rejected"), child("on-hold", need="b")]
    told = parent(asked, "in-progress", [Need("a", queued=True), Need("b")])
    assert told.status == "in-progress"


def test_given_offers_when_nothing_is_chosen_then_the_parent_waits_with_them() -> None:
    offers = [child("accepted", offered=True), child("requested")]
    told = parent(offers, "accepted", [Need("a")])
    assert (told.status, told.business_status) == ("accepted", "offers-received")
