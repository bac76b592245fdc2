"""What was measured, as tables and as JSON.

https://github.com/Textualize/rich
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.drive import Lap, percentile
from bench.machine import Cpu

AIMS = {"a": 0.20, "b2": 0.20, "c": 0.12, "d": 0.10, "e": 0.20}
"""The share of the floor's rate that the hub is to reach; of b only with its audit (b2)."""


@dataclass(slots=True)
class Measured:
    """All laps of one item at one server or at the floor."""

    item: str
    laps: list[Lap] = field(default_factory=list)
    cpu: list[Cpu] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median of the laps' rates: what a neighbour did to one lap does not count."""
        return statistics.median(lap.rate for lap in self.laps) if self.laps else math.nan

    def latency(self, share: float) -> float:
        """Milliseconds: the median over the laps of their percentile."""
        each = [percentile(lap.latencies, share) for lap in self.laps if lap.latencies]
        return statistics.median(each) * 1000 if each else math.nan

    @property
    def cpu_each(self) -> tuple[float, float]:
        """Milliseconds of CPU of hub and of Postgres for one unit of work."""
        done = sum(lap.done for lap in self.laps)
        if not done or not self.cpu:
            return math.nan, math.nan
        return (
            sum(each.hub for each in self.cpu) * 1000 / done,
            sum(each.postgres for each in self.cpu) * 1000 / done,
        )

    @property
    def refused(self) -> Counter[str]:
        return sum((lap.refused for lap in self.laps), Counter())

    def as_json(self) -> dict[str, Any]:
        hub, postgres = self.cpu_each
        return {
            "rate": _number(self.rate),
            "p50_ms": _number(self.latency(0.50)),
            "p95_ms": _number(self.latency(0.95)),
            "p99_ms": _number(self.latency(0.99)),
            "hub_cpu_ms": _number(hub),
            "postgres_cpu_ms": _number(postgres),
            "done": sum(lap.done for lap in self.laps),
            "rates": [_number(lap.rate) for lap in self.laps],
            "refused": dict(self.refused),
        }


def ratio(of: Measured, floor: Measured) -> float:
    """Median over the rounds of rate by floor's rate: both sides of a round met the same machine."""
    pairs = zip(of.laps, floor.laps, strict=False)
    each = [lap.rate / under.rate for lap, under in pairs if lap.rate and under.rate]
    return statistics.median(each) if each else math.nan


def items_table(
    title: str, rows: Sequence[tuple[str, str, Measured, Measured | None, Measured | None]]
) -> Table:
    """rows: letter, name, the server's closed loop, its floor, its offered load."""
    table = Table(title=title, title_justify="left")
    for column in (
        "", "work item", "/s", "p50", "p95", "p99", "floor /s", "ratio", "aim",
        "CPU hub", "CPU pg", "offered /s", "p50", "p95", "p99",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column in ("", "work item") else "right")
    for letter, name, closed, floor, offered in rows:
        if not any(lap.done for lap in closed.laps):
            said = next(iter(closed.refused), "not measured")
            table.add_row(letter, name, "skipped:", said[:60])
            continue
        of_floor = math.nan if floor is None else ratio(closed, floor)
        aim = AIMS.get(letter)
        hub, postgres = closed.cpu_each
        table.add_row(
            letter,
            name,
            f"{closed.rate:.0f}",
            *(f"{closed.latency(share):.1f}" for share in (0.5, 0.95, 0.99)),
            "" if floor is None else f"{floor.rate:.0f}",
            "" if floor is None else f"{of_floor:.1%}",
            "" if aim is None else f"{aim:.0%}{' ok' if of_floor >= aim else ''}",
            _shown(hub, 2),
            _shown(postgres, 2),
            *(
                ("", "", "", "")
                if offered is None
                else (
                    f"{offered.rate:.0f}",
                    *(f"{offered.latency(share):.1f}" for share in (0.5, 0.95, 0.99)),
                )
            ),
        )
    return table


def write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, default=_plain) + "\n", encoding="utf-8")


def show(*parts: Table | str) -> None:
    """On standard output; as wide as it is where nobody looks, such as in a file."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    for part in parts:
        console.print(part)


def tell(what: str) -> None:
    """What is being done now, on standard error."""
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


def _shown(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
