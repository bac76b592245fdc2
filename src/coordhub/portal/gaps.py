"""What is missing in the community: needs by kind and area for a quarter, as far as they may be told.

docs/measures.md

One quarter at a time, whole and over, and no sums: of figures for times that overlap, one could be subtracted from the
other. What the reader knows by itself is taken off before a number is told (insight.measures).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from coordhub.access import viewer
from coordhub.insight import measures
from coordhub.portal import candidates
from coordhub.portal.language import Words
from coordhub.record.hub import Hub
from coordhub.store import measures as rows
from coordhub.store.engine import Connection

_QUARTER: Final = re.compile(r"(20[0-9]{2})-Q([1-4])")


@dataclass(frozen=True, slots=True)
class Quarter:
    """[start, end). after: None, where that is not over."""

    text: str
    name: str
    start: datetime
    end: datetime
    before: str
    after: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A kind in an area. A number that is not told is "". full: percent of who was asked that had no room, or None."""

    kind: str
    zip3: str
    needs: str
    unmet: str
    nobody: str
    asked: str
    full: int | None


def quarter(hub: Hub, text: str, t: Words) -> Quarter:
    """Of `2026-Q3`, if it is over; else the last that is."""
    now = hub.clock().astimezone(hub.zone or UTC)
    last = now.year * 4 + (now.month - 1) // 3 - 1
    found = _QUARTER.fullmatch(text)
    number = min(int(found[1]) * 4 + int(found[2]) - 1, last) if found else last
    return Quarter(
        _text(number),
        t("quarter {n} of {year}", n=number % 4 + 1, year=number // 4),
        _begins(hub, number),
        _begins(hub, number + 1),
        _text(number - 1),
        _text(number + 1) if number < last else None,
    )


def _text(number: int) -> str:
    return f"{number // 4}-Q{number % 4 + 1}"


def _begins(hub: Hub, number: int) -> datetime:
    return datetime(number // 4, number % 4 * 3 + 1, 1, tzinfo=hub.zone or UTC)


async def told(
    conn: Connection, organization: int, chosen: Quarter, kind: str, t: Words
) -> list[Line]:
    """kind: of a need, "" for all."""
    view = viewer.as_organization(organization)
    found = await rows.areas(conn, chosen.start, chosen.end)
    known = await rows.areas_known(conn, view, chosen.start, chosen.end)
    return lines(measures.told_areas(found, known), kind, t)


def lines(found: Sequence[Mapping[str, object]], kind: str, t: Words) -> list[Line]:
    """Most needs first."""
    known = candidates.kinds()
    told = [
        Line(
            t(known[name].title) if name in known else name or t("Another need"),
            str(one["zip3"]),
            _number(one["needs"]),
            _number(one["unmet"]),
            _number(one["nobody-to-ask"]),
            _number(one["asked"]),
            _percent(one["no-capacity"], one["asked"]),
        )
        for one in found
        for name in [str(one["kind"])]
        if not kind or name == kind
    ]
    return sorted(told, key=lambda one: (-int(one.needs), one.kind, one.zip3))


def _number(value: object) -> str:
    return "" if value is None else str(value)


def _percent(part: object, whole: object) -> int | None:
    if not isinstance(part, int) or not isinstance(whole, int) or not whole:
        return None
    return round(100 * part / whole)
