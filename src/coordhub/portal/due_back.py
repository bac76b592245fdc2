"""What is to come back of a referral, by the kit of its kind, and what of it has: the same for both sides.

http://hl7.org/fhir/us/davinci-hrex (data-code: the kind of document that is asked for), docs/referrals.md

Read with the Viewer of who looks: what it is not shown has not come, for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coordhub.insight import kits
from coordhub.insight.same_question import Code
from coordhub.portal import listed
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.referral import data_request
from coordhub.referral.results import RETRACTED
from coordhub.referral.wanted import codes
from coordhub.store import timeline
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Due:
    """there: it has come. if_any: there may be none, and nobody is reminded of it."""

    title: str
    there: bool
    if_any: bool


async def due_back(hub: Hub, conn: Connection, view: Viewer, task: Version) -> tuple[Due, ...]:
    """Of the Task of who referred, or of one that asks: nothing before somebody has taken it on."""
    told = await timeline.told(conn, view, task.rid)
    if told is None or not any(one.accepted_at and not one.apart for one in told.asked):
        return ()
    document = parties.document(task)
    if not told.whole and not any(True for _ in data_request.questions(document)):
        return ()
    focus = parties.local(document.get("focus"), hub.base)
    orders = parties.locals_of(
        [one.get("valueReference") for one in document.get("input") or ()], hub.base
    )
    came = (await timeline.moments(conn, view, told)).brought
    names = {one.reference for one in came}
    known = await listed.shown(conn, view, {*([focus] if focus else ()), *orders, *names})
    brought = {
        code for name in names & known.keys() for code in _coded(parties.document(known[name]))
    }
    found: dict[str, Due] = {}
    for name in (focus, *orders):
        if name is None or name not in known or not name.startswith("ServiceRequest/"):
            continue
        kit = kits.of(parties.document(known[name]))
        for one in kit.back if kit is not None else ():
            there = not frozenset(one.codes).isdisjoint(brought)
            found.setdefault(one.title, Due(one.title, there, one.if_any))
    return tuple(found.values())


def _coded(document: Document) -> Iterator[Code]:
    if document.get("status") not in RETRACTED:
        for name in ("code", "type"):
            yield from codes(document.get(name))
