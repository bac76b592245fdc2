"""What came of the month: closed or not, how soon accepted, how many hops, and who has what to do next."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from tests.county.month import Month

from coordhub.access import viewer
from coordhub.referral import timeline as pure
from coordhub.store import timeline


@dataclass(slots=True)
class Figures:
    sent: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    accepted: list[timedelta] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    waiting: Counter[str] = field(default_factory=Counter)

    @property
    def closed(self) -> float:
        return sum(self.ended.values()) / self.sent


@dataclass(frozen=True, slots=True)
class Report:
    """By kind of need. adrift: referrals that have not ended and wait for nobody."""

    kinds: dict[str, Figures]
    adrift: list[int]

    def __str__(self) -> str:
        lines = [
            f"{'need':26} {'sent':>6} {'closed':>7} {'met':>6} {'accept h':>9} {'asked':>6}  ends; next"
        ]
        for name, one in sorted(self.kinds.items()):
            accepted = [each.total_seconds() / 3600 for each in one.accepted]
            ends = ", ".join(f"{what} {count}" for what, count in one.ended.most_common())
            waits = ", ".join(f"{what} {count}" for what, count in one.waiting.most_common())
            lines.append(
                f"{name:26} {one.sent:6} {one.closed:7.1%} {one.ended['completed'] / one.sent:6.1%}"
                f" {statistics.median(accepted or [0]):9.1f} {statistics.mean(one.asked or [0]):6.2f}"
                f"  {ends}; {waits}"
            )
        return "\n".join(lines)


async def report(month: Month) -> Report:
    """Told by what each sender is told: its own timelines."""
    made = Report({}, [])
    async with month.hub.engine.pool.acquire() as conn:
        opened = await conn.fetch(
            "select e.id, e.requester, r.body::jsonb ->> 'status' as status from episode e"
            " join resource r on r.rid = e.id order by e.id"
        )
        for row in opened:
            view = viewer.as_organization(row["requester"])
            told = await timeline.told(conn, view, row["id"])
            assert told is not None
            moments = await timeline.moments(conn, view, told)
            steps = pure.expected(told, moments)
            figures = made.kinds.setdefault(month.kinds[row["id"]].name, Figures())
            figures.sent += 1
            figures.asked.append(len(told.asked))
            if told.closed_at is not None:
                figures.ended[row["status"]] += 1
            elif steps:
                figures.waiting.update({f"{_who(step.who)}: {step.what}" for step in steps})
            else:
                made.adrift.append(row["id"])
            accepted = [one.accepted_at for one in told.asked if one.accepted_at is not None]
            if accepted:
                figures.accepted.append(min(accepted) - told.opened_at)
    return made


def together(reports: Iterable[Report]) -> Report:
    """One report of several."""
    whole = Report({}, [])
    for report in reports:
        whole.adrift.extend(report.adrift)
        for name, one in report.kinds.items():
            figures = whole.kinds.setdefault(name, Figures())
            figures.sent += one.sent
            figures.ended += one.ended
            figures.accepted += one.accepted
            figures.asked += one.asked
            figures.waiting += one.waiting
    return whole


def _who(who: str) -> str:
    return "coordinator" if "/" in who else who
