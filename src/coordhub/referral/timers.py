"""Instants that a referral has to meet.

http://hl7.org/fhir/R4/task-definitions.html#Task.restriction.period
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def accept_by(task: Mapping[str, Any]) -> datetime | None:
    """When an unanswered request ends: Task.restriction.period.end, in UTC.

    The end of a period includes what it states: `2026-12-01` lasts until that day is over (in UTC,
    as the date has no zone). None when there is no end or it cannot be read as one.
    """
    restriction = task.get("restriction")
    period = restriction.get("period") if isinstance(restriction, Mapping) else None
    end = period.get("end") if isinstance(period, Mapping) else None
    return _end_of(end) if isinstance(end, str) else None


def _end_of(text: str) -> datetime | None:
    try:
        if partial := _DATE.fullmatch(text):
            year, month, day = (int(part) if part else None for part in partial.groups())
            return _after(int(partial[1]), month, day) if year else None
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _after(year: int, month: int | None, day: int | None) -> datetime:
    if month is None:
        return datetime(year + 1, 1, 1, tzinfo=UTC)
    if day is None:
        return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return datetime(year, month, day, tzinfo=UTC) + timedelta(days=1)
