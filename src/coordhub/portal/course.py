"""The referrals of a person, all that are shown: how each stands, what happened, who is waited for.

http://hl7.org/fhir/us/sdoh-clinicalcare (Task for referral management)

Of a referral that the organization sent, or is asked by, it says what the board says; of one that it is only shown,
what its Task says. Where a victim service provider was asked, nothing is said: a page is printed, and lies about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.portal import board, occurrences
from coordhub.portal.board import Names, Step
from coordhub.portal.occurrences import Entry, Paper, Wall
from coordhub.portal.sheets import words
from coordhub.record import errands, parties
from coordhub.record.hub import Hub
from coordhub.record.timing import ROUTINE, priority
from coordhub.referral import task_machine as machine
from coordhub.referral import timeline as pure
from coordhub.store import chart, timeline
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.timeline import Moments, Told
from coordhub.store.visibility import Viewer

MOST: Final = 60
"""Referrals of a person that are looked at: the newest."""

TOLD: Final = frozenset(
    {"sent", "accepted", "scheduled", "waitlisted", "seen", "declined", "failed", "completed", "closed"}
)  # fmt: skip
"""Events of a referral that its time line in a chart has; the rest stands on its own page."""


@dataclass(frozen=True, slots=True)
class Course:
    """One referral. href: its page, "" where it has none. who: names of those asked; steps: what is next."""

    title: str
    state: str
    urgent: bool
    over: bool
    href: str
    who: tuple[str, ...]
    steps: tuple[Step, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is read of them. hidden: rids of what nothing is said of."""

    tasks: tuple[Paper, ...]
    told: tuple[tuple[Told, Moments], ...]
    hidden: frozenset[int]

    @property
    def names(self) -> set[str]:
        """`Type/id` of who takes part."""
        found: set[str] = set()
        for told, moments in self.told:
            found |= {told.requester, *(one.recipient for one in told.asked)}
            found |= {one.owner for one in moments.errands}
            found |= {step.who for step in pure.expected(told, moments)}
        return {one for one in found if "/" in one}

    @property
    def rids(self) -> tuple[int, ...]:
        return tuple(one.version.rid for one in self.tasks)


async def asked(conn: Connection, view: Viewer, tasks: Sequence[Paper]) -> Asked:
    """What these Tasks of one person say, newest first, and what the hub knows of the referrals."""
    meant = [
        one for one in tasks
        if one.stands and errands.kind_of(one.document) is None
        and one.document.get("intent") in ("order", "filler-order")
    ][:MOST]  # fmt: skip
    rids = [one.version.rid for one in meant]
    if not rids:
        return Asked((), (), frozenset())
    hidden = frozenset(await chart.apart(conn, rids))
    told = [
        one
        for one in await timeline.told_of(conn, view, [rid for rid in rids if rid not in hidden])
        if not any(each.apart for each in one.asked)
    ]
    known = {one.id: one for one in told}
    moments = await timeline.moments_of(conn, view, list(known.values())) if known else []
    shown = tuple(one for one in meant if one.version.rid not in hidden)
    return Asked(shown, tuple(zip(known.values(), moments, strict=True)), hidden)


def focus(task: dict[str, Any], base: str) -> str:
    return parties.local(task.get("focus"), base) or ""


def courses(
    hub: Hub,
    found: Asked,
    known: Mapping[str, Version],
    orders: Mapping[str, dict[str, Any]],
    wall: Wall,
) -> list[Course]:
    """One for each referral, newest first. known: who takes part, as shown; orders: ServiceRequests by name."""
    told = {one.id: (one, moments) for one, moments in found.told}
    by_name = {one.version.reference: one for one in found.tasks}
    parts: dict[str, list[Paper]] = {}
    for one in found.tasks:
        for text in parties.locals_of(one.document.get("partOf"), hub.base):
            parts.setdefault(text, []).append(one)
    whole = [
        one
        for one in found.tasks
        if not any(
            text in by_name for text in parties.locals_of(one.document.get("partOf"), hub.base)
        )
    ]
    return [
        _course(hub, one, parts.get(one.version.reference, []), told, known, orders, wall)
        for one in whole
    ]


def _course(
    hub: Hub,
    paper: Paper,
    parts: Sequence[Paper],
    told: Mapping[int, tuple[Told, Moments]],
    known: Mapping[str, Version],
    orders: Mapping[str, dict[str, Any]],
    wall: Wall,
) -> Course:
    t, task = wall.t, paper.document
    title = _title(task, orders, hub.base) or t("A request")
    over = str(task.get("status")) in machine.TERMINAL
    state = t(board.state_of(task))
    urgent = priority(task) != ROUTINE
    if paper.version.rid not in told:
        owners = [
            name
            for one in (parts or [paper])
            if (name := _name(parties.local(one.document.get("owner"), hub.base), known))
        ]
        at, month, when = wall.of(paper)
        entry = Entry(at, month, when, "Task", title, state, ", ".join(owners))
        return Course(title, state, urgent, over, "", tuple(owners), (), (entry,))
    one, moments = told[paper.version.rid]
    if one.whole and moments.needs:
        titles = [words((orders.get(each.request) or {}).get("code")) for each in moments.needs]
        title = ", ".join(dict.fromkeys(each for each in titles if each)) or title
    recipients = {each.ordinal: each.recipient for each in one.asked}
    called = Names(one, recipients, dict(known), hub.organization, t)
    href = f"/{'referrals' if one.whole else 'tasks'}/{paper.version.id}"
    return Course(
        title, state, urgent, over, href,
        tuple(dict.fromkeys(
            name for each in one.asked if (name := called.of(each.ordinal, ""))
        )),
        tuple(board.steps_of(pure.expected(one, moments), called, wall.now)),
        tuple(_entries(one, moments, title, called, href, wall)),
    )  # fmt: skip


def _entries(
    told: Told, moments: Moments, title: str, called: Names, href: str, wall: Wall
) -> list[Entry]:
    t, found = wall.t, []
    for event in pure.events(told, moments):
        if event.what not in TOLD or (event.what == "closed" and event.status == "completed"):
            continue
        at, month, when = wall.instant(event.at)
        why = t(machine.REASONS[event.reason].text) if event.reason in machine.REASONS else ""
        said = f"{t(pure.EVENTS[event.what])}{f' ({why})' if why else ''}"
        who = called.of(event.ordinal, "") if event.ordinal is not None else ""
        found.append(Entry(at, month, when, "Task", title, said, who, href))
    return found


def _title(task: dict[str, Any], orders: Mapping[str, dict[str, Any]], base: str) -> str:
    order = orders.get(focus(task, base)) or {}
    return words(order.get("code")) or words(task.get("code"))


def _name(text: str | None, known: Mapping[str, Version]) -> str:
    found = known.get(text or "")
    return occurrences.name_in(found) if found is not None else ""
