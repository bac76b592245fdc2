"""A delivery to an organization that has a mailbox and no server: it is told that something waits.

The mail says how much waits, how urgent it is, and how to get there: no word of a person, of who refers, of
what for. It holds a link for each Task, good once and with the access code of the organization besides
(`coordhub.portal`). All that waits is told in one mail, at most so often; what is not urgent does not come at
night. That the relay took it is the transport's acknowledgement, that a link was used that it was opened;
neither is an answer.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from coordhub.access import viewer
from coordhub.directory import calendars
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.record.timing import ROUTINE, priority
from coordhub.referral import quiet
from coordhub.routing.channels.channel import Channel, Delivered, Message, Outcome
from coordhub.store import mailboxes, resources
from coordhub.store.deliveries import Claimed
from coordhub.store.mailboxes import Link
from coordhub.store.resources import Version

LINKS: Final = 20
"""In one mail; what is more is only counted."""

LEASE: Final = timedelta(minutes=2)
"""Longer than a mail takes to be handed in."""

TOLD = "told in the mail of another delivery"


@dataclass(frozen=True, slots=True)
class Manners:
    """every: at most one mail in this time to an organization. urgent: the same, where something is urgent.
    lifetime: how long a link opens. new_token: 256 bits, as text for an address."""

    every: timedelta = timedelta(minutes=15)
    urgent: timedelta = timedelta(minutes=1)
    lifetime: timedelta = timedelta(hours=72)
    new_token: Callable[[], str] = lambda: secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Later:
    """It is not its time, and nothing was sent."""

    at: datetime


@dataclass(frozen=True, slots=True)
class _Item:
    """token: of its link, None where there is none."""

    token: str | None
    urgent: bool


async def tell(
    hub: Hub, channel: Channel, manners: Manners, held: Claimed, address: str
) -> Outcome | Later:
    """Tell of all that waits there, unless it was told already, or is not to be told now."""
    now = hub.clock()
    async with hub.engine.transaction(at_last=True) as conn:
        if await mailboxes.is_told(conn, held.id):
            return Delivered(250, reason=TOLD)
        waiting = await mailboxes.waiting(conn, held.endpoint, held.organization)
        rids = list(dict.fromkeys(one.task for one in waiting if one.task is not None))
        view = viewer.as_organization(held.organization)
        tasks = await resources.read_rids(conn, view, [*rids, held.organization])
        own = next((one.task for one in waiting if one.delivery == held.id), None)
        urgent = own in tasks and _is_urgent(tasks[own])
        pause = manners.urgent if urgent else manners.every
        last = await mailboxes.last_told(conn, held.endpoint, held.organization)
        earliest = now if last is None else max(now, last + pause)
        if not urgent:
            recipient = tasks[held.organization].reference if held.organization in tasks else ""
            there = await calendars.calendar_of(conn, recipient, hub.base, hub.deadlines.calendar)
            earliest = quiet.moment(there, hub.deadlines.quiet, earliest, None)
        if earliest > now:
            return Later(earliest)
        if not await mailboxes.take(
            conn, held.endpoint, held.organization, now, LEASE, now - pause
        ):
            return Later(now + min(pause, LEASE))
        seen = [one for one in waiting if one.task in tasks or one.delivery == held.id]
        items = _items(tasks, [one.task for one in seen if one.task in tasks], manners)
        links = [
            Link(hashlib.sha256(item.token.encode()).digest(), held.organization, rid, held.id)
            for rid, item in items.items()
            if item.token is not None
        ]
        await mailboxes.issue(conn, links, now, manners.lifetime)
    subject, text = _written(hub.base, list(items.values()), now + manners.lifetime)
    message = Message(held.key, address, {"Subject": subject}, text.encode(), str(held.id))
    outcome = await channel.send(message)
    async with hub.engine.pool.acquire_at_last() as conn:
        if isinstance(outcome, Delivered):
            besides = [one.delivery for one in seen if one.delivery != held.id]
            await mailboxes.told(conn, held.endpoint, held.organization, held.id, besides, now)
        else:
            await mailboxes.leave(conn, held.endpoint, held.organization)
    return outcome


def _is_urgent(task: Version) -> bool:
    return task.body is not None and priority(parties.document(task)) != ROUTINE


def _items(
    tasks: dict[int, Version], rids: Sequence[int | None], manners: Manners
) -> dict[int, _Item]:
    """By Task, what is urgent first."""
    each = [rid for rid in dict.fromkeys(rids) if rid is not None]
    each.sort(key=lambda rid: not _is_urgent(tasks[rid]))
    return {
        rid: _Item(manners.new_token() if number < LINKS else None, _is_urgent(tasks[rid]))
        for number, rid in enumerate(each)
    }


def _written(base: str, items: Sequence[_Item], until: datetime) -> tuple[str, str]:
    """Subject and text."""
    host = urlsplit(base).hostname or ""
    urgent = sum(item.urgent for item in items)
    subject = f"{'Urgent: ' if urgent else ''}something waits for you"
    lines = [
        "Hello,",
        "",
        f"{_count(items, urgent)} at {host}.",
        "",
    ]
    for number, item in enumerate(items, 1):
        if item.token is not None:
            lines += [
                f"{number}. {'Urgent' if item.urgent else 'To be looked at'}:",
                f"{link_base(base)}/{item.token}",
                "",
            ]
    if any(item.token for item in items):
        lines += [
            "Each link opens once, with the access code of your organization, until",
            f"{until:%d %B %Y, %H:%M} UTC. Do not pass it on.",
            "",
        ]
    if any(item.token is None for item in items) or not items:
        lines += ["What has no link here you find when you sign in.", ""]
    lines += [
        "This mail says nothing of what it is about, for anybody may read a mail on its way.",
        "It was sent by a machine; nobody reads what is answered to it.",
        "",
    ]
    return subject, "\n".join(lines)


def _count(items: Sequence[_Item], urgent: int) -> str:
    number = max(len(items), 1)
    said = "Something waits for you" if number == 1 else f"{number} things wait for you"
    if urgent and number > 1:
        return f"{said}, {urgent} of them urgent,"
    return f"{said}, and it is urgent," if urgent else said


def link_base(base: str) -> str:
    """Where links lead: the address beside the FHIR base."""
    return f"{base.removesuffix('/fhir')}/links"
