"""Lines of a list: what both the worklist and the board have of a Task.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from coordhub.portal.sheets import name_of, words
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

Document = dict[str, Any]
Named = Mapping[str, Version]
"""What is shown, by `Type/id`."""


LENGTH: Final = 50
"""Lines on a page. Whom the others are for is not looked up."""


@dataclass(frozen=True, slots=True)
class Item:
    """state: how it stands, in words. person: whom it is for, as far as it is shown. late: `due` is over.

    errand: it is not to meet a need. waits: what its organization is asked to do about it, in words.
    """

    id: str
    tab: str
    title: str
    person: str
    urgent: bool
    state: str
    since: datetime
    due: datetime | None
    late: bool
    errand: bool = False
    waits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of one tab of a list. rids: what is shown, for the audit. show: which. counts: of each tab that was
    looked at. is_full: there may be more than was looked at. start: lines before these; following: behind them."""

    items: tuple[Item, ...]
    rids: tuple[int, ...]
    start: int
    following: int
    show: str
    counts: Mapping[str, int]
    is_full: bool


def beginning(text: str) -> int:
    """How many lines are before the page that is asked for; what is no number begins at the first."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0


async def page(
    hub: Hub,
    conn: Connection,
    view: Viewer,
    kept: Sequence[tuple[Item, Version, Document]],
    start: int,
    length: int,
) -> tuple[tuple[Item, ...], tuple[int, ...], int, int]:
    """The lines of a tab from `start`, with their names; what is shown by them (rids); where they begin, and how many
    follow. kept: all lines in their order, each with its Task.

    Of an errand it is not looked up what it is about: a result that it asks to see is not seen by that.
    """
    start = start if start < len(kept) else 0
    cut = kept[start : start + length]
    known = await named(
        hub, conn, view, ({"for": doc.get("for")} if item.errand else doc for item, _, doc in cut)
    )
    items = tuple(
        replace(
            item,
            title=item.title or title(document, known, hub.base),
            person=person(document, known, hub.base),
        )
        for item, _, document in cut
    )
    rids = (*(task.rid for _, task, _ in cut), *(one.rid for one in known.values()))
    return items, rids, start, max(0, len(kept) - start - len(cut))


async def named(
    hub: Hub, conn: Connection, view: Viewer, documents: Iterable[Document]
) -> dict[str, Version]:
    """What Tasks are about and whom for, as far as it is shown."""
    texts = {
        text
        for one in documents
        for name in ("focus", "for")
        if (text := parties.local(one.get(name), hub.base))
    }
    return await shown(conn, view, texts)


async def shown(conn: Connection, view: Viewer, texts: Iterable[str]) -> dict[str, Version]:
    """Those of these (`Type/id`) that are there to be seen."""
    pairs = sorted((kind, fhir_id) for kind, _, fhir_id in (one.partition("/") for one in texts))
    found = await resources.read_names(conn, view, pairs) if pairs else {}
    return {
        f"{kind}/{fhir_id}": one for (kind, fhir_id), one in found.items() if one.body is not None
    }


def title(task: Document, known: Named, base: str) -> str:
    about = known.get(parties.local(task.get("focus"), base) or "")
    order = parties.document(about) if about is not None else {}
    return words(order.get("code")) or words(task.get("code"))


def person(task: Document, known: Named, base: str) -> str:
    whom = known.get(parties.local(task.get("for"), base) or "")
    names = parties.document(whom).get("name") if whom is not None else None
    return name_of(names[0]) if names else ""
