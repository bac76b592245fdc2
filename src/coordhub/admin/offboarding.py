"""An organization leaves: nothing is asked of it, sent to it or taken from it any longer, and nobody is left waiting.

First what it wrote is given to it. Then, step by step, each of which is as good a second time: its clients are
let in no more, its links open nothing and what waits for it is not sent; what it is reached, found and told by
is off; where it was asked somebody else is, by the same rules as when it had said no itself; of what it sent
itself, whoever coordinates is asked to look after it, or it is withdrawn, as the operator says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from coordhub.access import caller, viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.record import commit, coordinating, errands, parties
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Operation, Update
from coordhub.referral import task_machine as machine
from coordhub.store import (
    accounts,
    apps,
    audit,
    episodes,
    links,
    offboarding,
    onboarding,
    resources,
    sharing,
    vsp,
)
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow
from coordhub.store.visibility import DIRECTORY

REASON: Final = machine.REASONS["offboarded"]


@dataclass(slots=True)
class Left:
    """What was done. handed: referrals in which it was asked; own: that it had sent itself."""

    clients: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    suppressed: int = 0
    entries: list[str] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)


async def export(
    hub: Hub, by: Operator, organization: str, write: Callable[[bytes], object]
) -> int:
    """All that it wrote and that stands, a line for each (NDJSON), with a row of the audit; how many."""
    async with hub.engine.pool.acquire() as conn, conn.transaction(isolation="repeatable_read"):
        found = await _named(conn, organization)
        rids: list[int] = []
        view = viewer.as_organization(found.rid)
        async for one in offboarding.written_by(conn, view, found.rid):
            write((one.body or "{}").encode() + b"\n")
            rids.append(one.rid)
        said = f"by={by.account}&for={organization}"
        row = AuditRow(
            None, found.rid, "export", 0, "Organization", found.id, tuple(rids), query=said
        )
        await audit.append(conn, row, hub.clock())
    return len(rids)


async def offboard(
    hub: Hub, by: Operator, organization: str, reason: str, *, withdraw: bool
) -> Left:
    """withdraw: its own open referrals are withdrawn, where nobody coordinates them."""
    left = Left()
    async with hub.engine.transaction() as conn:
        found = await _named(conn, organization)
        left.clients = await offboarding.clients_off(conn, found.rid)
        left.clients += await onboarding.end_all(conn, found.rid, reason)
        await apps.end_all(conn, hub.clock(), organization=found.rid)
        await links.close(conn, found.rid)
        await sharing.take_all_back(conn, found.rid)
        left.people = await accounts.deactivate_all(conn, found.rid)
        left.suppressed = await offboarding.suppress(
            conn, found.rid, "the organization has left", hub.clock()
        )
        said = {
            "organization": organization,
            "reason": reason,
            "clients": ",".join(left.clients),
            "people": ",".join(left.people),
        }
        await note(conn, by, "offboarded", hub.clock(), said)
    left.entries = await _switch_off(hub, found)
    async with hub.engine.pool.acquire() as conn:
        asked = await offboarding.asked_in(conn, found.rid)
        sent = await offboarding.sent_by(conn, found.rid)
    for episode in asked:
        left.handed += await _hand_on(hub, found, episode)
    for episode in sent:
        left.own += await _look_after(hub, found, episode, withdraw=withdraw)
    hub.engine.wake()
    return left


async def _switch_off(hub: Hub, found: Version) -> list[str]:
    """Its entries, whoever wrote them, in the name of who did."""
    async with hub.engine.transaction() as conn:
        deciding = viewer.deciding()
        entries = await vsp.entries_of(conn, deciding, found.rid)
        entries += await offboarding.own_entries(conn, deciding, found.rid)
        if all(one.rid != found.rid for one in entries):
            entries += (await resources.read_rids(conn, deciding, [found.rid])).values()
        done: list[str] = []
        for source in sorted({one.source for one in entries}):
            updates = [
                Update(one.type, one.id, changed)
                for one in entries
                if one.source == source and (changed := _off(one)) is not None
            ]
            if updates:
                writer = Caller(
                    None, source, "" if source == DIRECTORY else found.reference, EVERYTHING
                )
                await commit.apply(hub, conn, writer, updates, interaction="transaction")
                done += [f"{one.type}/{one.id}" for one in updates]
    return sorted(done)


def _off(entry: Version) -> dict[str, Any] | None:
    """As it is to be; None where it is off already, or cannot be."""
    document = parties.document(entry)
    element, value = _STATES.get(entry.type, ("", None))
    if not element or document.get(element) == value:
        return None
    return {**document, element: value}


_STATES: Final[dict[str, tuple[str, Any]]] = {
    "Endpoint": ("status", "off"),
    "HealthcareService": ("active", False),
    "Location": ("status", "inactive"),
    "Organization": ("active", False),
    "OrganizationAffiliation": ("active", False),
    "PractitionerRole": ("active", False),
    "Subscription": ("status", "off"),
}


async def _hand_on(hub: Hub, found: Version, number: int) -> list[str]:
    """What it was asked in this referral ends; who comes next is decided as always."""
    me = caller.hub(hub.organization)
    async with hub.engine.transaction() as conn:
        episode = (await episodes.lock(conn, [number]))[number]
        asked = [one.task for one in episode.candidates if one.organization == found.rid]
        tasks = await resources.read_rids(conn, viewer.deciding(), asked)
        updates: list[Operation] = []
        for task in tasks.values():
            document = parties.document(task)
            if task.body is None or document["status"] in machine.TERMINAL:
                continue
            status = "failed" if document["status"] in machine.WON else "cancelled"
            updates.append(
                Update(
                    "Task",
                    task.id,
                    {
                        **document,
                        "status": status,
                        "statusReason": machine.concept(REASON),
                        "lastModified": instant(hub.clock()),
                    },
                )
            )
        if updates:
            await commit.apply(hub, conn, me, updates, interaction="transaction")
    return [one.reference for one in tasks.values()] if updates else []


async def _look_after(hub: Hub, found: Version, number: int, *, withdraw: bool) -> list[str]:
    """Its own referral: an errand for who coordinates, or withdrawn; left as it is otherwise."""
    async with hub.engine.transaction() as conn:
        episode = (await episodes.lock(conn, [number]))[number]
        task = (await resources.read_rids(conn, viewer.deciding(), [number]))[number]
        owner = await coordinating.owner(hub, conn, episode)
        if owner is not None:
            if any(one.kind == "overdue" and one.closed_at is None for one in episode.errands):
                return []
            made = errands.document(
                kind="overdue", owner=owner, subject=task.reference, reason=REASON,
                requester=hub.organization, now=hub.clock(),
            )  # fmt: skip
            me = caller.hub(hub.organization)
            await commit.apply(hub, conn, me, [Create("Task", made)], interaction="create")
        elif withdraw:
            document = {
                **parties.document(task),
                "status": "cancelled",
                "statusReason": machine.concept(machine.REASONS["requester-cancelled"]),
            }
            requester = Caller(None, found.rid, found.reference, EVERYTHING)
            update = Update("Task", task.id, document)
            await commit.apply(hub, conn, requester, [update], interaction="update")
        else:
            return []
    return [task.reference]


async def _named(conn: Connection, organization: str) -> Version:
    kind, _, fhir_id = organization.partition("/")
    found = None
    if kind == "Organization":
        found = await resources.read(conn, viewer.deciding(), kind, fhir_id)
    if found is None or found.deleted:
        raise NothingDone(f"there is no {organization} here. Name it as Organization/id.")
    return found
