"""Reminders: noted as they come up, and told together, at most once a day and not at night.

http://hl7.org/fhir/R4/communication.html

A reminder is a Communication of the hub to one organization. It names the Tasks that it is about and
says nothing of a person.
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access import viewer
from coordhub.directory import calendars
from coordhub.record import commit
from coordhub.record.hub import instant
from coordhub.record.operations import Create
from coordhub.record.rules.reminder import CATEGORY
from coordhub.referral import quiet
from coordhub.referral import timers as kinds
from coordhub.referral.calendar import Calendar
from coordhub.routing.firing import Firing
from coordhub.store import reminders, resources, timers
from coordhub.store.reminders import Reminder

Document = dict[str, Any]

MOST: Final = 100
"""What one Communication tells of; the rest waits for the next day."""


async def calendar(firing: Firing, recipient: str) -> Calendar:
    hub = firing.hub
    return await calendars.calendar_of(firing.conn, recipient, hub.base, hub.deadlines.calendar)


async def remind(
    firing: Firing, organization: int, recipient: str | None = None, about: int | None = None
) -> None:
    """Note that this organization is to be reminded of what the timer is about, and when it will be.

    recipient: as it was addressed. about: rid of another Task than the timer's.
    """
    timer, conn = firing.timer, firing.conn
    subject = timer.subject if about is None else about
    await reminders.add(
        conn, organization, timer.episode, subject, timer.subject, timer.kind, firing.now
    )
    await _set(firing, organization, recipient)


async def _set(firing: Firing, organization: int, recipient: str | None = None) -> None:
    conn, now = firing.conn, firing.now
    if recipient is None:
        found = await resources.read_rids(conn, viewer.deciding(), [organization])
        recipient = found[organization].reference
    last = await reminders.last_told(conn, organization)
    there = await calendar(firing, recipient)
    due = quiet.moment(there, firing.hub.deadlines.quiet, now, last)
    await timers.set_if_none(conn, kinds.DIGEST, organization, now, due)


async def send(firing: Firing) -> None:
    """Tell what waits to be told to the organization that the timer is about."""
    conn, organization = firing.conn, firing.timer.subject
    waiting = [
        one
        for one in await reminders.waiting(conn, organization)
        if one.episode is None or one.episode in firing.episodes
    ]
    told = waiting[:MOST]
    communication = await _communication(firing, told) if told else None
    looked_at = sorted(firing.episodes)
    await reminders.told(
        conn, organization, [one.id for one in told], communication, looked_at, firing.now
    )
    if await reminders.waiting(conn, organization):
        await _set(firing, organization)


async def _communication(firing: Firing, told: list[Reminder]) -> int:
    conn, organization = firing.conn, firing.timer.subject
    subjects = list(dict.fromkeys(one.subject for one in told))
    stored = await resources.read_rids(conn, viewer.deciding(), [organization, *subjects])
    document: Document = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [CATEGORY],
        "sent": instant(firing.now),
        "sender": {"reference": firing.hub.organization},
        "recipient": [{"reference": stored[organization].reference}],
        "about": [{"reference": stored[rid].reference} for rid in subjects if rid in stored],
        "payload": [{"contentString": text} for text in quiet.said([one.kind for one in told])],
    }
    create = Create("Communication", document)
    [written], _ = await commit.apply(firing.hub, conn, firing.me, [create], interaction="create")
    return written.rid
