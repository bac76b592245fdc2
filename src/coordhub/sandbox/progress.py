"""What a load shows while it runs and when it is done.

https://rich.readthedocs.io/en/stable/progress.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from coordhub.sandbox import parcels
from coordhub.sandbox.load import Summary


@contextmanager
def loading_bar(console: Console, paths: Sequence[Path]) -> Iterator[Callable[[int], None]]:
    """A bar as long as there is to send; yields what moves it on. Raises FileNotFoundError."""
    total = sum(parcels.count(path) for group in parcels.stages(paths) for path in group)
    columns = (
        TextColumn("Sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total)
        yield lambda number: progress.advance(task, number)


def print_summary(console: Console, summary: Summary) -> None:
    table = Table(show_header=False, box=None)
    for name, value in (
        ("sent", f"{summary.sent}"),
        ("created", f"{summary.created}"),
        ("already there", f"{summary.already_there}"),
        ("refused", f"{summary.refused}"),
        ("resources", f"{summary.resources}"),
        ("seconds", f"{summary.seconds:.2f}"),
        ("resources/s", f"{summary.per_second:.0f}"),
        ("slowest answer", f"{summary.slowest:.2f} s"),
    ):
        table.add_row(name, value)
    console.print(table)
    if summary.refusals is not None:
        console.print(f"Every refusal is in {summary.refusals}.", highlight=False)
