"""The figures of an organization for a month, as a page shows them: each with its formula, or that it is too few.

docs/measures.md
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from coordhub.access import viewer
from coordhub.insight import measures, reports
from coordhub.insight.measures import Figure
from coordhub.portal import chart, listed
from coordhub.portal.language import Words
from coordhub.portal.moments import MONTHS
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.store import resources

GROUPS: Final = {
    "sent": "What you referred",
    "received": "What you were asked",
    "tests": "Tests not done twice",
    "services": "Services not asked for twice",
}

_MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Line:
    """value: as it is shown; bar: percent of a share, for its length. few: it is not told."""

    title: str
    value: str
    beside: str
    formula: str
    bar: Decimal | None
    few: bool
    key: str = ""
    """By which the rows behind it are asked for."""


@dataclass(frozen=True, slots=True)
class Month:
    """start, end: [start, end). before, after: those beside it, as `2026-09`; after: None, where it has not begun."""

    text: str
    name: str
    start: datetime
    end: datetime
    before: str
    after: str | None


def month(hub: Hub, text: str, t: Words) -> Month:
    """Of `2026-10`; else the one before now."""
    zone, now = hub.zone or UTC, hub.clock()
    found = _MONTH.fullmatch(text)
    if found is not None:
        year, number = int(found[1]), int(found[2])
    else:
        here = now.astimezone(zone)
        year, number = _plus(here.year, here.month, -1)
    following = _plus(year, number, 1)
    end = datetime(*following, 1, tzinfo=zone)
    return Month(
        f"{year}-{number:02}", f"{t(MONTHS[number - 1])} {year}", datetime(year, number, 1, tzinfo=zone), end,
        "{}-{:02}".format(*_plus(year, number, -1)),
        "{}-{:02}".format(*following) if end <= now else None,
    )  # fmt: skip


def _plus(year: int, number: int, months: int) -> tuple[int, int]:
    whole = year * 12 + number - 1 + months
    return whole // 12, whole % 12 + 1


async def of(hub: Hub, organization: int, chosen: Month) -> reports.Report:
    async with hub.engine.searches.acquire() as conn:
        return await reports.report(
            conn, viewer.as_organization(organization), chosen.start, chosen.end, hub.clock()
        )


def lines(found: reports.Report, t: Words) -> list[tuple[str, list[Line]]]:
    """By group, in order; groups of which nothing happened are left out, but for the first."""
    told = []
    for group, title in GROUPS.items():
        figures = [one for one in found.figures if one.group == group]
        if group == "sent" or any(one.count or one.total for one in figures):
            told.append((t(title), [replace(_line(one, t), key=_key(one)) for one in figures]))
    return told


def _key(one: Figure) -> str:
    return f"{one.group}.{one.code}" if one.of else ""


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind a figure. rows: path of the page of each, what it is about, and whom for. whole: how many."""

    title: str
    rows: tuple[tuple[str, str, str], ...]
    whole: int
    rids: tuple[int, ...]


DESK_OF: Final = {
    "sent": "board",
    "received": "worklist",
    "tests": "patients",
    "services": "patients",
}
"""Group of figures -> whose desk leads to what is behind them."""
_PAGE_OF: Final = {"sent": "referrals", "received": "tasks"}
MOST: Final = 200


async def behind(
    hub: Hub, organization: int, chosen: Month, key: str, known: Collection[str], t: Words
) -> Behind | None:
    """Tasks, or of warnings Patients, as far as the organization sees them; whoever sees a row may count it.

    known: desks of who asks; None where none of them is that of this figure.
    """
    found = next(
        (one for one in (await of(hub, organization, chosen)).figures if _key(one) == key), None
    )
    if found is None or not key or DESK_OF[found.group] not in known:
        return None
    view = viewer.as_organization(organization)
    rids = list(dict.fromkeys(found.of))
    async with hub.engine.pool.acquire() as conn:
        versions = await resources.read_rids(conn, view, rids[:MOST])
        shown = [one for rid in rids[:MOST] if (one := versions.get(rid)) and one.body is not None]
        tasks = [one for one in shown if one.type == "Task"]
        about = await listed.named(hub, conn, view, [parties.document(one) for one in tasks])
    rows = []
    for one in shown:
        document = parties.document(one)
        if one.type == "Task":
            what = (
                t(listed.title(document, about, hub.base)),
                listed.person(document, about, hub.base),
            )
            rows.append((f"/{_PAGE_OF[found.group]}/{one.id}", *what))
        elif not chart.is_apart(one):
            rows.append((f"/patients/{one.id}", "", chart.listing(one).name))
    title = t(found.title.removesuffix(f", {found.currency}"))
    return Behind(title, tuple(rows), len(rids), tuple(one.rid for one in shown))


def _line(one: Figure, t: Words) -> Line:
    title = t(one.title.removesuffix(f", {one.currency}"))
    if one.held:
        return Line(title, t("fewer than {n}", n=measures.FEW), "", t(one.formula), None, True)
    if one.value is None and one.kind != "count":
        return Line(title, "–", "", t(one.formula), None, False)
    match one.kind:
        case "share":
            beside = t("{count} of {total}", count=one.count, total=one.total)
            return Line(title, f"{one.value} %", beside, t(one.formula), one.value, False)
        case "hours":
            beside = t("nine of ten within {n} h", n=one.p90)
            return Line(title, f"{one.value} h", beside, t(one.formula), None, False)
        case "money":
            return Line(
                title, f"{one.value} {one.currency}", str(one.count), t(one.formula), None, False
            )
        case _:
            return Line(title, str(one.count), "", t(one.formula), None, False)
