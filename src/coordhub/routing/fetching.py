"""What every reading from a partner's server does: where, in whose name, what came of it.

http://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.access import caller as callers
from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.directory import bases
from coordhub.directory.bases import Base
from coordhub.errors import FhirError
from coordhub.r4.types import NUMBER
from coordhub.record import commit, errands, originals, parties
from coordhub.record.hub import instant
from coordhub.record.operations import Create, Operation, Update
from coordhub.record.originals import Original
from coordhub.referral import task_machine as machine
from coordhub.routing import gather, retry
from coordhub.routing.channels.channel import (
    Delivered,
    Outcome,
    Reading,
    Refused,
    Source,
    Unreachable,
)
from coordhub.routing.deliver import Sending
from coordhub.store import clients, counterparts, episodes, fetches, resources
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.fetches import Fetch
from coordhub.store.resources import Version
from coordhub.store.visibility import EVERYONE
from coordhub.telemetry import log

Document = dict[str, Any]

NO_BASE: Final = Refused(0, "config", None, "not below an address of its own in the directory")
NO_CLIENT: Final = Refused(0, "auth", None, "the client that sent it may not act any more")
_TOO_MUCH: Final = Refused(200, "permanent", None, f"names more than {gather.MOST} resources")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be taken. why: ids and paths, no content."""

    why: str


async def base_of(sending: Sending, conn: Connection, held: Fetch) -> Base | None:
    """The base by which it was wanted, if the directory still says so."""
    hub = sending.hub
    found = await bases.verified(conn, held.organization, hub.base, hub.clock())
    return next((one for one in found if one.endpoint == held.endpoint), None)


async def client_of(conn: Connection, held: Fetch) -> Caller | None:
    """In whose name the copies are written: with the permissions and agreements of that client."""
    client = await clients.read(conn, held.client) if held.client is not None else None
    if client is None or not client.active or client.organization != held.organization:
        return None
    return Caller(
        client.id,
        client.organization,
        client.reference,
        parse(client.scopes),
        request_id=request_id(held),
        reference_policy=client.reference_policy,
        sandbox=client.sandbox,
        terms=client.terms,
    )


def request_id(held: Fetch) -> str:
    return f"{held.kind}.{held.subject}.{held.attempt}"


async def gathered(
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
        return await source.read(where.address, path, where.headers, seen, request_id(held))

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


async def take(
    sending: Sending,
    conn: Connection,
    who: Caller,
    where: Base,
    found: gather.Gathered,
    besides: Sequence[Update],
) -> originals.Taken:
    fetched = {name: Original(one.document, one.seen) for name, one in found.found.items()}
    return await originals.take(sending.hub, conn, who, where, fetched, found.own, besides)


async def look_again(
    sending: Sending, conn: Connection, held: Fetch, where: Base, copies: Sequence[int]
) -> None:
    """Have the copies compared with their originals, as often as it was agreed."""
    custom = await counterparts.custom(conn, held.organization, where.endpoint)
    if custom.originals_every is not None and copies:
        await fetches.want(
            conn, "original", copies, held.organization, where.endpoint, held.client,
            sending.hub.clock() + custom.originals_every,
        )  # fmt: skip


def hindrance(
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
            return named(found.missing[name], name)
    for name, outcome in found.missing.items():
        lasting = isinstance(outcome, Refused) and outcome.permanence != "transient"
        if not lasting or who.reference_policy == "refuse":
            return named(outcome, name)
    return None


def named(outcome: Refused | Unreachable, name: str) -> Refused | Unreachable:
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


async def decide(sending: Sending, held: Fetch, outcome: Outcome) -> None:
    """Try again, or not, as with deliveries; a Task that waits says why."""
    now = sending.hub.clock()
    decision = retry.decide(outcome, held.attempt, held.since, now, sending.rnd(), sending.policy)
    match decision:
        case retry.Again(at):
            await _wait(sending, held, "queued", at, outcome)
        case retry.Parked(until, _):
            await _wait(sending, held, "parked", until, outcome)
        case retry.GiveUp(reason):
            await refuse(sending, held, Refusal(reason))
        case retry.Settled():
            await settle(sending, held, "done")


async def _wait(sending: Sending, held: Fetch, state: str, at: datetime, outcome: Outcome) -> None:
    assert not isinstance(outcome, Delivered)
    hub = sending.hub
    async with hub.engine.transaction(at_last=True) as conn:
        if held.kind == "focus":
            await _tell(sending, conn, held, "source-unreachable", outcome.reason, ended=False)
        await fetches.settle(conn, held, state, next_at=at, reason=outcome.reason)
    note(held, state, outcome.reason)


async def refuse(sending: Sending, held: Fetch, refusal: Refusal) -> None:
    """It will not be had: the Task that waited for it ends; of what is looked at again, the next version is."""
    hub = sending.hub
    async with hub.engine.transaction(at_last=True) as conn:
        if held.kind == "focus":
            await _tell(sending, conn, held, "source-refused", refusal.why, ended=True)
        await fetches.settle(conn, held, "dead", reason=refusal.why)
    note(held, "dead", refusal.why)


async def _tell(
    sending: Sending, conn: Connection, held: Fetch, code: str, why: str, *, ended: bool
) -> None:
    """Say on the Task why it waits, or that it waits no longer; once for each reason."""
    hub = sending.hub
    await episodes.lock(conn, [held.subject])
    task = await waiting_task(conn, held.subject)
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
                referral=task.reference,
            )  # fmt: skip
            operations.append(Create("Task", errand))
    me = callers.hub(hub.organization)
    await commit.apply(hub, conn, me, operations, interaction="transaction")
    hub.engine.wake()


async def settle(
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
    note(held, state, reason)


def why(error: FhirError) -> Refusal:
    """What the rules say against it: where and which kind of fault."""
    said = [
        f"{issue.expression or 'it'}: {issue.code}"
        for issue in error.issues
        if issue.severity == "error"
    ]
    return Refusal(", ".join(dict.fromkeys(said[:10])) or f"status {error.status}")


def note(held: Fetch, state: str, reason: str | None = None) -> None:
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


async def waiting_task(conn: Connection, rid: int) -> Version | None:
    """The Task, if it is to become a referral still."""
    episode = (await episodes.read(conn, [rid])).get(rid)
    task = (await resources.read_rids(conn, viewer.deciding(), [rid])).get(rid)
    if episode is None or not _waits(episode) or task is None or task.body is None:
        return None
    return task


def _waits(episode: Episode) -> bool:
    return episode.state == "open" and episode.request == 0
