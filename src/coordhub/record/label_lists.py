"""The code lists in use: those that coordhub brings, as operators changed them.

Every process reads them anew when what it has is older than REFRESH: a change holds everywhere
after that time, and what was written until then is labelled by `relabelling.apply`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coordhub.record.labels import CodeLists, Entry, compiled, shipped
from coordhub.store import sensitive
from coordhub.store.engine import Connection
from coordhub.store.sensitive import CodeChange

REFRESH = 5.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class InUse:
    """codes: compiled. sources: by organization (rid) the classes of all it writes about people."""

    codes: CodeLists
    sources: Mapping[int, int]


class Lists:
    """What one process knows of the lists."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._changes: list[CodeChange] | None = None
        self._in_use = InUse(CodeLists({}, {}), {})

    async def current(self, conn: Connection) -> InUse:
        """The lists, at most REFRESH old."""
        now = time.monotonic()
        if now - self._read_at >= REFRESH:
            changes = await sensitive.code_changes(conn)
            codes = self._in_use.codes
            if changes != self._changes:
                codes = compiled(entries(changes))
            self._in_use = InUse(codes, await sensitive.sources(conn))
            self._changes, self._read_at = changes, now
        return self._in_use

    def forget(self) -> None:
        """Read them anew at the next use."""
        self._read_at = float("-inf")


def entries(changes: Iterable[CodeChange]) -> list[Entry]:
    """The lists line by line, with these changes."""
    lines = dict.fromkeys(shipped())
    for change in changes:
        entry = Entry(change.name, change.system, change.code)
        if change.listed:
            lines[entry] = None
        else:
            lines.pop(entry, None)
    return sorted(lines)
