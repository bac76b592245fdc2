"""Figures of an organization over the months, as small drawings: each of the same formula as on the page of a month.

docs/measures.md, https://www.w3.org/TR/SVG2/

What is not told of a month is a gap of the line, and no sum over months is told from which it could be subtracted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from coordhub.access import viewer
from coordhub.insight import reports
from coordhub.insight.measures import Figure
from coordhub.insight.reports import Report
from coordhub.portal import figures
from coordhub.portal.language import Words
from coordhub.portal.moments import MONTHS
from coordhub.record.hub import Hub

MOST: Final = 12
"""Months, the last that is over last."""
WIDE: Final = Decimal(320)
HIGH: Final = Decimal(96)
EDGE: Final = Decimal(8)

SHOWN: Final = (
    "sent.closed-loop", "sent.accepted", "sent.served", "sent.no-capacity", "sent.time-to-accept",
    "sent.time-to-close", "received.answered", "received.time-to-answer", "received.completed",
    "received.declined-full", "tests.avoided", "services.not-referred",
)  # fmt: skip
"""In order, before what was spared in each currency."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A month in the table beside a plot. few: it is not told."""

    month: str
    text: str
    value: str
    p90: str
    few: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """runs, nineties: points of lines, of the value and of what nine of ten are within; dots: (x, y) of each value.

    top: what the upper edge is. newest: the last value that is told.
    """

    group: str
    title: str
    formula: str
    runs: tuple[str, ...]
    nineties: tuple[str, ...]
    dots: tuple[tuple[str, str], ...]
    top: str
    newest: str
    first: str
    last: str
    cells: tuple[Cell, ...]


def edges(hub: Hub) -> list[datetime]:
    """Of the last MOST months that are over, the first of each, and the end."""
    zone = hub.zone or UTC
    here = hub.clock().astimezone(zone)
    last = here.year * 12 + here.month - 1
    return [
        datetime(number // 12, number % 12 + 1, 1, tzinfo=zone)
        for number in range(last - MOST, last + 1)
    ]


async def of(hub: Hub, organization: int, t: Words) -> list[Plot]:
    async with hub.engine.searches.acquire() as conn:
        found = await reports.in_turn(
            conn, viewer.as_organization(organization), edges(hub), hub.clock()
        )
    return plots(found, t)


def plots(found: Sequence[Report], t: Words) -> list[Plot]:
    """Of figures of which there is something to tell in some month."""
    by = [{f"{one.group}.{one.code}": one for one in each.figures} for each in found]
    spared = sorted({key for each in by for key in each if ".spared-" in key})
    drawn = (_plot(key, [each.get(key) for each in by], found, t) for key in (*SHOWN, *spared))
    return [one for one in drawn if one is not None]


def _plot(
    key: str, each: Sequence[Figure | None], found: Sequence[Report], t: Words
) -> Plot | None:
    some = [one for one in each if one is not None and (one.held or one.value is not None)]
    if not some:
        return None
    like = some[-1]
    values = [None if one is None or one.held else one.value for one in each]
    nineties = [None if one is None or one.held else one.p90 for one in each]
    top = (
        Decimal(100)
        if like.kind == "share"
        else max([*_known(values), *_known(nineties), Decimal(1)])
    )
    unit = {"share": "%", "hours": "h"}.get(like.kind, like.currency or "")
    told = _known(values)
    title = t(like.title.removesuffix(f", {like.currency}"))
    return Plot(
        t(figures.GROUPS[like.group]),
        title,
        t(like.formula),
        tuple(_runs(values, top)),
        tuple(_runs(nineties, top)),
        tuple(_at(number, value, top) for number, value in enumerate(values) if value is not None),
        f"{top} {unit}",
        f"{told[-1]} {unit}" if told else "",
        _month(found[0].start, t),
        _month(found[-1].start, t),
        tuple(
            Cell(
                _month(month.start, t),
                f"{month.start.year}-{month.start.month:02}",
                "–" if value is None else f"{value} {unit}",
                "" if ninety is None else f"{ninety} {unit}",
                one is not None and one.held,
            )
            for month, one, value, ninety in zip(found, each, values, nineties, strict=True)
        ),
    )  # fmt: skip


def _month(start: datetime, t: Words) -> str:
    return f"{t(MONTHS[start.month - 1])} {start.year}"


def _known(values: Sequence[Decimal | None]) -> list[Decimal]:
    return [one for one in values if one is not None]


def _runs(values: Sequence[Decimal | None], top: Decimal) -> Iterator[str]:
    """Lines through months that follow each other."""
    run: list[str] = []
    for number, value in enumerate([*values, None]):
        if value is not None:
            run.append(",".join(_at(number, value, top)))
            continue
        if len(run) > 1:
            yield " ".join(run)
        run = []


def _at(number: int, value: Decimal, top: Decimal) -> tuple[str, str]:
    x = EDGE + (WIDE - 2 * EDGE) * number / (MOST - 1)
    y = HIGH - EDGE - (HIGH - 2 * EDGE) * value / top
    return f"{x:.1f}", f"{y:.1f}"
