"""One attempt at one reading from a partner's server: read, write the copies as the partner's, settle.

Three kinds. *focus*: a Task was sent about a ServiceRequest on the sender's server; it waits, and
becomes a referral once that and what it names is here. *original*: of what was fetched before, looked
at again. *answer*: the partner's copy of the Task that asks it (`answers`).

No transaction is open while a partner is spoken to. What will not be there by waiting is told: the
sender's Task says why, and is rejected.

http://hl7.org/fhir/us/sdoh-clinicalcare (referral workflow: direct, light, indirect)
"""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.access import viewer
from coordhub.errors import FhirError
from coordhub.record import parties
from coordhub.record.operations import Update
from coordhub.routing import answers, fetching, gather
from coordhub.routing.deliver import Sending
from coordhub.store import counterparts, episodes, fetches
from coordhub.store.counterparts import Told
from coordhub.store.fetches import Fetch


async def fetch(sending: Sending, held: Fetch) -> None:
    """Try it once and write down what came of it."""
    match held.kind:
        case "focus":
            await _focus(sending, held)
        case "original":
            await _original(sending, held)
        case _:
            await answers.look(sending, held)


async def _focus(sending: Sending, held: Fetch) -> None:
    hub = sending.hub
    async with hub.engine.pool.acquire_at_last() as conn:
        waiting = await fetching.waiting_task(conn, held.subject)
        where, who = (
            await fetching.base_of(sending, conn, held),
            await fetching.client_of(conn, held),
        )
    if waiting is None:
        await fetching.settle(sending, held, "done")
        return
    task = parties.document(waiting)
    url = str((task.get("focus") or {}).get("reference", ""))
    path = where.below(url) if where is not None else None
    if where is None or path is None or who is None:
        await fetching.decide(
            sending, held, fetching.NO_CLIENT if who is None else fetching.NO_BASE
        )
        return
    name = "/".join(path.split("/")[:2])
    found = await fetching.gathered(sending, held, who, where, [task], {name: path})
    hindrance = fetching.hindrance(found, [name, *_patients(found, name)], who)
    if hindrance is not None:
        await fetching.decide(sending, held, hindrance)
        return
    try:
        async with hub.engine.transaction(at_last=True) as conn:
            await episodes.lock(conn, [held.subject])
            waiting = await fetching.waiting_task(conn, held.subject)
            if waiting is not None:
                update = Update("Task", waiting.id, parties.document(waiting), at="Task")
                taken = await fetching.take(sending, conn, who, where, found, [update])
                await fetching.look_again(sending, conn, held, where, taken.copies)
            await fetches.settle(conn, held, "done")
    except FhirError as error:
        await fetching.refuse(sending, held, fetching.why(error))
        return
    fetching.note(held, "done")


def _patients(found: gather.Gathered, name: str) -> Sequence[str]:
    """Whom the ServiceRequest is about: without them there is no referral."""
    request = found.found.get(name)
    if request is None:
        return ()
    subject = request.document.get("subject")
    return [
        text
        for text in gather.followed({"resourceType": "", "subject": subject}, found.base)
        if text.startswith("Patient/")
    ]


async def _original(sending: Sending, held: Fetch) -> None:
    hub = sending.hub
    async with hub.engine.pool.acquire_at_last() as conn:
        where, who = (
            await fetching.base_of(sending, conn, held),
            await fetching.client_of(conn, held),
        )
        eyes = viewer.as_organization(held.organization)
        known = await counterparts.of(conn, eyes, held.subject)
        custom = await counterparts.custom(conn, held.organization, held.endpoint)
        again = await fetches.wanted_still(conn, eyes, held.subject)
    copy = next((one for one in known if one.original and one.endpoint == held.endpoint), None)
    if copy is None:
        await fetching.settle(sending, held, "done")
        return
    if where is None or who is None:
        await fetching.decide(
            sending, held, fetching.NO_CLIENT if who is None else fetching.NO_BASE
        )
        return
    every = custom.originals_every if again else None
    found = await fetching.gathered(
        sending, held, who, where, [], {copy.theirs: copy.theirs}, copy.seen
    )
    if copy.theirs in found.unchanged:
        await fetching.settle(sending, held, "done", every=every)
        return
    hindrance = fetching.hindrance(found, [copy.theirs], who)
    if hindrance is not None:
        await fetching.decide(sending, held, hindrance)
        return
    refusal = None
    try:
        async with hub.engine.transaction(at_last=True) as conn:
            taken = await fetching.take(sending, conn, who, where, found, [])
            besides = [rid for rid in taken.copies if rid != held.subject]
            await fetching.look_again(sending, conn, held, where, besides)
    except FhirError as error:
        refusal = fetching.why(error).why
        # It is not tried again before it changes.
        told = Told(held.subject, copy.theirs, True, found.found[copy.theirs].seen)
        async with hub.engine.pool.acquire_at_last() as conn:
            await counterparts.learn(conn, held.organization, held.endpoint, [told], hub.clock())
    await fetching.settle(sending, held, "done", every=every, reason=refusal)
