"""Several needs in one sentence: when there is one, and what it says."""

from __future__ import annotations

import pytest

from coordhub.referral import summary
from coordhub.referral.needs import Child


def child(status: str, business: str = "") -> Child:
    return Child("Task/1", status, "0", "", business)


WAITS = child("on-hold", "waitlisted")


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ([("met", [])], None),
        ([("met", []), ("won", [child("in-progress")])], None),
        ([("met", []), ("open", [])], None),
        ([("met", []), ("won", [child("on-hold", "paused")])], None),
        ([("met", []), ("open", [WAITS, child("requested")])], None),
        ([("met", []), ("met", [])], "2 of 2 met."),
        (
            [("met", []), ("unmet", []), ("won", [child("rejected"), WAITS])],
            "1 of 3 met. need 1: not met. need 2: on a waiting list.",
        ),
        ([("withdrawn", []), ("met", [])], "1 of 2 met. need 0: withdrawn."),
    ],
)
def test_given_needs_when_summed_up_then_only_what_is_settled_is_said(needs, said):
    outcomes = [
        summary.outcome(f"need {number}", state, children)
        for number, (state, children) in enumerate(needs)
    ]
    assert summary.said(outcomes) == said


@pytest.mark.parametrize(
    ("order", "title"),
    [
        ({"code": {"text": "a roof"}}, "a roof"),
        ({"code": {"coding": [{"display": "Homeless"}]}}, "Homeless"),
        ({"category": [{"coding": [{"code": "homelessness"}]}]}, "Homeless"),
        ({}, "A need"),
    ],
)
def test_given_an_order_when_named_then_by_its_words_or_its_kind(order, title):
    assert summary.title(order) == title
