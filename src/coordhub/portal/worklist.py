"""What an organization is asked, as a list: what is new, what it has taken on, what is over.

http://hl7.org/fhir/R4/task.html

Everything is read with the Viewer of the organization; what is not shown to it has no name here.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Final

from coordhub.access import viewer
from coordhub.portal import listed
from coordhub.portal.listed import Item, Listed
from coordhub.record import errands, parties
from coordhub.record.hub import Hub
from coordhub.record.timing import ROUTINE, priority
from coordhub.referral import wording
from coordhub.store import desk
from coordhub.store.desk import Line
from coordhub.store.engine import Connection

MOST: Final = 300
"""Tasks on the list, by pages: all that are open, and the newest of what is over."""

NEW: Final = frozenset({"requested", "received"})
ACTIVE: Final = frozenset({"accepted", "ready", "in-progress", "on-hold"})

STATES: Final = {
    "requested": "New",
    "received": "New",
    "accepted": "Accepted",
    "ready": "Accepted",
    "in-progress": "At work",
    "on-hold": "On hold",
    "completed": "Completed",
    "failed": "Not achieved",
    "rejected": "Declined",
    "cancelled": "No longer asked",
    "entered-in-error": "No longer asked",
}

BUSINESS: Final = {
    "waitlisted": "On the waiting list",
    "awaiting-information": "Waits for information",
    "information-received": "Information has come",
    "appointment-scheduled": "Appointment made",
    "cancellation-requested": "Asked to stop",
}

Document = dict[str, Any]


async def worklist(
    hub: Hub,
    conn: Connection,
    organization: int,
    show: str,
    start: int = 0,
    length: int = listed.LENGTH,
) -> Listed:
    """What is under `show`, from the line `start`; how much there is under each tab that is open, of what is over where
    it is shown.

    What is not shown is not looked at: neither whom it is for, nor what was over long ago.
    """
    view = viewer.as_organization(organization)
    lines = await desk.inbox(conn, view, MOST, over=show == "done")
    documents = [parties.document(line.task) for line in lines]
    tabs = [_tab(line, document) for line, document in zip(lines, documents, strict=True)]
    now = hub.clock()
    kept = sorted(
        (
            (_item(line, document, tab, now), line.task, document)
            for line, document, tab in zip(lines, documents, tabs, strict=True)
            if tab == show
        ),
        key=lambda one: _order(one[0]),
    )
    page = await listed.page(hub, conn, view, kept, start, length)
    return Listed(*page, show, Counter(tabs), len(lines) >= MOST)


def _order(item: Item) -> tuple[Any, ...]:
    """What is open by urgency and time limit, the oldest first; what is over, the newest first."""
    if item.tab == "done":
        return (1, False, 0, -item.since.timestamp())
    due = item.due.timestamp() if item.due is not None else float("inf")
    return (0, not item.urgent, due, item.since.timestamp())


def _tab(line: Line, document: Document) -> str:
    status = str(document.get("status"))
    if status not in NEW | ACTIVE:
        return "done"
    return "open" if status in NEW or line.errand else "active"


def _item(line: Line, document: Document, tab: str, now: datetime) -> Item:
    """Without its names, which are looked up of what is shown."""
    over = tab == "done"
    return Item(
        line.task.id,
        tab,
        errands.KINDS[line.errand] if line.errand else "",
        "",
        priority(document) != ROUTINE,
        state_of(document),
        line.since,
        None if over else line.due,
        not over and line.due is not None and line.due < now,
        bool(line.errand),
    )


def state_of(document: Document) -> str:
    """How a Task stands, in English words."""
    status = str(document.get("status"))
    said = BUSINESS.get(wording.business_of(document) or "")
    return said if said is not None and status in NEW | ACTIVE else STATES.get(status, status)
