"""The coordinator's board: what an organization has referred, how it stands, what it waits for and for whom.

http://hl7.org/fhir/us/sdoh-clinicalcare (Task for referral management)

Everything is read with the Viewer of the organization, and says what `$status-of-referral` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.access import viewer
from coordhub.portal import listed, unhelped
from coordhub.portal.language import Words
from coordhub.portal.listed import Item, Listed
from coordhub.portal.sheets import name_of, words
from coordhub.portal.worklist import STATES
from coordhub.record import errands, parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Update
from coordhub.record.parent import code_of
from coordhub.record.timing import ROUTINE, priority
from coordhub.referral import task_machine as machine
from coordhub.referral import timeline as pure
from coordhub.referral import wording
from coordhub.referral.episode import BUSINESS_STATUSES
from coordhub.store import desk, resources, timeline
from coordhub.store.desk import Out
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.timeline import Told

MOST: Final = 300
"""Referrals on the board, by pages: all that are open, and the newest of what is over."""

TABS: Final = {"stuck": "Needs you", "open": "Under way", "done": "Over"}

QUESTION: Final = "Answer what a recipient asks"

LIMITS: Final = {
    "accept-due": "the time to answer was over",
    "accept-by": "the time to answer was over for good",
    "first-contact": "the time for a first contact was over",
    "progress": "nothing was said for a long time",
    "progress-overdue": "still nothing was said",
    "appointment": "the time for an appointment was over",
    "consult-note": "the note after the visit was due",
    "result": "the result was due",
    "waitlist": "the place on the waiting list was to be looked at",
    "whole": "the time for the whole referral was over",
}
"""Kinds of timers -> what somebody is told when one has run out."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened. who: whom it is about; why: of what was declined; late: a time ran out."""

    at: datetime
    what: str
    who: str
    why: str
    late: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What is expected. phone: by which its owner is called. theirs: of a recipient, who may be called."""

    what: str
    who: str
    phone: str
    by: datetime | None
    late: bool
    theirs: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One referral. rids: what is shown of it."""

    title: str
    person: str
    urgent: bool
    state: str
    over: bool
    why: str
    steps: tuple[Step, ...]
    moments: tuple[Moment, ...]
    task: Version
    document: Document
    rids: tuple[int, ...]


async def board(
    hub: Hub,
    conn: Connection,
    organization: int,
    show: str,
    start: int = 0,
    length: int = listed.LENGTH,
) -> Listed:
    """What is under `show`, from the line `start`, of which alone it is looked up whom it is for; and how much there is
    under each tab.

    show: what is no tab is what needs somebody, if there is any of that, else what is under way.
    """
    view = viewer.as_organization(organization)
    left = await unhelped.left(hub, conn, organization)
    again = {one.task.rid for one in left}
    newest = await desk.outbox(conn, view, MOST)
    found = [*left, *(one for one in newest if one.task.rid not in again)]
    tabs = [_tab(one, one.task.rid in again) for one in found]
    if show not in TABS:
        show = "stuck" if "stuck" in tabs else "open"
    now = hub.clock()
    kept = sorted(
        (
            (_item(one, document, now, left=one.task.rid in again), one.task, document)
            for one, document, tab in (
                (one, parties.document(one.task), tab)
                for one, tab in zip(found, tabs, strict=True)
                if tab == show
            )
        ),
        key=lambda each: _order(each[0]),
    )
    page = await listed.page(hub, conn, view, kept, start, length)
    return Listed(*page, show, Counter(tabs), len(found) >= MOST)


def _order(item: Item) -> tuple[Any, ...]:
    """What is late first, then what is urgent, then what is due first; what is over, the newest first."""
    if item.tab == "done":
        return (1, False, False, 0, -item.since.timestamp())
    due = item.due.timestamp() if item.due is not None else float("inf")
    return (0, not item.late, not item.urgent, due, item.since.timestamp())


def _tab(out: Out, left: bool) -> str:
    over = out.closed is not None
    if out.waits or out.queued or left or (out.asked and not over):
        return "stuck"
    return "done" if over else "open"


def _item(out: Out, document: Document, now: datetime, *, left: bool) -> Item:
    """Without its names, which are looked up of what is shown."""
    over = out.closed is not None
    asked = out.asked and not over
    due = None if over else out.due
    return Item(
        out.task.id,
        _tab(out, left),
        "",
        "",
        priority(document) != ROUTINE,
        state_of(document),
        out.since,
        due,
        due is not None and due < now,
        waits=(
            *((unhelped.REFER_AGAIN,) if left else ()),
            *((QUESTION,) if asked else ()),
            *(errands.KINDS[kind] for kind in out.waits if kind in errands.KINDS),
        ),
    )


def state_of(document: Document) -> str:
    """In English words; of what is over, how it ended."""
    business = BUSINESS_STATUSES.get(wording.business_of(document) or "")
    return business or STATES.get(str(document.get("status")), str(document.get("status")))


async def sheet(
    hub: Hub, conn: Connection, organization: int, fhir_id: str, t: Words
) -> Sheet | None:
    """A referral that the organization has opened; None for all others."""
    view = viewer.as_organization(organization)
    task = await resources.read(conn, view, "Task", fhir_id)
    if task is None or task.body is None:
        return None
    told = await timeline.told(conn, view, task.rid)
    if told is None or not told.whole or told.episode != task.rid:
        return None
    moments = await timeline.moments(conn, view, told)
    document, now = parties.document(task), hub.clock()
    recipients = {one.ordinal: one.recipient for one in told.asked}
    expected = pure.expected(told, moments)
    owners = {step.who for step in expected} | {one.owner for one in moments.errands}
    named = {
        text for name in ("focus", "for") if (text := parties.local(document.get(name), hub.base))
    }
    named |= {one for one in (*recipients.values(), *owners, told.requester) if "/" in one}
    known = await listed.shown(conn, view, named)
    called = Names(told, recipients, known, hub.organization, t)
    happened = [
        Moment(
            event.at,
            _what(event, t),
            called.of(event.ordinal, event.owner),
            t(machine.REASONS[event.reason].text) if event.reason in machine.REASONS else "",
            event.what == "due",
        )
        for event in pure.events(told, moments)
        if event.what != "status" and not (event.what == "due" and event.kind not in LIMITS)
    ]
    steps = steps_of(expected, called, now)
    why = document.get("statusReason")
    return Sheet(
        listed.title(document, known, hub.base),
        listed.person(document, known, hub.base),
        priority(document) != ROUTINE,
        state_of(document),
        told.closed_at is not None,
        _why(why, t),
        tuple(steps),
        tuple(reversed(happened)),
        task,
        document,
        tuple(dict.fromkeys([task.rid, *(one.rid for one in known.values())])),
    )


def steps_of(expected: Sequence[pure.Next], called: Names, now: datetime) -> list[Step]:
    """What is expected, in words."""
    return [
        Step(
            called.t(pure.STEPS.get(step.what) or errands.KINDS.get(step.what) or step.what),
            called.of(step.ordinal if step.who == "recipient" else None, step.who),
            called.phone(step.ordinal if step.who == "recipient" else None, step.who),
            step.by,
            step.by is not None and step.by < now,
            step.who == "recipient",
        )
        for step in expected
    ]


def _why(reason: object, t: Words) -> str:
    """A reason, in the language where it is one of the hub's; what somebody said besides stands behind it."""
    said, known = words(reason), machine.REASONS.get(code_of(reason, machine.REASON_SYSTEM))
    if known is None or not said.startswith(known.text):
        return said
    return f"{t(known.text)}{said[len(known.text) :]}"


def _what(event: pure.Event, t: Words) -> str:
    if event.what == "due":
        return t(LIMITS[event.kind])
    if event.what in ("errand", "errand-done"):
        kind = t(errands.KINDS.get(event.kind, event.kind))
        return f"{t(pure.EVENTS[event.what])}: {kind}"
    return t(pure.EVENTS[event.what])


@dataclass(frozen=True, slots=True)
class Names:
    """How those who take part in a referral are called. recipients: by ordinal; known: what is shown of them."""

    told: Told
    recipients: dict[int, str]
    known: dict[str, Version]
    hub: str
    t: Words

    def of(self, ordinal: int | None, who: str) -> str:
        reference = self._reference(ordinal, who)
        if reference in ("hub", self.hub):
            return "coordhub"
        if reference in ("requester", self.told.requester):
            return self.t("you")
        found = self.known.get(reference)
        if found is None:
            return self.t("whoever claims it") if ordinal is not None else ""
        name = parties.document(found).get("name")
        return name_of(name[0]) if isinstance(name, list) and name else str(name or "")

    def phone(self, ordinal: int | None, who: str) -> str:
        reference = self._reference(ordinal, who)
        if reference == self.told.requester:  # nobody calls itself
            return ""
        found = self.known.get(reference)
        listed = parties.document(found).get("telecom") or [] if found is not None else []
        return next(
            (
                str(one["value"])
                for one in listed
                if one.get("system") == "phone" and one.get("value")
            ),
            "",
        )

    def _reference(self, ordinal: int | None, who: str) -> str:
        return self.recipients.get(ordinal, "") if ordinal is not None else who


async def cancel(hub: Hub, caller: Any, found: Sheet, said: str, seen: int | None) -> None:
    """Withdraw it; FhirError where the hub refuses. Who has begun is asked to stop."""
    concept: Document = machine.concept(machine.REASONS["requester-cancelled"])
    if said:
        concept["text"] = f"{machine.REASONS['requester-cancelled'].text}: {said}"
    changed = {
        **found.document, "status": "cancelled", "statusReason": concept,
        "lastModified": instant(hub.clock()),
    }  # fmt: skip
    update = Update("Task", found.task.id, changed, if_match=seen or found.task.version)
    await commit(hub, caller, [update], interaction="update")
