"""Task.status transitions: the table, its judge, the reason codes."""

from __future__ import annotations

import pytest

from coordhub.referral.task_machine import (
    EDGES,
    INITIAL,
    OWNER,
    REASONS,
    REQUESTER,
    STATUSES,
    TERMINAL,
    WON,
    Illegal,
    Legal,
    WrongActor,
    concept,
    judge,
    legal_targets,
)

GRAVITY = {
    "draft": "requested",
    "requested": "accepted rejected cancelled",
    "accepted": "in-progress on-hold cancelled completed failed",
    "in-progress": "on-hold completed failed cancelled",
    "on-hold": "in-progress completed failed cancelled",
}


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old, news in GRAVITY.items() for new in news.split()]
)
def test_given_an_edge_of_gravity_when_judged_then_somebody_may(old: str, new: str) -> None:
    assert judge(old, new, REQUESTER | OWNER) == Legal()


@pytest.mark.parametrize("new", ["accepted", "rejected", "in-progress", "completed", "failed"])
@pytest.mark.parametrize("old", ["requested", "accepted", "in-progress"])
def test_given_a_requester_when_it_answers_its_own_request_then_never_legal(
    old: str, new: str
) -> None:
    if old != new:
        assert judge(old, new, REQUESTER) != Legal()


@pytest.mark.parametrize("old", ["draft", "requested", "received", "accepted", "ready"])
def test_given_work_not_begun_when_the_requester_cancels_then_legal(old: str) -> None:
    assert judge(old, "cancelled", REQUESTER) == Legal()


@pytest.mark.parametrize("old", ["in-progress", "on-hold"])
def test_given_work_begun_when_the_requester_cancels_then_it_is_told_to_request_it(
    old: str,
) -> None:
    judgement = judge(old, "cancelled", REQUESTER)
    assert isinstance(judgement, Illegal)
    assert "abort" in judgement.hint
    assert judgement.legal_targets == ("entered-in-error",)
    assert judge(old, "cancelled", OWNER) == Legal()


def test_given_a_requested_task_when_the_owner_completes_it_at_once_then_illegal() -> None:
    assert judge("requested", "completed", OWNER) == Illegal(
        ("received", "accepted", "rejected", "cancelled"),
        "From requested you may go to received, accepted, rejected, cancelled, not to completed.",
    )


def test_given_an_accepted_task_when_completed_without_in_progress_then_legal() -> None:
    assert judge("accepted", "completed", OWNER) == Legal()


def test_given_an_owners_edge_when_the_requester_takes_it_then_the_owner_is_named() -> None:
    match judge("requested", "accepted", REQUESTER):
        case WrongActor(who_may, hint):
            assert who_may == OWNER
            assert "owner" in hint
        case other:
            pytest.fail(str(other))


@pytest.mark.parametrize("old", sorted(TERMINAL))
@pytest.mark.parametrize("new", STATUSES)
def test_given_a_final_status_when_changed_then_only_entered_in_error_is_left(
    old: str, new: str
) -> None:
    may = judge(old, new, REQUESTER | OWNER) == Legal()
    assert may == (new == old or new == "entered-in-error")


@pytest.mark.parametrize("status", STATUSES)
def test_given_any_status_when_it_stays_then_legal_for_each_part(status: str) -> None:
    assert judge(status, status, REQUESTER) == judge(status, status, OWNER) == Legal()


@pytest.mark.parametrize("old", sorted(set(STATUSES) - TERMINAL))
def test_given_a_live_status_when_asked_for_targets_then_the_owner_can_end_it(old: str) -> None:
    if old != "draft":
        assert set(legal_targets(old, OWNER)) & TERMINAL


def test_given_a_word_that_is_no_status_when_judged_then_illegal() -> None:
    assert isinstance(judge("requested", "nonsense", OWNER), Illegal)


def test_given_the_table_when_read_then_it_names_known_statuses_only() -> None:
    named = {status for edge in EDGES for status in edge} | INITIAL | WON
    assert named <= set(STATUSES)


def test_given_the_reasons_when_read_then_each_has_text_and_explains_known_statuses() -> None:
    for code, reason in REASONS.items():
        assert reason.code == code
        assert reason.statuses <= set(STATUSES)
        assert concept(reason)["text"] == reason.text != ""
    assert {code for code, reason in REASONS.items() if reason.stable} == {
        "not-eligible",
        "out-of-area",
        "wrong-service",
        "needs-exceed-capability",
        "duplicate-service",
        "client-declined",
        "no-longer-needed",
        "consent-withdrawn",
        "safety",
    }
