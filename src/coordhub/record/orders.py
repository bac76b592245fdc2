"""Which order a result answers where it does not refer to one: by a number of the order, or by asking.

http://hl7.org/fhir/R4/datatypes.html#Identifier, http://hl7.org/fhir/R4/task.html

A number finds the orders that the writer was asked with, and no others. Where it finds none or several, or
where the result names an order that is not here, nobody guesses: the result stays with who wrote it, which
is asked by an errand (`match-result`) what it answers. The errand lists the orders it may be, with what
speaks for each: those that the writer was asked with about this patient, as it sees them. Records that are
linked as one person's count as one: an order for either is no other patient's. With whom
competes and is not told for whom, no result is matched: that it is of the right patient would tell. A result that
names no order is asked about only if it is about somebody else's patient, or one whom the hub knows by another
record too, and one of those orders asks for the same (that records are linked later: `record.unmatched`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.errors import Issue
from coordhub.r4 import reference
from coordhub.record import errands, parent, parties
from coordhub.record.hub import instant
from coordhub.record.operations import Create, Delete, Settled, Update
from coordhub.record.work import Draft, Work
from coordhub.referral import results
from coordhub.referral import task_machine as machine
from coordhub.store import orders, persons, resources
from coordhub.store import results as store
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.visibility import HUB

KIND: Final = "match-result"
ORDERS: Final = 10
"""Orders that one errand lists."""

MOST: Final = 1000
"""Orders of one patient that are looked through."""

_INPUT: Final = "urn:coordhub:errand-input"
CANDIDATE: Final = "candidate"

Document = dict[str, Any]


async def named(work: Work, operations: Iterable[Settled], mapping: Mapping[str, str]) -> set[int]:
    """The referrals whose numbers are stated by what is written: to be locked first of all."""
    if work.caller.is_hub or work.caller.is_person or work.caller.organization in work.apart:
        return set()
    stated: dict[results.Number, None] = {}
    for operation in operations:
        if isinstance(operation, Create | Update) and operation.type in results.TYPES:
            document = reference.rewrite(operation.document, mapping.get)
            stated |= dict.fromkeys(results.numbers(document))
    if not stated:
        return set()
    numbers = list(stated)
    rows = [
        orders.Numbered(one.system, one.value, await _assigner(work, one.assigner))
        for one in numbers
    ]
    found = await orders.by_numbers(work.conn, work.hub.engine, work.caller.organization, rows)
    for place, episode in found:
        work.numbered.setdefault(numbers[place], set()).add(episode)
    return {episode for _, episode in found}


async def sent_along(work: Work, operations: Iterable[Settled]) -> set[int]:
    """The referrals with which something was sent that is corrected or deleted now: who has it is to know."""
    wrong = set()
    for operation in operations:
        if isinstance(operation, Create) or operation.type not in results.TYPES:
            continue
        found = work.located.get((operation.type, operation.id))
        if (
            found is not None
            and found.visible
            and found.result_of is None
            and found.source == work.caller.organization
            and found.source not in work.apart
            and (isinstance(operation, Delete) or results.is_correction(operation.document))
        ):
            wrong.add(found.rid)
    if wrong:
        work.copied = await store.sent_along(work.conn, sorted(wrong))
    return set(work.copied.values())


async def _assigner(work: Work, text: str) -> int:
    local = parties.local({"reference": text}, work.hub.base) if text else None
    found = await services.recipient(work.conn, local, work.hub.base) if local else None
    return found.organization.rid if found is not None else 0


def was_asked(work: Work, episode: Episode, organization: int) -> bool:
    """Whether it was, and knows for whom, or wins in this commit."""
    return any(
        one.organization == organization and (not one.blind or _wins(work, one.task))
        for one in episode.candidates
    )


def _wins(work: Work, task: int) -> bool:
    return any(
        draft.rid == task
        and (draft.document or {}).get("status") in machine.WON
        and not parent.is_kept(draft.document or {})
        for draft in work.drafts
    )


async def who_is_who(work: Work) -> None:
    """Note of the Patients that results of this commit are about which other records are the same person's."""
    linked = {found.rid for found in work.located.values() if found.linked}
    about = {draft.patient for draft in work.drafts if draft.type in results.TYPES}
    if known := sorted(linked & about):
        work.one_person = await persons.together(work.conn, known)


def is_of_another(work: Work, draft: Draft, episode: Episode) -> bool:
    """Whether a result is about somebody else than the order is, as far as that is certain.

    Who was asked may keep a record of its own of the same person, and refer to that from the start.
    """
    if draft.patient is None or episode.patient in (None, draft.patient):
        return False
    if episode.patient in work.one_person.get(draft.patient, ()):
        return False
    if draft.previous is not None and draft.previous.patient == episode.patient:
        return True
    return _is_about_another_s(work, draft)


async def settle(work: Work) -> None:
    """Ask about what found no order, and ask no more about what has one now."""
    if work.caller.is_hub or work.caller.is_person or work.caller.organization in work.apart:
        return
    lost = {
        draft.rid: draft
        for draft in work.drafts
        if _is_ours(work, draft) and not work.matches.get(draft.rid) and _reason(work, draft)
    }
    found = {rid for rid, by in work.matches.items() if by}
    for draft in work.drafts:
        found |= outputs(work, draft) if draft.type == "Task" else set()
    before = {
        draft.rid
        for draft in work.drafts
        if draft.type in results.TYPES
        and (was := draft.before()) is not None
        and (results.claims_an_order(was) or _may_be_asked_for(work, draft))
    }
    known = before | {rid for rid in found if not _is_new(work, rid)}
    asked = await orders.questions(work.conn, KIND, known) if known else {}
    for subject, question in asked.items():
        if not question.closed and subject not in lost:
            await close(work, question.task)
    for rid, draft in lost.items():
        if rid in asked and (not asked[rid].closed or _same(draft.before() or {}, draft)):
            continue
        await _ask(work, draft)


def _is_ours(work: Work, draft: Draft) -> bool:
    return (
        draft.type in results.TYPES
        and draft.operation is not None
        and draft.document is not None
        and not draft.unchanged
        and not draft.quarantined
        and draft.source == work.caller.organization
        and results.status(draft.document) not in results.RETRACTED
    )


def _reason(work: Work, draft: Draft) -> str | None:
    """Why it is to be asked about; "order-unnamed": only if an order is like it."""
    assert draft.document is not None
    if draft.rid in work.of_another:
        return "order-of-another"
    if results.claims_an_order(draft.document):
        several = any(len(work.numbered.get(n, ())) > 1 for n in results.numbers(draft.document))
        return "order-ambiguous" if several else "order-unknown"
    return "order-unnamed" if _may_be_asked_for(work, draft) else None


def _may_be_asked_for(work: Work, draft: Draft) -> bool:
    """Whether somebody else may have ordered it: its patient is known by a record that is not its writer's."""
    return _is_about_another_s(work, draft) or draft.patient in work.one_person


def _is_about_another_s(work: Work, draft: Draft) -> bool:
    """Whether its patient is of a record that somebody else keeps."""
    return draft.patient is not None and any(
        found.rid == draft.patient and found.source != draft.source
        for found in work.located.values()
    )


def _same(before: Document, draft: Draft) -> bool:
    """Whether it names its order as the version before did."""
    after = draft.document or {}
    return results.orders(before) == results.orders(after) and results.numbers(
        before
    ) == results.numbers(after)


def outputs(work: Work, draft: Draft) -> set[int]:
    """What a Task names as output."""
    named = (
        parties.local(output.get("valueReference"), work.hub.base)
        for output in (draft.document or {}).get("output") or ()
    )
    return {rid for text in named if text and (rid := work.rid_of(text)) is not None}


def _is_new(work: Work, rid: int) -> bool:
    return any(draft.rid == rid and draft.previous is None for draft in work.drafts)


async def _ask(work: Work, draft: Draft) -> None:
    assert draft.document is not None
    reason = _reason(work, draft)
    assert reason is not None
    proposed = await propose(
        work.conn, work.caller.organization, draft.patient, draft.document, work.now
    )
    if reason == "order-unnamed" and not any(like.is_likely for _, like in proposed):
        return
    errand = await errands.open_errand(
        work,
        kind=KIND,
        owner=work.caller.reference,
        subject=draft.reference,
        reason=machine.REASONS[reason],
        inputs=inputs(proposed),
    )
    draft.warnings.append(
        Issue(
            "business-rule",
            f"Nobody is told of this: {machine.REASONS[reason].text}. {errand.reference} lists the orders that it may "
            "answer; complete it with the Task of the right one as output, or send this again with basedOn.",
            draft.at or draft.type,
            "warning",
        )
    )


def inputs(proposed: Iterable[tuple[str, results.Likeness]]) -> list[Document]:
    """What the errand lists: the Task of each order, and what speaks for it."""
    return [
        {
            "type": {"coding": [{"system": _INPUT, "code": CANDIDATE}], "text": like.said()},
            "valueReference": {"reference": task},
        }
        for task, like in proposed
    ]


async def propose(
    conn: Connection, organization: int, patient: int | None, result: Document, now: datetime
) -> list[tuple[str, results.Likeness]]:
    """`Task/id` of each order that the organization was asked with about this patient, the likeliest first."""
    if patient is None:
        return []
    view = viewer.as_organization(organization)
    same = (await persons.together(conn, [patient]))[patient]
    asked = await orders.asked_about(conn, view, patient, same - {patient}, ORDERS)
    seen = await resources.read_rids(
        conn, view, [rid for one in asked for rid in (one.task, one.request)]
    )
    found = []
    for one in asked:
        task, request = seen.get(one.task), seen.get(one.request)
        if task is None or task.body is None:
            continue
        order = parties.document(request) if request is not None and request.body else {}
        like = results.likeness(
            result, order, one.asked_at, now, linked=one.patient in same - {patient}
        )
        found.append((task.reference, like))
    found.sort(key=lambda each: (not each[1].is_likely, not each[1].same_code))
    return found


async def of_patient(work: Work, organization: int, patient: int) -> set[int]:
    """The referrals that this organization was asked with about this patient, or one with a number of it, or
    one that is linked as the same person."""
    same = (await persons.together(work.conn, [patient]))[patient]
    view = viewer.as_organization(organization)
    asked = await orders.asked_about(work.conn, view, patient, same - {patient}, MOST)
    return {one.episode for one in asked}


async def close(work: Work, rid: int) -> None:
    """Nobody need answer this any more: it has found its order, or does not count."""
    await work.hold()
    held = (await resources.lock(work.conn, [rid]))[rid]
    document = {
        **parties.document(held),
        "status": "cancelled",
        "lastModified": instant(work.now),
    }
    work.supersede(held, HUB, document)
    work.batch.errands_closed.append(rid)
