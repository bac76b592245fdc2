"""When somebody counts as not to be reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from coordhub.referral import reaching
from coordhub.referral.calendar import Calendar, duration
from coordhub.referral.reaching import NOT_DONE, Attempt, Tally, Term

MONDAY = datetime(2026, 11, 2, 15, tzinfo=UTC)
TERM = Term(3, 3, 2, duration("30 days"))
CHICAGO = Calendar(ZoneInfo("America/Chicago"), ())


def tried(hours: int, *channels: str) -> Attempt:
    return Attempt(MONDAY + timedelta(hours=hours), frozenset(channels))


def told(**elements: Any) -> dict[str, Any]:
    reason = {"coding": [{"system": NOT_DONE, "code": "recipient-unavailable"}]}
    return {
        "resourceType": "Communication",
        "status": "not-done",
        "statusReason": reason,
        "sent": "2026-11-03T15:00:00Z",
        **elements,
    }


@pytest.mark.parametrize(
    ("attempts", "counted", "enough"),
    [
        ([], (0, 0, 0), False),
        ([tried(0, "PHONE"), tried(24, "PHONE"), tried(48, "SMSWRIT")], (3, 3, 2), True),
        ([tried(0, "PHONE", "SMSWRIT"), tried(24, "PHONE"), tried(48)], (3, 3, 2), True),
        ([tried(0, "PHONE"), tried(24, "PHONE"), tried(48, "PHONE")], (3, 3, 1), False),
        ([tried(0, "PHONE"), tried(1, "SMSWRIT"), tried(24, "PHONE")], (3, 2, 2), False),
        ([tried(0, "PHONE"), tried(0, "PHONE"), tried(48, "SMSWRIT")], (2, 2, 2), False),
        # the wall clock there says which day it is: 23:00 and 1:00
        ([tried(0, "PHONE"), tried(14, "PHONE"), tried(16, "SMSWRIT")], (3, 2, 2), False),
        ([tried(-31 * 24, "PHONE"), tried(0, "PHONE"), tried(24, "SMSWRIT")], (2, 2, 2), False),
    ],
)
def test_given_attempts_when_counted_then_each_once_by_days_there_and_within_the_time(
    attempts: list[Attempt], counted: tuple[int, int, int], enough: bool
) -> None:
    found = reaching.tally(attempts, TERM, CHICAGO)
    assert found == Tally(*counted)
    assert found.is_enough(TERM) is enough


@pytest.mark.parametrize(
    ("elements", "is_one"),
    [
        ({}, True),
        ({"status": "completed"}, False),
        ({"statusReason": {"coding": [{"system": NOT_DONE, "code": "invalid-phone-number"}]}}, True),
        ({"statusReason": {"coding": [{"system": NOT_DONE, "code": "patient-objection"}]}}, False),
        ({"statusReason": {"coding": [{"system": "urn:x", "code": "recipient-unavailable"}]}}, False),
        ({"statusReason": {"text": "away"}}, False),
    ],
)  # fmt: skip
def test_given_a_communication_when_read_then_it_is_an_attempt_in_vain_or_something_else(
    elements: dict[str, Any], is_one: bool
) -> None:
    assert reaching.is_attempt(told(**elements)) is is_one


@pytest.mark.parametrize(
    ("sent", "at"),
    [
        ("2026-11-03T15:00:00Z", datetime(2026, 11, 3, 15, tzinfo=UTC)),
        ("2026-11-03", datetime(2026, 11, 3, tzinfo=UTC)),
        ("2026-11-02", MONDAY),
        ("2026", MONDAY),
        ("2026-11-04T15:00:01Z", None),
        ("2026-11-01", None),
        ("0001", None),
        (None, None),
    ],
)
def test_given_a_time_when_read_then_it_counts_from_when_one_was_asked_until_now(
    sent: str | None, at: datetime | None
) -> None:
    document = told(sent=sent, medium=[{"coding": [{"code": "PHONE"}]}, {"text": " By  door"}])
    found = reaching.attempt(document, MONDAY, MONDAY + timedelta(days=2))
    assert found == (None if at is None else Attempt(at, frozenset({"PHONE", "by  door"})))
