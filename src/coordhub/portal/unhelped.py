"""What was referred and has ended without help: looked at again by who referred, and referred anew or laid aside.

http://hl7.org/fhir/R4/task-definitions.html#Task.basedOn, http://hl7.org/fhir/R4/resource.html#Meta

The only one who was named declines, or what was begun was not achieved: the Task has ended, and nobody else is asked.
It stays among what needs its organization until another Task names it in basedOn, or a tag of its own says that
nothing more is to be done; both can be written by the API, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.insight import kits
from coordhub.portal import candidates, listed
from coordhub.portal.sheets import words
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Update
from coordhub.record.parent import code_of
from coordhub.referral import task_machine as machine
from coordhub.referral.needs import WITHDRAWALS
from coordhub.referral.same_kind import SDOHCC
from coordhub.store import desk, episodes, resources, timeline, vsp
from coordhub.store.desk import Out
from coordhub.store.engine import Connection
from coordhub.store.resources import Version

REFER_AGAIN: Final = "Nobody helped: refer again, or close it"

LATELY: Final = timedelta(days=180)
"""How long after it was sent."""

SYSTEM: Final = "urn:coordhub:desk"
ASIDE: Final = "laid-aside"

MOST: Final = 100

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unmet:
    """A need that nobody has met. kind: by which the page of referring knows it, "" where it does not."""

    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A referral to go on from, by its Task. out: `Organization/id` of who was asked and did not help.

    is_open: it has to end first. orders: rids of what it asks for.
    """

    task: Version
    out: frozenset[str]
    is_open: bool
    orders: frozenset[int]


def is_left(document: Document) -> bool:
    """Whether this Task has ended without help, and nobody has said that nothing more is to be done."""
    reason = code_of(document.get("statusReason"), machine.REASON_SYSTEM)
    tags = (document.get("meta") or {}).get("tag") or []
    return (
        document.get("status") in ("rejected", "failed")
        and reason not in WITHDRAWALS
        and not any((one.get("system"), one.get("code")) == (SYSTEM, ASIDE) for one in tags)
    )


async def left(hub: Hub, conn: Connection, organization: int) -> list[Out]:
    """Those of the organization."""
    view = viewer.as_organization(organization)
    found = await desk.unhelped(conn, view, hub.clock() - LATELY, MOST)
    return [one for one in found if is_left(parties.document(one.task))]


async def unmet(hub: Hub, conn: Connection, organization: int, task: Version) -> Sequence[Unmet]:
    """What of this referral could be asked for again; nothing where nothing is to be done about it."""
    if task.rid not in {one.task.rid for one in await left(hub, conn, organization)}:
        return ()
    view = viewer.as_organization(organization)
    told = await timeline.told(conn, view, task.rid)
    if told is None or not told.whole:
        return ()
    needs = (await timeline.moments(conn, view, told)).needs
    known = await listed.shown(conn, view, {one.request for one in needs})
    orders = [
        parties.document(known[one.request])
        for one in needs
        if one.state == "unmet" and one.request in known
    ]
    return tuple(Unmet(words(one.get("code")), kind_of(one)) for one in orders)


def kind_of(order: Document) -> str:
    """Key of the kind that the page of referring knows this by; "" where it knows none."""
    known = candidates.kinds()
    for one in order.get("category") or []:
        for coding in one.get("coding") or []:
            if coding.get("system") == SDOHCC and coding.get("code") in known:
                return str(coding["code"])
    kit = kits.of(order)
    return kit.name if kit is not None and kit.name in known else ""


async def ended(conn: Connection, organization: int, fhir_id: str) -> Ended | None:
    """What the organization has referred and is to go on from; None where it has none of this id, or work has begun."""
    view = viewer.as_organization(organization)
    task = await resources.read(conn, view, "Task", fhir_id)
    if task is None or task.body is None:
        return None
    episode = (await episodes.read(conn, [task.rid])).get(task.rid)
    if episode is None or episode.requester != organization:
        return None
    apart = await vsp.marked(conn)
    is_open = episode.state == "open"
    if is_open and any(
        one.started_at is not None or one.organization in apart for one in episode.candidates
    ):
        return None
    asked = sorted({one.organization for one in episode.candidates} - apart)
    known = await resources.read_rids(conn, view, asked)
    out = frozenset(one.reference for one in known.values())
    return Ended(task, out, is_open, frozenset(one.request for one in episode.needs))


async def end(hub: Hub, caller: Caller, found: Ended) -> None:
    """Withdraw it, so that it can be asked for anew; FhirError where the hub refuses."""
    changed = {
        **parties.document(found.task),
        "status": "cancelled",
        "statusReason": machine.concept(machine.REASONS["requester-cancelled"]),
        "lastModified": instant(hub.clock()),
    }
    update = Update("Task", found.task.id, changed, if_match=found.task.version)
    await commit(hub, caller, [update], interaction="update")


async def lay_aside(hub: Hub, caller: Caller, task: Version, seen: int | None) -> None:
    """Say that nothing more is to be done; FhirError where the hub refuses."""
    document = parties.document(task)
    meta = document.get("meta") or {}
    tag = {"system": SYSTEM, "code": ASIDE, "display": "Nothing more is to be done"}
    changed = {
        **document,
        "meta": {**meta, "tag": [*(meta.get("tag") or []), tag]},
        "lastModified": instant(hub.clock()),
    }
    update = Update("Task", task.id, changed, if_match=seen or task.version)
    await commit(hub, caller, [update], interaction="update")
