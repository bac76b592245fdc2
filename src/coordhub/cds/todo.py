"""What is told to who opens a chart: that something waits for it, in one card, or nothing; pure.

https://cds-hooks.hl7.org/hooks/patient-view/

It says how many and what of, and no value: whoever opens the chart reads those where they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from coordhub.cds.cards import LONGEST, fitting, marked, plain
from coordhub.referral import data_request

RECENT: Final = timedelta(days=30)
"""A result that nobody has looked at for longer is not told of by opening the chart."""

LINES: Final = 10
"""Of the detail."""

SOURCE: Final = {
    "label": "coordhub: waiting for you",
    "topic": {"system": "urn:coordhub:cds-topic", "code": "to-do", "display": "Something to do"},
}

Document = Mapping[str, Any]


def card(
    asked: Sequence[Document], came: Sequence[Document], *, uuid: UUID
) -> dict[str, Any] | None:
    """asked: Tasks that wait for an answer. came: results that nobody has looked at."""
    if not asked and not came:
        return None
    requests = sum(data_request.asks(one) for one in asked)
    parts = [
        _count(len(asked) - requests, "request waits", "requests wait", " for your answer"),
        _count(requests, "request", "requests", " for data to be released"),
        _count(len(came), "new result", "new results", ""),
    ]
    summary = "; ".join(part for part in parts if part)
    kinds = Counter(_title(one) for one in came)
    lines = [
        f"- {marked(title)}" + (f" ({count})" if count > 1 else "")
        for title, count in kinds.items()
    ]
    told: dict[str, Any] = {
        "uuid": str(uuid),
        "summary": fitting(summary, "")[:LONGEST],
        "indicator": "info",
        "source": SOURCE,
    }
    if lines:
        told["detail"] = "\n".join(lines[:LINES])
    return told


def _count(number: int, one: str, many: str, of: str) -> str:
    return f"{number} {one if number == 1 else many}{of}" if number else ""


def _title(document: Document) -> str:
    """What it is, as its author calls it."""
    concept = document.get("code") or document.get("type") or {}
    coded = [one.get("display") for one in concept.get("coding") or ()]
    words = concept.get("text") or next((one for one in coded if one), None)
    return plain(str(words or document.get("resourceType")))
