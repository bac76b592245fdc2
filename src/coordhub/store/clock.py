"""One clock for all processes: the database's, which each compares its machine's with.

Leases, deadlines, grants and the order of versions are instants that one process writes and another judges.
Where a machine's clock is off by minutes, its worker would take over what others hold, or hold what nobody
may take over. So each process asks the database now and then what time it is, and counts by that. Where its
own clock cannot be told from the database's it is left as it is.

https://www.postgresql.org/docs/current/functions-datetime.html (clock_timestamp)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EVERY_SECONDS: Final = 10.0
"""How often the clocks are compared."""

NOTED: Final = timedelta(seconds=1)
"""What is worth a line in the log, when a machine's clock is off by so much more or less than before."""


def machine() -> datetime:
    """What the clock of this machine says. The only place where a process of the hub asks it."""
    return datetime.now(UTC)


def correction(before: datetime, there: datetime, after: datetime) -> timedelta:
    """What to add to this machine's clock, which said `before` and `after` when the other said `there`."""
    if before <= there <= after:
        return timedelta()
    return there - (before + (after - before) / 2)
