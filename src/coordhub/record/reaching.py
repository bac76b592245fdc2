"""Who cannot be reached: the attempts of whoever is at work on a referral, counted until they are enough.

http://hl7.org/fhir/R4/communication.html

An attempt is a Communication of its owner's about the Task (or its order) that was `not-done`. The sender
hears of each. When they are enough (referral.reaching, by what deadlines.json says of the kind of need), the Task
is `failed` with `cannot-contact`, in the same commit, and the need goes on by its strategy. Where that ends it,
whoever referred is asked to get in touch. What a victim service provider tries nobody hears.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from coordhub.access import viewer
from coordhub.directory import calendars
from coordhub.errors import Issue
from coordhub.record import errands, for_patient, hearing, parent, parties, stopping, waitlist
from coordhub.record.timing import priority
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import reaching, wording
from coordhub.referral import task_machine as machine
from coordhub.store import resources, said
from coordhub.store.episodes import Candidate, Episode

MAKE_CONTACT = "make-contact"

_AT_WORK = frozenset({"accepted", "ready", "in-progress", "on-hold"})


async def tried(work: Work, draft: Draft) -> None:
    """Count an attempt that this draft tells of; say that the last was enough."""
    episode = hearing.episode_of(work, draft)
    if episode is None:
        return
    document = draft.document or {}
    own = [
        one
        for one in episode.candidates
        if one.organization == draft.source
        and _is_about(work, document, await _names(work, episode, one))
    ]
    live = [one for one in own if await _was_at_work(work, episode, one)]
    if not live:
        if own:
            _warn(draft, "It does not count: you are not at work on what it is about.", "about")
        return
    candidate = live[-1]
    draft.episode = episode.id
    if reaching.attempt(document, candidate.asked_at, work.now) is None:
        when = "It does not count: say in sent when it was, a time since you were asked."
        _warn(draft, when, "sent")
        return
    if await parent.status_of(work, episode, candidate) in machine.TERMINAL:
        return  # by another attempt of this commit, or as its owner says in it
    tally, term = await _tally(work, episode, candidate)
    if tally.is_enough(term):
        failed = machine.concept(machine.REASONS[reaching.NOT_REACHED])
        await _move(work, episode, candidate, {"status": "failed", "statusReason": failed})
        return
    if not document.get("medium"):
        _warn(draft, "It counts for no way: say in medium by which it was.", "medium")
    task = await _task(work, episode, candidate)
    so_far = wording.business_of(task)
    if so_far in reaching.OVER and (so_far or "businessStatus" not in task):
        code = pure.business_status(reaching.TRIED)
        await _move(work, episode, candidate, {"businessStatus": code})


async def warn_of_too_few(
    work: Work, draft: Draft, episode: Episode, candidate: Candidate, at: str
) -> None:
    """Its owner ends the Task of this draft as it reached nobody: say so where it tried less than is asked."""
    document = draft.document or {}
    reason = parent.code_of(document.get("statusReason"), machine.REASON_SYSTEM)
    if document.get("status") != "failed" or reason != reaching.NOT_REACHED:
        return
    tally, term = await _tally(work, episode, candidate)
    if not tally.is_enough(term):
        text = (
            f"Known here are {tally.said(term)}. Record each attempt as a Communication of status not-done, "
            "statusReason recipient-unavailable, about this Task, with sent and medium."
        )
        draft.warnings.append(Issue("business-rule", text, at, "warning"))


async def settle(work: Work) -> None:
    """Ask whoever referred to get in touch, about each need that ended as nobody was reached."""
    ended = [one for one in work.batch.need_states if one.state == "unmet"]
    for state in ended:
        episode = work.episodes[state.episode]
        need = next(one for one in episode.needs if one.ordinal == state.ordinal)
        if (episode.id, need.ordinal) in work.concluded:  # whoever referred has just said so
            continue
        versions = await parent.tasks(work, episode)
        told = [
            child
            for child in parent.children(work, episode, versions)
            if child.need == str(need.ordinal) and not child.apart
        ]
        if not told or told[-1].reason != reaching.NOT_REACHED or episode.requester in work.apart:
            continue
        known = [each.subject for each in episode.errands if each.kind == MAKE_CONTACT]
        if need.request in known:
            continue
        last = [one for one in episode.candidates if one.need == need.ordinal][-1]
        stored = await resources.read_rids(
            work.conn, viewer.deciding(), [episode.requester, need.request]
        )
        await errands.open_errand(
            work,
            kind=MAKE_CONTACT,
            owner=stored[episode.requester].reference,
            subject=stored[need.request].reference,
            episode=episode.id,
            reason=machine.REASONS[reaching.NOT_REACHED],
            inputs=[for_patient.contact_of(last.recipient)],
        )


async def _tally(
    work: Work, episode: Episode, candidate: Candidate
) -> tuple[reaching.Tally, reaching.Term]:
    """What counts of the attempts, as this commit leaves them."""
    names = await _names(work, episode, candidate)
    stored = await said.communications(
        work.conn, viewer.deciding(), episode.id, candidate.organization
    )
    written = {
        draft.rid: draft.document
        for draft in work.drafts
        if draft.type == "Communication" and draft.source == candidate.organization
    }
    documents = [parties.document(one) for one in stored if one.rid not in written]
    documents += [one for one in written.values() if one is not None]
    attempts = [
        found
        for one in documents
        if reaching.is_attempt(one)
        and _is_about(work, one, names)
        and (found := reaching.attempt(one, candidate.asked_at, work.now)) is not None
    ]
    limits = work.hub.deadlines
    task = await _task(work, episode, candidate)
    term = limits.unreached(episode.need_of(candidate).kind, priority(task))
    there = await calendars.calendar_of(
        work.conn, candidate.recipient, work.hub.base, limits.calendar
    )
    return reaching.tally(attempts, term, there), term


async def _move(
    work: Work, episode: Episode, candidate: Candidate, changes: dict[str, object]
) -> None:
    await parent.move(work, episode, candidate, changes)
    moved = work.draft_of((await parent.tasks(work, episode))[candidate.task].reference)
    if moved is not None and "status" in changes:
        await stopping.over(work, episode, moved)
        await waitlist.left(work, episode)


async def _task(work: Work, episode: Episode, candidate: Candidate) -> dict[str, Any]:
    return parties.document((await parent.tasks(work, episode))[candidate.task])


async def _was_at_work(work: Work, episode: Episode, candidate: Candidate) -> bool:
    """Whether it had won before this commit, so that it knows whom to reach."""
    task = await _task(work, episode, candidate)
    kept = parent.is_kept(task) or parent.is_to_be_chosen(work, episode, candidate)
    return str(task["status"]) in _AT_WORK and not kept


async def _names(work: Work, episode: Episode, candidate: Candidate) -> set[str]:
    """How something names what this candidate is asked: its Task, or the order of that."""
    task = (await parent.tasks(work, episode))[candidate.task].reference
    order = await resources.read_rids(work.conn, viewer.deciding(), [candidate.request])
    return {task, *(each.reference for each in order.values())}


def _is_about(work: Work, document: dict[str, Any], names: Collection[str]) -> bool:
    stated = [*(document.get("about") or ()), *(document.get("basedOn") or ())]
    return any(text in names for text in parties.locals_of(stated, work.hub.base))


def _warn(draft: Draft, text: str, element: str) -> None:
    at = f"{draft.at or draft.type}.{element}"
    draft.warnings.append(Issue("business-rule", text, at, "warning"))
