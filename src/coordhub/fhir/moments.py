"""Instants and periods that come as parameters: `_since`, `_at`, `start`, `end`, and `_count`.

http://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from coordhub import errors
from coordhub.r4.interval import parse_instant

LARGEST_COUNT = 1000

Pairs = Sequence[tuple[str, str]]


def period(pairs: Pairs, name: str) -> tuple[datetime, datetime] | None:
    """[low, high) of a date or instant; 400 if it is none, or is there twice."""
    text = once(pairs, name)
    if text is None:
        return None
    # a `+` that was not percent-encoded has become a space
    found = parse_instant(re.sub(r"(:\d\d(?:\.\d+)?) (\d\d:\d\d)$", r"\1+\2", text))
    if found is None:
        raise errors.bad_request(
            f"{name} is a date or an instant, as in 2025-03-01T08:00:00Z.", f"http.{name}"
        )
    return found


def count(pairs: Pairs, usual: int) -> int:
    """`_count` of a page, from 1 to 1000."""
    text = once(pairs, "_count")
    if text is None:
        return usual
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) == 0:
        raise errors.bad_request(
            f"_count is a whole number from 1 to {LARGEST_COUNT}.", "http._count"
        )
    return min(int(text), LARGEST_COUNT)


def once(pairs: Pairs, name: str) -> str | None:
    """The value of a parameter that may be given once."""
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise errors.bad_request(f"{name} may be given once.", f"http.{name}")
    return values[0] if values else None
