"""From drafts to the one statement: stored texts, the difference of their index rows, the audit row."""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.r4 import extract
from coordhub.record import persons, veil
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.store import index, resources, vsp
from coordhub.store.transact import AuditRow, Write, transact


async def write(work: Work, interaction: str) -> None:
    changing = [draft for draft in work.drafts if not draft.unchanged]
    updated = instant(work.now)
    new, old = [], []
    for draft in changing:
        found = extract.Extracted()
        if draft.document is not None:
            stored = fhir_json.with_meta(
                draft.document, id=draft.id, version=draft.version, updated=updated
            )
            draft.body = fhir_json.encode(stored).decode()
            found = extract.extract(stored, base=work.hub.base)
        before = draft.before()
        if before is not None:
            stood = extract.extract(before, base=work.hub.base)
            if _is_found_as_before(draft):
                found, stood = found.beside(stood)
            old.append((draft, stood))
        if draft.document is not None:
            new.append((draft, found))
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
        plain.persons = persons.rows(draft.document or {}, draft.rid, draft.source)
        batch.add.update(veil.rows(work, draft, plain, extracted, terms))
    for draft, extracted in old:
        assert draft.previous is not None
        if not _kept_open(draft):
            continue
        meant = targets
        if draft.targets is not None:
            meant = {name: rid for name, rid in targets.items() if rid in draft.targets}
        gone = index.rows_of(
            extracted,
            rid=draft.rid,
            source=draft.previous.source,
            patient=draft.previous.patient,
            systems=systems,
            targets=meant,
        )
        gone.persons = persons.rows(draft.before() or {}, draft.rid, draft.previous.source)
        batch.remove.update(gone)
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
    batch.to_be_matched = [
        draft.rid
        for draft in changing
        if draft.type == "Patient"
        and (draft.keeper is None or (draft.previous is not None and draft.previous.keeper is None))
    ]
    batch.audit.append(_audit(work, interaction))
    await transact(work.conn, batch, now=work.now)
    if work.unlisted:
        await vsp.hide_versions_before(work.conn, work.unlisted)


def _kept_open(draft: Draft) -> bool:
    """Whether its index rows are those of its text, before and now."""
    return draft.keeper is None and (draft.previous is None or draft.previous.keeper is None)


def _is_found_as_before(draft: Draft) -> bool:
    """Whether the same values are the same rows: it is whose it was, and what it names led somewhere."""
    return (
        draft.document is not None
        and draft.previous is not None
        and draft.previous.patient == draft.patient
        and draft.targets is None
        and not draft.nowhere
        and _kept_open(draft)
    )


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
        person=work.caller.person,
    )
