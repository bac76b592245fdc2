"""A value so far out that a human has to know: whoever asked is asked to say that one does.

http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation (HH, LL, AA)

An errand (`acknowledge`) beside the result, within half an hour. If nobody answers it by then, whoever wrote
the result, who knows what it says, is asked to call (`unacknowledged`); and if that does not help
either, who coordinates the referral is told (record.timing). It says nothing but which result it is
about, and is made only where who asked may see that. A correction that is still critical asks once more;
a value that is withdrawn, or not critical after all, asks no more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.access import viewer
from coordhub.r4.sensitivity import SUD, VSP
from coordhub.record import errands, labelling, orders, parties
from coordhub.record.work import Draft, Work
from coordhub.referral import results
from coordhub.store import consents, resources
from coordhub.store import orders as store
from coordhub.store.episodes import Episode

KIND: Final = "acknowledge"
CALL: Final = "unacknowledged"

WITHIN: Final = timedelta(minutes=30)

Document = dict[str, Any]


async def settle(work: Work) -> None:
    """Ask about the critical results of this commit, and ask no more about those that are none."""
    written = {draft.rid: draft for draft in work.drafts if draft.type in results.TYPES}
    found = await _critical(work, written)
    calmed = {
        rid
        for rid, draft in written.items()
        if rid not in found and (was := draft.before()) is not None and results.is_critical(was)
    }
    if not found and not calmed:
        return
    asked = await store.questions(work.conn, KIND, [*found, *calmed])
    for rid in calmed & asked.keys():
        if not asked[rid].closed:
            await orders.close(work, asked[rid].task)
        for episode in work.episodes.values():
            await call_off(work, episode, rid)
    for rid, (reference, document, episode) in found.items():
        again = rid in written and results.is_correction(document)
        if rid in asked and not (again and asked[rid].closed):
            continue
        if await _may_know(work, document, written.get(rid), episode):
            await _ask(work, reference, episode)


def call(now: datetime, hub: str, *, owner: str, task: str, result: str, referral: str) -> Document:
    """The errand for who wrote the result: `task`, which asked it, is not over while nobody has seen this."""
    return errands.document(
        kind=CALL,
        owner=owner,
        subject=task,
        requester=hub,
        now=now,
        inputs=[_about(result)],
        referral=referral,
    ) | {"priority": "stat"}


def _about(result: str) -> Document:
    return {"type": {"text": "result"}, "valueReference": {"reference": result}}


async def have_called(work: Work, episode: Episode, result: int) -> None:
    """Whoever wrote this result is asked to call, unless it is asked already."""
    stored = await resources.read_rids(
        work.conn, viewer.deciding(), [result, *(one.task for one in episode.candidates)]
    )
    version = stored.get(result)
    author = version.source if version is not None and version.body is not None else None
    candidate = next((one for one in episode.candidates if one.organization == author), None)
    if version is None or candidate is None:
        return
    if await _calls(work, episode, version.reference):
        return
    errand = await errands.open_errand(
        work,
        kind=CALL,
        owner=candidate.recipient,
        subject=stored[candidate.task].reference,
        episode=episode.id,
        inputs=[_about(version.reference)],
    )
    assert errand.document is not None
    errand.document["priority"] = "stat"


async def call_off(work: Work, episode: Episode, result: int) -> None:
    """Nobody need call about this result any more."""
    stored = await resources.read_rids(work.conn, viewer.deciding(), [result])
    about = stored[result].reference if result in stored else ""
    for task in await _calls(work, episode, about):
        await orders.close(work, task)


async def _calls(work: Work, episode: Episode, about: str) -> list[int]:
    """rids of the open errands to call about this result (`Type/id`)."""
    open_ones = [one.task for one in episode.errands if one.kind == CALL and one.closed_at is None]
    stored = await resources.read_rids(work.conn, viewer.deciding(), open_ones) if open_ones else {}
    return [
        task
        for task in open_ones
        if any(
            parties.local(one.get("valueReference"), work.hub.base) == about
            for one in parties.document(stored[task]).get("input") or ()
        )
    ]


async def _critical(
    work: Work, written: dict[int, Draft]
) -> dict[int, tuple[str, Document, Episode]]:
    """Critical results by rid, with the referral that they are of by this commit."""
    found: dict[int, tuple[str, Document, Episode]] = {}
    for rid, matches in work.matches.items():
        document = written[rid].document if rid in written else None
        if document is not None and matches and results.is_critical(document):
            found[rid] = (written[rid].reference, document, work.episodes[matches[0].episode])
    named = {
        rid: episode
        for draft in work.drafts
        if draft.type == "Task"
        and (episode := work.episode_of(draft.rid)) is not None
        and episode.candidate_of_task(draft.rid) is not None
        for rid in orders.outputs(work, draft)
        if rid not in found
    }
    named |= {rid: work.episodes[episode] for rid, episode in work.routed.items()}
    stored = await resources.read_rids(work.conn, viewer.deciding(), list(named)) if named else {}
    for rid, episode in named.items():
        draft, version = written.get(rid), stored.get(rid)
        if draft is not None:
            reference, document, source = draft.reference, draft.document, draft.source
        elif version is not None and version.body is not None:
            reference, source = version.reference, version.source
            document = parties.document(version)
        else:
            continue
        if (
            document is not None
            and orders.was_asked(work, episode, source)
            and source not in work.apart
            and results.is_critical(document)
        ):
            found[rid] = (reference, document, episode)
    return found


async def _may_know(work: Work, document: Document, draft: Draft | None, episode: Episode) -> bool:
    """Whether who asked may see it, as far as can be told before it is written."""
    lists = await work.hub.lists.current(work.conn)
    writers = (draft.source, draft.author) if draft is not None else ()
    if labelling.of_itself(document, writers, lists) & (SUD | VSP):
        return False
    if episode.patient is None:
        return True
    permitted = await consents.may_be_asked(work.conn, episode.patient, [episode.requester])
    return episode.requester in permitted


async def _ask(work: Work, reference: str, episode: Episode) -> None:
    known = await resources.read_rids(work.conn, viewer.deciding(), [episode.requester])
    owner = known[episode.requester].reference
    errand = await errands.open_errand(
        work,
        kind=KIND,
        owner=owner,
        subject=reference,
        episode=episode.id,
        due=work.now + WITHIN,
    )
    assert errand.document is not None
    errand.document["priority"] = "stat"
