"""The write of everything: operations in, one transaction, what became of them out.

http://hl7.org/fhir/R4/http.html#create, #update, #delete, #trules
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.errors import (
    FhirError,
    Issue,
    bad_request,
    conflict,
    forbidden,
    method_not_allowed,
    not_found,
    unprocessable,
    version_conflict,
)
from coordhub.r4 import document as fhir_json
from coordhub.r4 import extract, sensitivity
from coordhub.record import (
    care_teams,
    conditional,
    consents,
    grants,
    identity,
    labelling,
    patching,
    provenance,
    proxies,
    release,
    rules,
    unlisting,
    veil,
    withdrawal,
)
from coordhub.record.hub import DIRECTORY_SHARD, Hub, instant
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
from coordhub.record.validation import quarantine, references, structure
from coordhub.record.work import Draft, Work
from coordhub.store import idempotency as keys
from coordhub.store import index, resources, vsp
from coordhub.store.engine import SERIALIZATION_RETRY, Begin, Connection
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow, Overtaken, Write, transact
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
    another request: 422.
    """
    for operation in operations:
        caller.require(operation.type, _LETTER[type(operation)])
    issues = list(structure.check(operations))
    if issues:
        raise unprocessable(*issues)
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
                        return await _replayed(conn, caller, first, idempotency, hub.clock())
                written, wakes = await apply(
                    hub,
                    conn,
                    caller,
                    operations,
                    interaction=interaction,
                    begin=begin,
                    unlocked=idempotency is None and attempt == 0,
                )
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
            return Committed(written)
    raise AssertionError("unreachable")


async def _replayed(
    conn: Connection,
    caller: Caller,
    first: keys.Claimed,
    idempotency: Idempotency,
    now: datetime,
) -> Committed:
    if first.fingerprint != idempotency.fingerprint:
        raise unprocessable(
            Issue(
                "duplicate",
                "This Idempotency-Key was used for another request. Use a new key for a new request.",
            )
        )
    versions = await resources.read_written(
        conn,
        viewer.as_organization(caller.organization),
        [(rid, version) for _, rid, version in first.outcome],
    )
    written = [
        Written(status, found.type, found.id, rid, found.version, found.updated, found.body)
        if (found := versions.get((rid, version))) is not None
        else Written(status, "", "", 0, 0, first.at, None)
        for status, rid, version in first.outcome
    ]
    return Committed(written, replayed=True)


async def apply(
    hub: Hub,
    conn: Connection,
    caller: Caller,
    operations: Sequence[Operation],
    *,
    interaction: str,
    begin: Begin | None = None,
    unlocked: bool = False,
) -> tuple[list[Written], bool]:
    """The same inside a transaction that is open; the second value says whether workers should wake.

    begin: opens the transaction where something has to be locked. What creates only locks nothing,
    and the one statement that writes is a transaction by itself; under READ COMMITTED nothing that
    was read before it would stand any stiller inside of one.

    unlocked: try the change of one resource without lock; Overtaken if another commit was faster.
    """
    work = Work(hub, conn, caller, hub.clock(), begin=begin, unlocked=unlocked)
    if caller.is_hub:
        work.apart = await vsp.marked(conn)
    else:
        work.apart = (await hub.lists.current(conn)).apart
    view = viewer.deciding() if caller.is_hub else viewer.of(caller)
    meant = await conditional.settle(work, operations)
    matched = meant.matched
    settled = await patching.attempt(work, view, meant.operations)
    found = await conditional.resolve_references(work, settled)
    met = [*found.values(), *(version.reference for version in matched.values())]
    await identity.locate_names(work, settled, hub.base, view, met)
    names, mapping = identity.assign_ids(work, settled, matched, found)
    _refuse_repeats(settled, names)
    positions = sorted(
        (position for position in range(len(settled)) if position not in matched),
        key=lambda position: (_ORDER[type(settled[position])], position),
    )
    drafts = await _draft(work, view, settled, names, mapping, positions)
    await references.check(work)
    for draft in work.drafts:
        draft.patient = _patient_of(work, draft)
    await unlisting.strip(work)
    await rules.apply(work)
    await release.decide(work)
    await provenance.write(work)
    await labelling.decide(work)
    await grants.decide(work)
    await consents.decide(work)
    await care_teams.decide(work)
    await proxies.decide(work)
    await _write(work, interaction)
    if await withdrawal.follow(work, _by_itself):
        work.wakes = True
    answers: list[list[Written]] = [[] for _ in operations]
    for position, origin in enumerate(meant.origins):
        answers[origin].append(
            _found(matched[position]) if position in matched else _answer(work, drafts[position])
        )
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


async def _draft(
    work: Work,
    view: Viewer,
    operations: Sequence[Settled],
    names: Sequence[str],
    mapping: dict[str, str],
    positions: Sequence[int],
) -> dict[int, Draft | None]:
    """Drafts by position; None for the deletion of what is not there. Locks episodes, then resources."""
    caller, hub = work.caller, work.hub
    existing: dict[int, int] = {}
    created: list[int] = []
    nothing: set[int] = set()
    for position in positions:
        operation = operations[position]
        if isinstance(operation, Create):
            created.append(position)
            continue
        found = work.located.get((operation.type, operation.id))
        if found is None or not found.visible:
            if isinstance(operation, Delete):
                nothing.add(position)
            else:
                _may_choose_id(caller, operation, taken=found is not None)
                created.append(position)
        elif isinstance(operation, Update) and operation.criteria is not None:
            raise conflict(
                f"{operation.type}/{operation.id} exists and does not match the criteria. "
                "Send the body without id, or update it by its id.",
                operation.at,
            )
        else:
            existing[position] = found.rid
    touched = await withdrawal.referrals_touched(work, operations, mapping)
    await rules.lock_episodes(work, touched)
    await withdrawal.look_before(work)
    locked = await _current(work, list(existing.values()))
    numbers = iter(await hub.engine.rids(len(created)) if created else [])
    drafts: dict[int, Draft | None] = {}
    for position in positions:
        operation = operations[position]
        if position in nothing:
            drafts[position] = None
            continue
        if position in existing and isinstance(operation, Update) and operation.patched is not None:
            current = locked[existing[position]]
            if current.version != operation.patched.version:
                operation = patching.again(operation, current)
                await identity.locate_names(work, [operation], hub.base, view, ())
        document = None
        if not isinstance(operation, Delete):
            document = work.rewritten(operation.document, mapping)
        kind, _, fhir_id = names[position].partition("/")
        if position in existing:
            draft = _next_version(work, operation, locked[existing[position]], document)
        else:
            assigned = isinstance(operation, Update)
            shard = (
                _shard_of(work, kind, fhir_id, document or {}, mapping)
                if assigned
                else int(fhir_id[:2], 16)
            )
            draft = Draft(
                operation, kind, fhir_id, next(numbers) << 8 | shard, 1,
                caller.organization, caller.organization, document, assigned=assigned, at=operation.at,
            )  # fmt: skip
        drafts[position] = draft
        if draft is not None:
            work.drafts.append(draft)
    return drafts


async def _current(work: Work, rids: list[int]) -> dict[int, Version]:
    """What the operations supersede: as it was located where no lock is needed, else locked."""
    if not rids:
        return {}
    known = {
        found.rid: found.current for found in work.located.values() if found.current is not None
    }
    if work.unlocked and all(rid in known for rid in rids):
        work.compared = True
        return {rid: known[rid] for rid in rids}
    await work.hold()
    return await resources.lock(work.conn, rids)


def _may_choose_id(caller: Caller, operation: Update, *, taken: bool) -> None:
    """Ids are the hub's to give. An id that someone else holds answers like one that may not be chosen."""
    if operation.patched is not None:
        raise not_found(f"{operation.type}/{operation.id}", operation.at)
    if operation.if_match is not None:
        raise FhirError(
            412,
            Issue(
                "conflict",
                f"{operation.type}/{operation.id} is not known here, so no version of it can match.",
                operation.at,
            ),
        )
    if taken or not caller.update_as_create:
        raise method_not_allowed(
            f"{operation.type}/{operation.id} is not known here, and ids are given by the hub: "
            f"POST to {operation.type} and use the id of the answer.",
            "GET, PATCH, DELETE",
            operation.at,
        )
    caller.require(operation.type, "create")


def _shard_of(
    work: Work, kind: str, fhir_id: str, document: dict[str, object], mapping: dict[str, str]
) -> int:
    if kind == "Patient":
        return identity.shard_of_new_patient(fhir_id)
    for text in work.patients_in(document):
        found = work.located.get(("Patient", text.partition("/")[2]))
        return (
            found.rid & 255
            if found is not None and found.visible
            else identity.shard_of_new_patient(text.partition("/")[2])
        )
    return DIRECTORY_SHARD


def _next_version(
    work: Work, operation: Settled, previous: Version, document: dict[str, object] | None
) -> Draft | None:
    assert not isinstance(operation, Create)
    if operation.if_match is not None and operation.if_match != previous.version:
        raise version_conflict(
            previous.reference, f'W/"{operation.if_match}"', previous.version, operation.at
        )
    if document is None and previous.deleted:
        return None
    draft = Draft(
        operation, previous.type, previous.id, previous.rid, previous.version + 1,
        work.caller.organization, previous.source, document, previous, at=operation.at,
    )  # fmt: skip
    if document is None:  # what was held back is not shown by being deleted
        draft.dangling, draft.quarantined = previous.dangling, previous.quarantined
    if document is not None and previous.body is not None:
        document = sensitivity.unspliced(document, previous.labels, draft.before())
        draft.document = document
        sent, stored = document, draft.before() or {}
        if previous.quarantined:
            sent, stored = (quarantine.tagged(one, quarantined=False) for one in (sent, stored))
        draft.compare(sent, stored)
    if (
        previous.source != work.caller.organization
        and not draft.unchanged
        and not work.caller.is_hub
        and not rules.may_write(work, draft)
    ):
        raise forbidden(
            f"{previous.reference} was written by another organization. You may read it, and change it only where "
            "a rule of the referral says so (the Task that asks you).",
            operation.at,
        )
    return draft


def _patient_of(work: Work, draft: Draft) -> int | None:
    """rid of the patient whose record this is."""
    if draft.type == "Patient":
        return draft.rid
    if draft.document is None:
        return draft.previous.patient if draft.previous else None
    for text in work.patients_in(draft.document):
        return None if text in draft.nowhere else work.rid_of(text)
    return None


async def _write(work: Work, interaction: str) -> None:
    changing = [draft for draft in work.drafts if not draft.unchanged]
    updated = instant(work.now)
    new, old = [], []
    for draft in changing:
        if draft.document is not None:
            stored = fhir_json.with_meta(
                draft.document, id=draft.id, version=draft.version, updated=updated
            )
            draft.body = fhir_json.encode(stored).decode()
            new.append((draft, extract.extract(stored, base=work.hub.base)))
        before = draft.before()
        if before is not None:
            old.append((draft, extract.extract(before, base=work.hub.base)))
    systems = await work.hub.engine.systems(
        index.systems_in(extracted for _, extracted in (*new, *old))
    )
    targets = await _targets(work, [extracted for _, extracted in old])
    terms = (await work.hub.lists.current(work.conn)).terms
    batch = work.batch
    for draft, extracted in new:
        plain = index.rows_of(
            extracted,
            rid=draft.rid,
            source=draft.source,
            patient=draft.patient,
            systems=systems,
            targets=_without(targets, draft.nowhere),
        )
        batch.add.update(veil.rows(work, draft, plain, extracted, terms))
    for draft, extracted in old:
        assert draft.previous is not None
        if not _kept_open(draft):
            continue
        stood = targets
        if draft.targets is not None:
            stood = {name: rid for name, rid in targets.items() if rid in draft.targets}
        batch.remove.update(
            index.rows_of(
                extracted,
                rid=draft.rid,
                source=draft.previous.source,
                patient=draft.previous.patient,
                systems=systems,
                targets=stood,
            )
        )
    batch.add, batch.remove = batch.add.without(batch.remove), batch.remove.without(batch.add)
    batch.writes = [
        Write(
            draft.rid, draft.type, draft.id, draft.version, draft.op, draft.author, draft.source,
            draft.patient, draft.body, draft.assigned, draft.episode, draft.labels, draft.dangling,
            draft.quarantined, draft.previous.seen if draft.previous is not None else None,
            draft.keeper,
        )
        for draft in changing
    ]  # fmt: skip
    veiled = {draft.rid for draft in changing if draft.previous and not _kept_open(draft)}
    if veiled or work.unlisted:
        await work.hold()
        await vsp.forget_index(work.conn, veiled)
    work.wakes = any(draft.episode is not None for draft in changing)
    batch.audit.append(_audit(work, interaction))
    await transact(work.conn, batch, now=work.now)
    if work.unlisted:
        await vsp.hide_versions_before(work.conn, work.unlisted)


def _kept_open(draft: Draft) -> bool:
    """Whether its index rows are those of its text, before and now."""
    return draft.keeper is None and (draft.previous is None or draft.previous.keeper is None)


async def _targets(work: Work, superseded: Sequence[extract.Extracted]) -> dict[str, int]:
    """rid of each `Type/id` that is or was referred to."""
    targets = {f"{kind}/{fhir_id}": found.rid for (kind, fhir_id), found in work.located.items()}
    targets |= {draft.reference: draft.rid for draft in work.drafts}
    missing = {
        found.reference.local
        for extracted in superseded
        for found in extracted.references
        if found.reference.local is not None and found.reference.local not in targets
    }
    if missing:
        names = [(name.partition("/")[0], name.partition("/")[2]) for name in sorted(missing)]
        for known in (await resources.locate(work.conn, viewer.deciding(), names)).values():
            targets[f"{known.type}/{known.id}"] = known.rid
    return targets


def _without(targets: dict[str, int], nowhere: set[str]) -> dict[str, int]:
    if not nowhere:
        return targets
    return {name: rid for name, rid in targets.items() if name not in nowhere}


def _audit(work: Work, interaction: str) -> AuditRow:
    asked = [draft for draft in work.drafts if draft.operation is not None]
    only = asked[0] if len(asked) == 1 else None
    return AuditRow(
        work.caller.client,
        work.caller.organization,
        interaction,
        200,
        only.type if only else None,
        only.id if only else None,
        tuple(draft.rid for draft in work.drafts),
        request_id=work.caller.request_id,
    )


def _found(version: Version) -> Written:
    return Written(
        200, version.type, version.id, version.rid, version.version, version.updated, version.body
    )


def _told(body: str | None, labels: int) -> str | None:
    """A stored text as its writer is shown it: with the labels of the hub."""
    return None if body is None else sensitivity.splice(body, labels)


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
