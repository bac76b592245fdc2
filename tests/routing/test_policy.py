"""Who is concerned by a change, as a table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordhub.routing.policy import concerned
from coordhub.store.changes import Change
from coordhub.store.episodes import Candidate, Episode, Errand, Need
from coordhub.store.visibility import HUB

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SENDER, KITCHEN, PANTRY, DOCTOR = 1000, 2000, 3000, 1500
T1, T2, OTHER_T2, SR1, SR2, RESULT, ERRAND = 10, 20, 30, 11, 21, 40, 50


def _candidate(ordinal: int, organization: int, task: int) -> Candidate:
    return Candidate(
        ordinal, organization, "Organization/x", task, SR2, "requested", 0, 1, "",
        NOW, None, None, None, None, None,
    )  # fmt: skip


EPISODE = Episode(
    T1, SENDER, SR1, None, "open", NOW, NOW, None,
    (_candidate(0, KITCHEN, T2), _candidate(1, PANTRY, OTHER_T2)),
    (Need(0, SR1, "", "broadcast", "open", 1, "", NOW, None),),
    (Errand(ERRAND, T1, "abort", PANTRY, T2, NOW, None),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("rid", "author", "told"),
    [
        (T1, SENDER, ()),
        (T1, HUB, (SENDER,)),
        (T2, HUB, (KITCHEN,)),
        (T2, KITCHEN, ()),
        (OTHER_T2, HUB, (PANTRY,)),
        (ERRAND, HUB, (PANTRY,)),
        (ERRAND, PANTRY, ()),
    ],
)
def test_given_a_change_when_judged_then_these_are_told_and_never_its_author(
    rid: int, author: int, told: tuple[int, ...]
) -> None:
    assert concerned(Change(1, rid, 1, "Task", "update", author), EPISODE) == told


@pytest.mark.parametrize(
    ("op", "author", "told"),
    [
        ("update", KITCHEN, (SENDER, DOCTOR, PANTRY)),
        ("update", DOCTOR, (SENDER, PANTRY)),
        ("delete", KITCHEN, (DOCTOR, PANTRY)),
    ],
)
def test_given_a_result_when_judged_then_whom_it_is_for_and_who_has_a_copy_are_told_once(
    op: str, author: int, told: tuple[int, ...]
) -> None:
    change = Change(1, RESULT, 2, "Observation", op, author)
    holders = frozenset({DOCTOR, PANTRY})
    assert concerned(change, EPISODE, results=[SENDER, DOCTOR], holders=holders) == told


@pytest.mark.parametrize("rid", [T1, T2, RESULT])
def test_given_a_deletion_that_nobody_has_a_copy_of_when_judged_then_nobody_is_told(
    rid: int,
) -> None:
    assert concerned(Change(1, rid, 2, "Task", "delete", HUB), EPISODE) == ()
