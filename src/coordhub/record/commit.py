"""The write of everything: operations in, one transaction, what became of them out.

http://hl7.org/fhir/R4/http.html#create, #update, #delete, #trules
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.directory import services
from coordhub.errors import (
    Issue,
    bad_request,
    conflict,
    unprocessable,
)
from coordhub.r4 import sensitivity
from coordhub.record import (
    care_plans,
    care_teams,
    conditional,
    consents,
    counterparts,
    drafting,
    foreseeing,
    grants,
    identity,
    labelling,
    patching,
    provenance,
    proxies,
    release,
    rules,
    scoping,
    sent_before,
    timing,
    unlisting,
    withdrawal,
    writing,
)
from coordhub.record.hub import Hub
from coordhub.record.operations import (
    Committed,
    Create,
    Delete,
    Idempotency,
    Operation,
    Patch,
    Settled,
    Update,
    Written,
)
from coordhub.record.validation import references, structure
from coordhub.record.work import Draft, Work
from coordhub.store import idempotency as keys
from coordhub.store import resources, vsp
from coordhub.store.engine import SERIALIZATION_RETRY, Begin, Connection
from coordhub.store.episodes import Episode
from coordhub.store.resources import Version
from coordhub.store.transact import Overtaken
from coordhub.store.visibility import Viewer

_ORDER = {Delete: 0, Create: 1, Update: 2}
_LETTER = {Delete: "delete", Create: "create", Update: "update", Patch: "update"}


async def commit(
    hub: Hub,
    caller: Caller,
    operations: Sequence[Operation],
    *,
    interaction: str,
    idempotency: Idempotency | None = None,
) -> Committed:
    """Write all of it or nothing, and return what became of each operation, in their order.

    interaction: R4's name of what was asked (create, update, delete, transaction), for the audit.
    Refuses with 422 (every structural issue of every operation at once), 403, 405, 409, 412.
    An Idempotency-Key that was used before for the same request gives the first answer again; for
    another request: 422. So does the number that its sender gave an order (record.sent_before).
    """
    for operation in operations:
        caller.require(operation.type, _LETTER[type(operation)])
        caller.require_agreed(operation.type, operation.at)
    issues = list(structure.check(operations))
    if issues:
        raise unprocessable(*issues)
    sent = sent_before.read(caller, operations)
    for attempt in range(3):
        try:
            async with hub.engine.writing() as (conn, begin):
                if idempotency is not None:
                    await begin()
                    first = await keys.claim(
                        conn,
                        caller.organization,
                        idempotency.key,
                        idempotency.fingerprint,
                        hub.clock(),
                    )
                    if first is not None:
                        _refuse_another(first, idempotency)
                        again = await _again(conn, caller, first.outcome, first.at)
                        return Committed(again, replayed=True)
                known = sent_before.Known()
                if sent is not None:
                    await begin()
                    known = await sent_before.look(hub, conn, caller, operations, sent)
                if known.again is not None:
                    wakes = False
                    written = [
                        replace(one, status=200) if one.status == 201 else one
                        for one in await _again(conn, caller, known.again.outcome, known.again.at)
                    ]
                else:
                    written, wakes = await apply(
                        hub,
                        conn,
                        caller,
                        operations,
                        interaction=interaction,
                        begin=begin,
                        unlocked=idempotency is None and attempt == 0,
                        there=known.there,
                    )
                    if sent is not None:
                        await sent_before.note(hub, conn, caller, sent, written)
                if idempotency is not None:
                    await keys.settle(
                        conn,
                        caller.organization,
                        idempotency.key,
                        [(one.status, one.rid, one.version) for one in written],
                    )
        except (Overtaken, *SERIALIZATION_RETRY):
            hub.lists.forget()
            if attempt == 2:
                raise conflict(
                    "Others keep writing the same resources. Send the request again."
                ) from None
        else:
            if wakes:
                hub.engine.wake()
            return Committed(written, replayed=known.again is not None)
    raise AssertionError("unreachable")


def _refuse_another(first: keys.Claimed, idempotency: Idempotency) -> None:
    if first.fingerprint != idempotency.fingerprint:
        raise unprocessable(
            Issue(
                "duplicate",
                "This Idempotency-Key, or Bundle.identifier, was used for another request. Use a new one for a "
                "new request.",
            )
        )


async def _again(
    conn: Connection, caller: Caller, outcome: Sequence[tuple[int, int, int]], at: datetime
) -> list[Written]:
    """What was written by a request that comes again."""
    eyes = viewer.as_organization(caller.organization)
    if caller.scopes.is_granular:  # another client of its organization may have been the first
        eyes = viewer.of(caller)
    versions = await resources.read_written(
        conn, eyes, [(rid, version) for _, rid, version in outcome]
    )
    return [
        Written(status, found.type, found.id, rid, found.version, found.updated, found.body)
        if (found := versions.get((rid, version))) is not None
        else Written(status, "", "", 0, 0, at, None)
        for status, rid, version in outcome
    ]


async def apply(
    hub: Hub,
    conn: Connection,
    caller: Caller,
    operations: Sequence[Operation],
    *,
    interaction: str,
    begin: Begin | None = None,
    unlocked: bool = False,
    referrals: Collection[int] = (),
    invitations: Mapping[str, Sequence[int]] | None = None,
    shares: bool = False,
    there: Mapping[int, Version] = MappingProxyType({}),
    held: Mapping[int, Episode] = MappingProxyType({}),
    apart: frozenset[int] | None = None,
) -> tuple[list[Written], bool]:
    """The same inside a transaction that is open; the second value says whether workers should wake.

    there: by position, what is there already and is not created again.

    held: the referrals that this transaction has locked, as they stand. apart: the victim service providers,
    where the hub has looked in this transaction.

    referrals: those whose sender's Task is to be computed anew, whatever the operations are.

    invitations: of each Task of a pool that is made, by its fullUrl, the organizations that may claim it.

    shares: the sender's Task that is written asks its owner by itself from now on.

    begin: opens the transaction where something has to be locked. What creates only locks nothing,
    and the one statement that writes is a transaction by itself; under READ COMMITTED nothing that
    was read before it would stand any stiller inside of one.

    unlocked: try the change of one resource without lock; Overtaken if another commit was faster.
    """
    work = Work(hub, conn, caller, hub.clock(), begin=begin, unlocked=unlocked)
    work.moved |= set(referrals)
    work.invitations = invitations or {}
    work.shares = shares
    work.held = held
    if caller.is_hub:
        work.apart = await vsp.marked(conn) if apart is None else apart
    else:
        work.apart = (await hub.lists.current(conn)).apart
    with services.within(sandbox=caller.sandbox):
        return await _carry_out(work, operations, interaction, there)


async def _carry_out(
    work: Work, operations: Sequence[Operation], interaction: str, there: Mapping[int, Version]
) -> tuple[list[Written], bool]:
    hub, caller = work.hub, work.caller
    view = viewer.deciding() if caller.is_hub else viewer.of(caller)
    meant = await conditional.settle(work, operations, there)
    matched = meant.matched
    settled = await patching.attempt(work, view, meant.operations)
    found = await conditional.resolve_references(work, settled)
    found |= await counterparts.absolute(work, settled)
    met = [*found.values(), *(version.reference for version in matched.values())]
    await identity.locate_names(work, settled, hub.base, view, met)
    settled, meant_by_them = await counterparts.relative(work, settled)
    if meant_by_them:
        await identity.locate_names(work, settled, hub.base, view, meant_by_them.values())
        found |= meant_by_them
    names, mapping = identity.assign_ids(work, settled, matched, found)
    _refuse_repeats(settled, names)
    positions = sorted(
        (position for position in range(len(settled)) if position not in matched),
        key=lambda position: (_ORDER[type(settled[position])], position),
    )
    drafts = await drafting.draft(work, view, settled, names, mapping, positions)
    await scoping.check(work)
    await references.check(work)
    for draft in work.drafts:
        draft.patient = drafting.patient_of(work, draft)
    await unlisting.strip(work)
    await rules.apply(work)
    await release.decide(work)
    await provenance.write(work)
    await labelling.decide(work)
    await grants.decide(work)
    await consents.decide(work)
    await timing.reconcile(work)
    await care_teams.decide(work)
    await care_plans.decide(work)
    await proxies.decide(work)
    await foreseeing.foresee(work)
    await writing.write(work, interaction)
    if await withdrawal.follow(work, _by_itself):
        work.wakes = True
    shown = await _shown(work, view)
    answers: list[list[Written]] = [[] for _ in operations]
    for position, origin in enumerate(meant.origins):
        if position in matched:
            answers[origin].append(_found(matched[position]))
            continue
        written = _answer(work, drafts[position])
        if written.rid in shown:
            written = replace(written, body=shown[written.rid])
        answers[origin].append(written)
    return [one[0] if len(one) == 1 else _answer(work, None) for one in answers], work.wakes


async def _by_itself(
    hub: Hub, conn: Connection, caller: Caller, operations: Sequence[Operation]
) -> None:
    await apply(hub, conn, caller, operations, interaction="transaction")


def _refuse_repeats(operations: Sequence[Settled], names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for position, name in enumerate(names):
        if name in seen:
            raise bad_request(
                f"{name} is written twice, by {operations[seen[name]].at} and {operations[position].at}. "
                "Send each resource once in a transaction.",
                operations[position].at,
                code="duplicate",
            )
        seen[name] = position


def _found(version: Version) -> Written:
    return Written(
        200, version.type, version.id, version.rid, version.version, version.updated, version.body
    )


def _told(body: str | None, labels: int) -> str | None:
    """A stored text as its writer is shown it: with the labels of the hub."""
    return None if body is None else sensitivity.splice(body, labels)


async def _shown(work: Work, view: Viewer) -> dict[int, str | None]:
    """Texts of what is another organization's, by rid, as its writer is shown them when it reads them.

    Whoever is asked beside others is not told for whom, and not by the answer to what it writes either.
    """
    if work.caller.is_hub:
        return {}
    others = [
        draft.rid
        for draft in work.drafts
        if draft.previous is not None
        and draft.document is not None
        and draft.author == work.caller.organization
        and draft.source != work.caller.organization
    ]
    stored = await resources.read_rids(work.conn, view, others) if others else {}
    return {rid: stored[rid].body if rid in stored else None for rid in others}


def _answer(work: Work, draft: Draft | None) -> Written:
    if draft is None:
        return Written(204, "", "", 0, 0, work.now, None)
    if draft.unchanged and draft.previous is not None:
        return replace(
            _found(draft.previous),
            body=_told(draft.previous.body, draft.previous.labels),
            warnings=tuple(draft.warnings),
        )
    status = 204 if draft.document is None else 201 if draft.op == "create" else 200
    return Written(
        status, draft.type, draft.id, draft.rid, draft.version, work.now,
        _told(draft.body, draft.labels), tuple(draft.warnings),
    )  # fmt: skip
