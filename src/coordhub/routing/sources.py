"""One attempt at one reading from a partner's server: read, write the copies as the partner's, settle.

Three kinds. *focus*: a Task was sent about a ServiceRequest on the sender's server; it waits, and
becomes a referral once that and what it names is here. *original*: of what was fetched before, looked
at again. *answer*: the partner's copy of the Task that asks it, where it was agreed that it answers
there; what is new on it is taken as if the partner had put it to the hub.

No transaction is open while a partner is spoken to. What will not be there by waiting is told: the
sender's Task says why, and is rejected.

http://hl7.org/fhir/us/sdoh-clinicalcare (referral workflow: direct, light, indirect)
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from coordhub.access import caller as callers
from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING, parse
from coordhub.directory import bases
from coordhub.directory.bases import Base
from coordhub.errors import FhirError
from coordhub.r4.types import NUMBER
from coordhub.record import commit, errands, originals, parties
from coordhub.record.hub import instant
from coordhub.record.operations import Create, Operation, Update
from coordhub.record.originals import Original
from coordhub.referral import profiles, wording
from coordhub.referral import task_machine as machine
from coordhub.routing import gather, retry
from coordhub.routing.channels.channel import (
    Delivered,
    Outcome,
    Reading,
    Refused,
    Source,
    Unchanged,
    Unreachable,
)
from coordhub.routing.deliver import Sending
from coordhub.store import clients, counterparts, episodes, fetches, partners, resources
from coordhub.store.counterparts import Told
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.fetches import Fetch
from coordhub.store.resources import Version
from coordhub.store.visibility import EVERYONE
from coordhub.telemetry import log

Document = dict[str, Any]

_NO_BASE: Final = Refused(0, "config", None, "not below an address of its own in the directory")
_NO_CLIENT: Final = Refused(0, "auth", None, "the client that sent it may not act any more")
_TOO_MUCH: Final = Refused(200, "permanent", None, f"names more than {gather.MOST} resources")

ANSWERED: Final = ("status", "statusReason", "businessStatus", "output", "note", "executionPeriod")
"""What a partner's copy of the Task that asks it can say anew."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be taken. why: ids and paths, no content."""

    why: str


async def fetch(sending: Sending, held: Fetch) -> None:
    """Try it once and write down what came of it."""
    match held.kind:
        case "focus":
            await _focus(sending, held)
        case "original":
            await _original(sending, held)
        case _:
            await _answer(sending, held)


# ---- what a sent Task is about


async def _focus(sending: Sending, held: Fetch) -> None:
    hub = sending.hub
    async with hub.engine.pool.acquire_at_last() as conn:
        waiting = await _waiting(conn, held.subject)
        where, who = await _base(sending, conn, held), await _client(conn, held)
    if waiting is None:
        await _settle(sending, held, "done")
        return
    task = parties.document(waiting)
    url = str((task.get("focus") or {}).get("reference", ""))
    path = where.below(url) if where is not None else None
    if where is None or path is None or who is None:
        await _decide(sending, held, _NO_CLIENT if who is None else _NO_BASE)
        return
    name = "/".join(path.split("/")[:2])
    found = await _gather(sending, held, who, where, [task], {name: path})
    hindrance = _hindrance(found, [name, *_patients(found, name)], who)
    if hindrance is not None:
        await _decide(sending, held, hindrance)
        return
    try:
        async with hub.engine.transaction(at_last=True) as conn:
            await episodes.lock(conn, [held.subject])
            waiting = await _waiting(conn, held.subject)
            if waiting is not None:
                update = Update("Task", waiting.id, parties.document(waiting), at="Task")
                taken = await _take(sending, conn, who, where, found, [update])
                await _look_again(sending, conn, held, where, taken.copies)
            await fetches.settle(conn, held, "done")
    except FhirError as error:
        await _refuse(sending, held, _why(error))
        return
    _log(held, "done")


async def _waiting(conn: Connection, rid: int) -> Version | None:
    """The Task, if it is to become a referral still."""
    episode = (await episodes.read(conn, [rid])).get(rid)
    task = (await resources.read_rids(conn, viewer.deciding(), [rid])).get(rid)
    if episode is None or not _waits(episode) or task is None or task.body is None:
        return None
    return task


def _waits(episode: Episode) -> bool:
    return episode.state == "open" and episode.request == 0


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


def _hindrance(
    found: gather.Gathered, needed: Collection[str], who: Caller
) -> Refused | Unreachable | None:
    """Why what was read will not do: something needed is missing, or anything that may come yet.

    What else is lastingly missing is left where it is, as a reference there, with whom it was agreed
    that references may lead nowhere.
    """
    if not found.whole:
        return _TOO_MUCH
    for name in needed:
        if name in found.missing:
            return _named(found.missing[name], name)
    for name, outcome in found.missing.items():
        lasting = isinstance(outcome, Refused) and outcome.permanence != "transient"
        if not lasting or who.reference_policy == "refuse":
            return _named(outcome, name)
    return None


def _named(outcome: Refused | Unreachable, name: str) -> Refused | Unreachable:
    """With what it was about: its type and nothing else, for ledger and log."""
    kind = name.partition("/")[0]
    match outcome:
        case Refused(status, permanence, wait, reason):
            # What is not there will not come by asking again.
            lasting = "permanent" if permanence == "conflict" else permanence
            return Refused(status, lasting, wait, f"{kind}: {reason}")
        case Unreachable(kind_, sent_unknown, reason):
            if kind_ == "too_large":
                return Refused(200, "permanent", None, f"{kind}: too large")
            return Unreachable(kind_, sent_unknown, f"{kind}: {kind_}: {reason}")


# ---- what was fetched before


async def _original(sending: Sending, held: Fetch) -> None:
    hub = sending.hub
    async with hub.engine.pool.acquire_at_last() as conn:
        where, who = await _base(sending, conn, held), await _client(conn, held)
        eyes = viewer.as_organization(held.organization)
        known = await counterparts.of(conn, eyes, held.subject)
        custom = await counterparts.custom(conn, held.organization, held.endpoint)
        again = await fetches.wanted_still(conn, eyes, held.subject)
    copy = next((one for one in known if one.original and one.endpoint == held.endpoint), None)
    if copy is None:
        await _settle(sending, held, "done")
        return
    if where is None or who is None:
        await _decide(sending, held, _NO_CLIENT if who is None else _NO_BASE)
        return
    every = custom.originals_every if again else None
    found = await _gather(sending, held, who, where, [], {copy.theirs: copy.theirs}, copy.seen)
    if copy.theirs in found.unchanged:
        await _settle(sending, held, "done", every=every)
        return
    hindrance = _hindrance(found, [copy.theirs], who)
    if hindrance is not None:
        await _decide(sending, held, hindrance)
        return
    refusal = None
    try:
        async with hub.engine.transaction(at_last=True) as conn:
            taken = await _take(sending, conn, who, where, found, [])
            besides = [rid for rid in taken.copies if rid != held.subject]
            await _look_again(sending, conn, held, where, besides)
    except FhirError as error:
        refusal = _why(error).why
        # It is not tried again before it changes.
        told = Told(held.subject, copy.theirs, True, found.found[copy.theirs].seen)
        async with hub.engine.pool.acquire_at_last() as conn:
            await counterparts.learn(conn, held.organization, held.endpoint, [told], hub.clock())
    await _settle(sending, held, "done", every=every, reason=refusal)


# ---- what a partner has answered on its own copy


async def _answer(sending: Sending, held: Fetch) -> None:
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
        await _settle(sending, held, "done")
        return
    if where is None:
        await _decide(sending, held, _NO_BASE)
        return
    if behind:  # what it has is older than what it will have
        await _settle(sending, held, "done", every=custom.answers_every)
        return
    copy = next((one for one in known if one.endpoint == held.endpoint), None)
    name = copy.theirs if copy is not None else asking.reference
    source = sending.channels[bases.SERVED]
    assert isinstance(source, Source)
    seen = copy.seen if copy is not None else None
    reading = await source.read(where.address, name, where.headers, seen, _request_id(held))
    match reading:
        case Refused() | Unreachable():
            await _decide(sending, held, _named(reading, name))
            return
        case Unchanged():
            await _settle(sending, held, "done", every=custom.answers_every)
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
        outcome = await _take_answer(sending, held, where, asking, answered)
        if isinstance(outcome, Refused | Unreachable):
            await _decide(sending, held, outcome)
            return
        reason = outcome.why if outcome is not None else None
    known_as = Told(held.subject, name, False, reading.seen)
    async with hub.engine.pool.acquire_at_last() as conn:
        await counterparts.learn(conn, held.organization, held.endpoint, [known_as], hub.clock())
    await _settle(sending, held, "done", every=custom.answers_every, reason=reason)


async def _take_answer(
    sending: Sending, held: Fetch, where: Base, asking: Version, answered: Document
) -> Refusal | Refused | Unreachable | None:
    """As if the partner had put it: with what its outputs name, under the rules for who is asked."""
    hub = sending.hub
    who = await _partner(sending, held)
    outputs = {"resourceType": "Task", "output": answered.get("output", [])}
    found = await _gather(sending, held, who, where, [outputs], {})
    hindrance = _hindrance(found, [], who)
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
        return _why(error)
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
    return Caller(None, held.organization, reference, EVERYTHING, request_id=_request_id(held))


# ---- reading and writing


async def _base(sending: Sending, conn: Connection, held: Fetch) -> Base | None:
    """The base by which it was wanted, if the directory still says so."""
    hub = sending.hub
    found = await bases.verified(conn, held.organization, hub.base, hub.clock())
    return next((one for one in found if one.endpoint == held.endpoint), None)


async def _client(conn: Connection, held: Fetch) -> Caller | None:
    """In whose name the copies are written: with the permissions and agreements of that client."""
    client = await clients.read(conn, held.client) if held.client is not None else None
    if client is None or not client.active or client.organization != held.organization:
        return None
    return Caller(
        client.id,
        client.organization,
        client.reference,
        parse(client.scopes),
        request_id=_request_id(held),
        reference_policy=client.reference_policy,
    )


def _request_id(held: Fetch) -> str:
    return f"{held.kind}.{held.subject}.{held.attempt}"


async def _gather(
    sending: Sending,
    held: Fetch,
    who: Caller,
    where: Base,
    documents: Sequence[Document],
    roots: Mapping[str, str],
    seen: str | None = None,
) -> gather.Gathered:
    """seen: entity tag of the root, which is not read if it is still that."""
    hub = sending.hub
    source = sending.channels[bases.SERVED]
    assert isinstance(source, Source)

    async def read(path: str, seen: str | None) -> Reading:
        return await source.read(where.address, path, where.headers, seen, _request_id(held))

    async def known(names: Collection[str]) -> Collection[str]:
        """Copies are read anew for what is sent anew; else they have their own time."""
        eyes = viewer.as_organization(who.organization)
        parts = [(name.partition("/")[0], name.partition("/")[2]) for name in names]
        async with hub.engine.pool.acquire_at_last() as conn:
            theirs = await counterparts.meant(conn, eyes, names)
            ours = await resources.locate(
                conn, eyes, sorted(part for part in parts if part[0] in NUMBER)
            )
        copies = {
            one.theirs: one.original and held.kind == "focus"
            for one in theirs
            if one.endpoint == where.endpoint
        }
        return [
            # An id that somebody chose may be another thing on this server.
            *(
                f"{kind}/{fhir_id}"
                for (kind, fhir_id), one in ours.items()
                if one.visible
                and (one.source == who.organization or resources.shard_of_id(fhir_id) is not None)
            ),
            *(name for name, anew in copies.items() if not anew),
        ]

    # Its lease is to outlast what is read and the writing of it.
    seconds = (held.lease_until - hub.clock()).total_seconds() * 0.75
    try:
        async with asyncio.timeout(seconds):
            return await gather.gather(read, documents, roots, where.address, known, seen)
    except TimeoutError:
        late = Unreachable("timeout", False, f"all of it within {seconds:.0f} s")
        return gather.Gathered(where.address, missing=dict.fromkeys(roots or {"Task/": ""}, late))


async def _take(
    sending: Sending,
    conn: Connection,
    who: Caller,
    where: Base,
    found: gather.Gathered,
    besides: Sequence[Update],
) -> originals.Taken:
    fetched = {name: Original(one.document, one.seen) for name, one in found.found.items()}
    return await originals.take(sending.hub, conn, who, where, fetched, found.own, besides)


async def _look_again(
    sending: Sending, conn: Connection, held: Fetch, where: Base, copies: Sequence[int]
) -> None:
    """Have the copies compared with their originals, as often as it was agreed."""
    custom = await counterparts.custom(conn, held.organization, where.endpoint)
    if custom.originals_every is not None and copies:
        await fetches.want(
            conn, "original", copies, held.organization, where.endpoint, held.client,
            sending.hub.clock() + custom.originals_every,
        )  # fmt: skip


# ---- what came of it


async def _decide(sending: Sending, held: Fetch, outcome: Outcome) -> None:
    """Try again, or not, as with deliveries; a Task that waits says why."""
    now = sending.hub.clock()
    decision = retry.decide(outcome, held.attempt, held.since, now, sending.rnd(), sending.policy)
    match decision:
        case retry.Again(at):
            await _wait(sending, held, "queued", at, outcome)
        case retry.Parked(until, _):
            await _wait(sending, held, "parked", until, outcome)
        case retry.GiveUp(reason):
            await _refuse(sending, held, Refusal(reason))
        case retry.Settled():
            await _settle(sending, held, "done")


async def _wait(sending: Sending, held: Fetch, state: str, at: Any, outcome: Outcome) -> None:
    assert not isinstance(outcome, Delivered)
    hub = sending.hub
    async with hub.engine.transaction(at_last=True) as conn:
        if held.kind == "focus":
            await _tell(sending, conn, held, "source-unreachable", outcome.reason, ended=False)
        await fetches.settle(conn, held, state, next_at=at, reason=outcome.reason)
    _log(held, state, outcome.reason)


async def _refuse(sending: Sending, held: Fetch, refusal: Refusal) -> None:
    """It will not be had: the Task that waited for it ends; of what is looked at again, the next version is."""
    hub = sending.hub
    async with hub.engine.transaction(at_last=True) as conn:
        if held.kind == "focus":
            await _tell(sending, conn, held, "source-refused", refusal.why, ended=True)
        await fetches.settle(conn, held, "dead", reason=refusal.why)
    _log(held, "dead", refusal.why)


async def _tell(
    sending: Sending, conn: Connection, held: Fetch, code: str, why: str, *, ended: bool
) -> None:
    """Say on the Task why it waits, or that it waits no longer; once for each reason."""
    hub = sending.hub
    await episodes.lock(conn, [held.subject])
    task = await _waiting(conn, held.subject)
    if task is None:
        return
    before = parties.document(task)
    reason = machine.concept(machine.REASONS[code])
    changed: Document = {"statusReason": {**reason, "text": f"{reason['text']}: {why}"}}
    if ended:
        changed |= {"status": "rejected"}
    if all(before.get(name) == value for name, value in changed.items()):
        return
    now = hub.clock()
    document = {**before, **changed, "lastModified": instant(now)}
    operations: list[Operation] = [Update("Task", task.id, document)]
    if ended:
        owner = (await resources.read_rids(conn, EVERYONE, [held.organization])).get(
            held.organization
        )
        if owner is not None:
            errand = errands.document(
                kind="send-again", owner=owner.reference, subject=task.reference,
                requester=hub.organization, now=now, reason=machine.REASONS[code],
            )  # fmt: skip
            operations.append(Create("Task", errand))
    me = callers.hub(hub.organization)
    await commit.apply(hub, conn, me, operations, interaction="transaction")
    hub.engine.wake()


async def _settle(
    sending: Sending,
    held: Fetch,
    state: str,
    *,
    every: timedelta | None = None,
    reason: str | None = None,
) -> None:
    """every: it is read again after this."""
    hub = sending.hub
    async with hub.engine.pool.acquire_at_last() as conn:
        if every is None:
            await fetches.settle(conn, held, state, reason=reason)
        else:
            at = hub.clock() + every
            await fetches.settle(conn, held, "queued", next_at=at, reason=reason, anew=True)
    _log(held, state, reason)


def _why(error: FhirError) -> Refusal:
    """What the rules say against it: where and which kind of fault."""
    said = [
        f"{issue.expression or 'it'}: {issue.code}"
        for issue in error.issues
        if issue.severity == "error"
    ]
    return Refusal(", ".join(dict.fromkeys(said[:10])) or f"status {error.status}")


def _log(held: Fetch, state: str, reason: str | None = None) -> None:
    log(
        "fetch.settled",
        kind=held.kind,
        subject=held.subject,
        organization=held.organization,
        endpoint=held.endpoint,
        attempt=held.attempt,
        state=state,
        reason=reason,
    )
