"""The answers of a partner that answers on its own copy of the Task that asks it: the hub reads that.

By agreement, as often as was agreed. What is new on the copy is taken as if the partner had put it to
the hub, by the same rules; what its outputs name on that server is copied with it.

http://hl7.org/fhir/us/sdoh-clinicalcare (flow 3: the copy at the recipient is queried)
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.directory import bases
from coordhub.directory.bases import Base
from coordhub.errors import FhirError
from coordhub.record import originals, parties
from coordhub.record.operations import Update
from coordhub.record.originals import Original
from coordhub.referral import profiles, wording
from coordhub.referral import task_machine as machine
from coordhub.routing import fetching
from coordhub.routing.channels.channel import Refused, Source, Unchanged, Unreachable
from coordhub.routing.deliver import Sending
from coordhub.routing.fetching import Refusal
from coordhub.store import counterparts, fetches, partners, resources
from coordhub.store.counterparts import Told
from coordhub.store.engine import Connection
from coordhub.store.fetches import Fetch
from coordhub.store.resources import Version
from coordhub.store.visibility import EVERYONE

Document = dict[str, Any]

ANSWERED: Final = ("status", "statusReason", "businessStatus", "output", "note", "executionPeriod")
"""What a partner's copy of the Task that asks it can say anew."""


async def look(sending: Sending, held: Fetch) -> None:
    hub = sending.hub
    async with hub.engine.pool.acquire_at_last() as conn:
        asking = await _asking(conn, held)
        where = await bases.at(conn, held.endpoint, hub.clock())
        custom = await counterparts.custom(conn, held.organization, held.endpoint)
        eyes = viewer.as_organization(held.organization)
        known = await counterparts.of(conn, eyes, held.subject)
        profile = profiles.named(await partners.profile_of(conn, held.organization))
        behind = await fetches.is_behind(conn, held.subject, held.organization)
    if asking is None or custom.answers_every is None:
        await fetching.settle(sending, held, "done")
        return
    if where is None:
        await fetching.decide(sending, held, fetching.NO_BASE)
        return
    if behind:  # what it has is older than what it will have
        await fetching.settle(sending, held, "done", every=custom.answers_every)
        return
    copy = next((one for one in known if one.endpoint == held.endpoint), None)
    name = copy.theirs if copy is not None else asking.reference
    source = sending.channels[bases.SERVED]
    assert isinstance(source, Source)
    seen = copy.seen if copy is not None else None
    reading = await source.read(where.address, name, where.headers, seen, fetching.request_id(held))
    match reading:
        case Refused() | Unreachable():
            await fetching.decide(sending, held, fetching.named(reading, name))
            return
        case Unchanged():
            await fetching.settle(sending, held, "done", every=custom.answers_every)
            return
    ours = parties.document(asking)
    told = wording.told(profile, ours, hub.base)
    answered: Document = {
        element: reading.document[element]
        for element in ANSWERED
        if element in reading.document and reading.document[element] != told.get(element)
    }
    reason = None
    if answered:
        outcome = await _take(sending, held, where, asking, answered)
        if isinstance(outcome, Refused | Unreachable):
            await fetching.decide(sending, held, outcome)
            return
        reason = outcome.why if outcome is not None else None
    known_as = Told(held.subject, name, False, reading.seen)
    async with hub.engine.pool.acquire_at_last() as conn:
        await counterparts.learn(conn, held.organization, held.endpoint, [known_as], hub.clock())
    await fetching.settle(sending, held, "done", every=custom.answers_every, reason=reason)


async def _take(
    sending: Sending, held: Fetch, where: Base, asking: Version, answered: Document
) -> Refusal | Refused | Unreachable | None:
    """As if the partner had put it: with what its outputs name, under the rules for who is asked."""
    hub = sending.hub
    who = await _partner(sending, held)
    outputs = {"resourceType": "Task", "output": answered.get("output", [])}
    found = await fetching.gathered(sending, held, who, where, [outputs], {})
    hindrance = fetching.hindrance(found, [], who)
    if hindrance is not None:
        return hindrance
    try:
        async with hub.engine.transaction(at_last=True) as conn:
            current = await _asking(conn, held)
            if current is None or current.version != asking.version:
                return None  # it is looked at again
            document = {**parties.document(current), **answered}
            update = Update("Task", asking.id, document, if_match=current.version, at="Task")
            fetched = {name: Original(one.document, one.seen) for name, one in found.found.items()}
            await originals.take(hub, conn, who, where, fetched, found.own, [update], answered)
    except FhirError as error:
        return fetching.why(error)
    return None


async def _asking(conn: Connection, held: Fetch) -> Version | None:
    """The Task that asks the partner, while it may answer."""
    task = (await resources.read_rids(conn, viewer.deciding(), [held.subject])).get(held.subject)
    if task is None or task.body is None:
        return None
    ended = parties.document(task)["status"] in machine.TERMINAL
    return None if ended else task


async def _partner(sending: Sending, held: Fetch) -> Caller:
    """Who was asked, as what its operator agreed on lets it answer: by being read."""
    async with sending.hub.engine.pool.acquire_at_last() as conn:
        found = await resources.read_rids(conn, EVERYONE, [held.organization])
    reference = found[held.organization].reference
    return Caller(
        None, held.organization, reference, EVERYTHING, request_id=fetching.request_id(held)
    )
