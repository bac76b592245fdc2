"""From operations to drafts: what each supersedes, who may write it, the id and shard of what is new.

Locks are taken here, episodes before resources, unless one resource is changed without.

http://hl7.org/fhir/R4/http.html#update, #upsert, #concurrency
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordhub.access.caller import Caller
from coordhub.errors import (
    FhirError,
    Issue,
    conflict,
    forbidden,
    method_not_allowed,
    not_found,
    version_conflict,
)
from coordhub.r4 import sensitivity
from coordhub.record import (
    claiming,
    identity,
    orders,
    parent,
    parties,
    patching,
    rules,
    withdrawal,
)
from coordhub.record.hub import DIRECTORY_SHARD
from coordhub.record.operations import (
    Create,
    Delete,
    Settled,
    Update,
)
from coordhub.record.validation import quarantine
from coordhub.record.work import Draft, Work
from coordhub.store import resources
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer


async def draft(
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
                if operation.if_match is None:
                    await claiming.refuse_late(work, operation.type, operation.id, operation.at)
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
    touched |= await rules.referrals_touched(work, operations)
    touched |= _results_of(work, list(existing.values()))
    touched |= await orders.named(work, operations, mapping)
    touched |= await orders.sent_along(work, operations)
    touched |= work.moved
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
                shown = await resources.read_rids(work.conn, view, [current.rid])
                if current.rid not in shown:
                    await claiming.refuse_late(work, operation.type, operation.id, operation.at)
                operation = patching.again(operation, shown.get(current.rid))
                await identity.locate_names(work, [operation], hub.base, view, ())
        document = None
        if not isinstance(operation, Delete):
            document = work.rewritten(operation.document, mapping)
        kind, _, fhir_id = names[position].partition("/")
        if position in existing:
            await _refuse_stale(work, operation, locked[existing[position]])
            draft = _next_version(work, operation, locked[existing[position]], document)
            if draft is not None:
                await _refuse_guess(work, view, draft)
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


def _results_of(work: Work, rids: list[int]) -> set[int]:
    """The referrals that these are results of: who was told of them is told of what becomes of them."""
    return {
        found.result_of
        for found in work.located.values()
        if found.rid in rids and found.result_of is not None
    }


async def _current(work: Work, rids: list[int]) -> dict[int, Version]:
    """What the operations supersede: as it was located where no lock is needed, else locked."""
    if not rids:
        return {}
    known = {
        found.rid: found.current for found in work.located.values() if found.current is not None
    }
    if work.unlocked and len(rids) == 1 and rids[0] in known:
        work.compared = True
        return {rid: known[rid] for rid in rids}
    await work.hold()
    # an answer moves the referral's own Task, too: all of them are locked at once
    besides = {
        episode.id: tasks
        for episode in work.episodes.values()
        if not (tasks := parent.tasks_of(episode)).isdisjoint(rids)
    }
    locked = await resources.lock(work.conn, sorted({*rids, *set().union(*besides.values())}))
    for number, these in besides.items():
        work.tasks[number] = {rid: locked[rid] for rid in these}
    return locked


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
            "GET, HEAD, PATCH, DELETE",
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


async def _refuse_stale(work: Work, operation: Settled, current: Version) -> None:
    """412 where If-Match names another version; of a Task that asks the caller, with what it may say now."""
    if isinstance(operation, Create) or operation.if_match in (None, current.version):
        return
    told = await rules.legal_now(work, current)
    raise version_conflict(
        current.reference, f'W/"{operation.if_match}"', current.version, operation.at, told
    )


def _next_version(
    work: Work, operation: Settled, previous: Version, document: dict[str, object] | None
) -> Draft | None:
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
        if not work.caller.is_person and rules.may_write(work, draft):
            document = _with_untold(document, draft.before() or {})
            draft.document = document = _named_as_before(work, document, draft.before() or {})
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
        raise _not_its_own(draft)
    return draft


def _with_untold(document: dict[str, object], before: dict[str, object]) -> dict[str, object]:
    """With whom the Task is for, which a candidate is not told before it has won, and so cannot send back."""
    if "for" in document or "for" not in before:
        return document
    named = {**document, "for": before["for"]}
    return {name: named[name] for name in before if name in named} | named


def _named_as_before(
    work: Work, document: dict[str, Any], before: dict[str, Any]
) -> dict[str, Any]:
    """With `Type/id` where it stood before, of what comes back as the hub's absolute URL for the same."""
    base = f"{work.hub.base}/"
    stood = {element["reference"] for _, element in work.references_in(before)}
    absolute = {
        text: text.removeprefix(base)
        for _, element in work.references_in(document)
        if (text := element["reference"]).startswith(base) and text not in stood
    }
    return work.rewritten(
        document, {text: local for text, local in absolute.items() if local in stood}
    )


async def _refuse_guess(work: Work, view: Viewer, draft: Draft) -> None:
    """403 for sending another's resource as it is, to who is shown a part of it: it would tell what it guessed."""
    previous = draft.previous
    if (
        previous is None
        or previous.body is None
        or previous.source == work.caller.organization
        or not draft.unchanged
        or work.caller.is_hub
        or rules.may_write(work, draft)
    ):
        return
    shown = (await resources.read_rids(work.conn, view, [previous.rid])).get(previous.rid)
    if shown is None or shown.body != sensitivity.splice(previous.body, previous.labels):
        raise _not_its_own(draft)


def _not_its_own(draft: Draft) -> FhirError:
    return forbidden(
        f"{draft.reference} was written by another organization. You may read it, and change it only where "
        "a rule of the referral says so (the Task that asks you).",
        draft.at,
    )


def patient_of(work: Work, draft: Draft) -> int | None:
    """rid of the patient whose record this is."""
    if draft.type == "Patient":
        return draft.rid
    if draft.document is None:
        return draft.previous.patient if draft.previous else None
    if draft.type == "Binary":
        return _of_its_context(work, draft.document)
    for text in work.patients_in(draft.document):
        if text in draft.nowhere:
            return None
        rid = work.rid_of(text)
        if rid is None and draft.previous is not None:
            # Not located, since its sender was not told of it and so did not name it.
            before = work.patients_in(draft.before() or {})
            return draft.previous.patient if text in before else None
        return rid
    return None


def _of_its_context(work: Work, binary: dict[str, object]) -> int | None:
    """rid of the patient of what a Binary says that it is to be protected as.

    http://hl7.org/fhir/R4/binary-definitions.html#Binary.securityContext
    """
    text = parties.local(binary.get("securityContext"), work.hub.base)
    if text is None or text.startswith("Binary/"):
        return None
    written = work.draft_of(text)
    if written is not None:
        return patient_of(work, written)
    kind, _, fhir_id = text.partition("/")
    found = work.located.get((kind, fhir_id))
    if found is None or not found.visible:
        return None
    return found.rid if kind == "Patient" else found.patient
