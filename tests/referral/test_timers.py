"""The instant until which a recipient may answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordhub.referral.timers import accept_by


@pytest.mark.parametrize(
    ("end", "due"),
    [
        ("2026-12-01T16:00:00-06:00", datetime(2026, 12, 1, 22, tzinfo=UTC)),
        ("2026-12-01T16:00:00.5Z", datetime(2026, 12, 1, 16, 0, 0, 500000, tzinfo=UTC)),
        ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-11", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026", datetime(2027, 1, 1, tzinfo=UTC)),
        ("9999-12-31", None),
        ("2026-02-30", None),
        ("soon", None),
        (7, None),
    ],
)
def test_given_the_end_of_a_restriction_when_read_then_due_in_utc(
    end: object, due: datetime | None
) -> None:
    assert accept_by({"restriction": {"period": {"end": end}}}) == due


@pytest.mark.parametrize("task", [{}, {"restriction": {}}, {"restriction": {"period": {}}}])
def test_given_no_end_when_read_then_there_is_no_timer(task: dict[str, object]) -> None:
    assert accept_by(task) is None
