"""The code lists in use: those that coordhub brings, as operators changed them.

Every process reads them anew when what it has is older than REFRESH: a change holds everywhere
after that time, and what was written until then is labelled by `relabelling.apply`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.record.confidential import NO_TERMS, Terms, taken_from
from coordhub.record.labels import CodeLists, Entry, compiled, shipped
from coordhub.store import sandboxes, sensitive, vault, vsp
from coordhub.store.engine import Connection
from coordhub.store.sensitive import CodeChange

REFRESH = 5.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class InUse:
    """codes: compiled. sources: by organization (rid) the classes of all it writes about people.

    apart: the victim service providers. terms: by which theirs is known that must not be told.
    sandboxes: the organizations of the sandbox.
    """

    codes: CodeLists
    sources: Mapping[int, int]
    apart: frozenset[int] = frozenset()
    terms: Terms = NO_TERMS
    sandboxes: frozenset[int] = frozenset()


class Lists:
    """What one process knows of the lists."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._changes: list[CodeChange] | None = None
        self._in_use = InUse(CodeLists({}, {}), {})
        self._places: tuple[object, ...] = ()
        self._terms = NO_TERMS

    async def current(self, conn: Connection) -> InUse:
        """The lists, at most REFRESH old."""
        now = time.monotonic()
        if now - self._read_at >= REFRESH:
            changes = await sensitive.code_changes(conn)
            codes = self._in_use.codes
            if changes != self._changes:
                codes = compiled(entries(changes))
            apart = await vsp.marked(conn)
            terms = await self._terms_of(conn, apart)
            sources, tests = await sensitive.sources(conn), await sandboxes.everyone(conn)
            self._in_use = InUse(codes, sources, apart, terms, tests)
            self._changes, self._read_at = changes, now
        return self._in_use

    async def _terms_of(self, conn: Connection, apart: frozenset[int]) -> Terms:
        """Of those whose keys are at hand; read again when what they are taken from has changed."""
        at_hand = sorted(each for each in apart if vault.in_use().has(each))
        state = await vsp.places_state(conn, at_hand) if at_hand else ()
        if state != self._places:
            found = await vsp.places(conn, viewer.deciding(), at_hand) if at_hand else []
            self._terms = taken_from(
                (each.source, fhir_json.parse(each.body.encode()))
                for each in found
                if each.body is not None
            )
            self._places = state
        return self._terms

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
