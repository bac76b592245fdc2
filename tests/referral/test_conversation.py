"""Who hears what is said about a referral."""

from __future__ import annotations

import pytest

from coordhub.referral.conversation import Asked, hearers, is_question, is_said, waits_at
from coordhub.referral.episode import BUSINESS_STATUS_SYSTEM

SENDER, KITCHEN, PANTRY, STRANGER = 1, 2, 3, 4


def asked(kitchen: str, pantry: str = "requested") -> list[Asked]:
    return [Asked(KITCHEN, kitchen), Asked(PANTRY, pantry)]


@pytest.mark.parametrize(
    ("author", "kitchen", "pantry", "meant", "told"),
    [
        # a recipient is heard by the sender, whomever it names
        (KITCHEN, "requested", "requested", set(), {SENDER}),
        (KITCHEN, "requested", "requested", {PANTRY}, {SENDER}),
        (KITCHEN, "completed", "cancelled", set(), {SENDER}),
        # the sender is heard by whom it names or answers
        (SENDER, "requested", "requested", {PANTRY}, {PANTRY}),
        (SENDER, "accepted", "requested", {PANTRY, STRANGER}, {PANTRY}),
        # or else by who is at work, or by all who are asked
        (SENDER, "accepted", "cancelled", set(), {KITCHEN}),
        (SENDER, "on-hold", "requested", {STRANGER}, {KITCHEN}),
        (SENDER, "requested", "received", set(), {KITCHEN, PANTRY}),
        (SENDER, "rejected", "received", set(), {PANTRY}),
        (SENDER, "rejected", "cancelled", set(), set()),
        # who has served may be asked about it, who is out hears no more
        (SENDER, "completed", "cancelled", {KITCHEN}, {KITCHEN}),
        (SENDER, "accepted", "cancelled", {PANTRY}, {KITCHEN}),
        # who has no part in it is heard by nobody
        (STRANGER, "accepted", "requested", {SENDER}, set()),
    ],
)
def test_given_something_said_when_asked_who_hears_it_then_these(
    author, kitchen, pantry, meant, told
):
    assert hearers(author, SENDER, asked(kitchen, pantry), meant) == told


def test_given_who_asked_itself_when_it_speaks_then_it_does_not_hear_itself():
    assert hearers(SENDER, SENDER, [Asked(SENDER, "accepted")], {SENDER}) == frozenset()


@pytest.mark.parametrize("place", ["topic", "reasonCode", "category"])
@pytest.mark.parametrize(
    "system", [BUSINESS_STATUS_SYSTEM, "http://hl7.org/fhir/uv/cow/CodeSystem/temp"]
)
def test_given_a_code_of_waiting_when_read_then_it_is_a_question(place, system):
    concept = {"coding": [{"system": system, "code": "awaiting-information"}]}
    assert is_question({place: concept if place == "topic" else [concept]})
    assert not is_question({place: {"text": "awaiting-information"}})
    assert not is_question({})


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("preparation", False),
        ("not-done", False),
        ("in-progress", True),
        ("completed", True),
        ("entered-in-error", True),
    ],
)
def test_given_a_communication_when_it_is_only_being_written_then_it_is_not_said(status, said):
    assert is_said({"status": status}) is said


@pytest.mark.parametrize(
    ("status", "waiting"),
    [
        ("requested", "received"),
        ("received", None),
        ("in-progress", "on-hold"),
        ("completed", None),
    ],
)
def test_given_a_question_when_asked_then_its_task_waits(status, waiting):
    assert waits_at(status) == waiting
