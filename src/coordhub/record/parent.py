"""The sender's Task T1, its needs and the Tasks T2 that ask for them, as one commit sees them.

Whatever moves a T2 moves T1 in the same commit: rules note which referral moved (`Work.moved`), and
`settle` computes each once, of what all drafts of the commit say, by the pure functions of `referral`.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coordhub.record import parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import needs as needs_of
from coordhub.referral import sharing, wording
from coordhub.referral import task_machine as machine
from coordhub.referral.needs import Child, Need
from coordhub.store import resources
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.resources import Version
from coordhub.store.transact import CandidateRow, CandidateStatus, NeedState
from coordhub.store.visibility import HUB

Document = dict[str, Any]

CHOSEN = "broadcast-choose"
"""The strategy by which one of several offers is chosen."""


async def tasks(work: Work, episode: Episode) -> dict[int, Version]:
    """T1 and all T2s of the episode, locked."""
    if episode.id not in work.tasks:
        work.tasks[episode.id] = await resources.lock(work.conn, sorted(tasks_of(episode)))
    return work.tasks[episode.id]


def tasks_of(episode: Episode) -> frozenset[int]:
    """rids of T1 and all T2s."""
    return frozenset((episode.id, *(one.task for one in episode.candidates)))


def children(
    work: Work, episode: Episode, versions: dict[int, Version], besides: Draft | None = None
) -> list[Child]:
    """The T2s as this commit will leave them; besides: a draft that is looked at as not written yet."""
    drafts = {
        draft.rid: draft.document
        for draft in work.drafts
        if draft is not besides and draft.document is not None
    }
    asked = [
        _child(work, episode, one, drafts.get(one.task), versions[one.task])
        for one in episode.candidates
    ]
    made = {draft.rid: draft for draft in work.drafts}
    return [
        *asked,
        *(
            _child(work, episode, row, made[row.task].document, made[row.task])
            for row in work.batch.candidates
            if row.episode == episode.id
        ),
    ]


def _child(
    work: Work,
    episode: Episode,
    one: Candidate | CandidateRow,
    written: Document | None,
    task: Version | Draft,
) -> Child:
    document = written
    if document is None:
        assert isinstance(task, Version)
        document = parties.document(task)
    status = str(document["status"])
    return Child(
        task.reference,
        status,
        str(one.need),
        code_of(document.get("statusReason"), machine.REASON_SYSTEM),
        wording.business_of(document),
        tuple(document.get("output") or ()),
        apart=one.organization in work.apart,
        offered=status == "accepted" and is_to_be_chosen(work, episode, one),
        begun=isinstance(one, Candidate) and one.started_at is not None,
    )


def is_to_be_chosen(work: Work, episode: Episode, one: Candidate | CandidateRow) -> bool:
    """Whether who accepts this has offered, and wins by being chosen."""
    need = episode.need_of(one)
    return need.strategy == CHOSEN and need.state != "won" and one.task not in work.chosen


def is_kept(task: Document) -> bool:
    """Whether this T2 says that its owner keeps a place on its waiting list while others may be asked."""
    reason = code_of(task.get("statusReason"), machine.REASON_SYSTEM)
    return task.get("status") == "on-hold" and reason == needs_of.PLACE_KEPT


def code_of(concept: object, system: str) -> str:
    """The code of this system in a CodeableConcept; "" where there is none."""
    if isinstance(concept, dict):
        for coding in concept.get("coding") or []:
            if isinstance(coding, dict) and coding.get("system") == system:
                return str(coding.get("code", ""))
    return ""


def needs(work: Work, episode: Episode) -> list[Need]:
    """What of the episode's needs stands in none of its T2s."""
    closed = set(work.batch.errands_closed)
    looked_for = {
        one.subject
        for one in episode.errands
        if one.kind == "find-provider" and one.closed_at is None and one.task not in closed
    } | {row.subject for row in work.batch.errands if row.kind == "find-provider"}
    suggested = {row.need for row in work.batch.prospects if row.episode == episode.id}
    asked = {(one.need, one.organization) for one in episode.candidates}
    asked |= {
        (row.need, row.organization) for row in work.batch.candidates if row.episode == episode.id
    }
    apart = {need for need, organization in asked if organization in work.apart}
    found = []
    for one in episode.needs:
        follows = needs_of.is_followed(
            one.strategy,
            suggested=one.suggested or one.ordinal in suggested,
            several=len(episode.needs) > 1,
            apart=one.ordinal in apart,
        )
        reason = work.concluded.get((episode.id, one.ordinal), one.reason)
        found.append(
            Need(
                str(one.ordinal),
                more=follows and not reason,
                queued=one.request in looked_for and not reason,
                reason=reason,
            )
        )
    return found


def answered(work: Work, draft: Draft) -> None:
    """The T2 of this draft has got another status, and maybe a reason."""
    assert draft.document is not None
    reason = code_of(draft.document.get("statusReason"), machine.REASON_SYSTEM)
    work.batch.statuses.append(
        CandidateStatus(
            draft.rid,
            str(draft.document["status"]),
            reason or None,
            *work.claimed.get(draft.rid, ()),
        )
    )


async def status_of(work: Work, episode: Episode, candidate: Candidate) -> str:
    """The status of a T2, as this commit has it so far."""
    task = (await tasks(work, episode))[candidate.task]
    written = work.draft_of(task.reference)
    document = written.document if written is not None else parties.document(task)
    return str((document or {}).get("status"))


async def has_won(work: Work, episode: Episode, candidate: Candidate) -> bool:
    """Whether who is asked has taken the need on: it neither keeps a place only, nor waits to be chosen."""
    versions = await tasks(work, episode)
    reference = versions[candidate.task].reference
    return any(
        child.task == reference and needs_of.is_won(child)
        for child in children(work, episode, versions)
    )


async def move(work: Work, episode: Episode, candidate: Candidate, changes: Document) -> None:
    """Change these elements of a T2, as the hub, and T1 with it.

    What its owner says of them in the same commit stands, and that it is asked to stop stands until that
    is answered.
    """
    task = (await tasks(work, episode))[candidate.task]
    before = parties.document(task)
    if wording.business_of(before) == "cancellation-requested":
        changes = {name: value for name, value in changes.items() if name != "businessStatus"}
    draft = work.draft_of(task.reference)
    if draft is not None and not draft.unchanged:
        said = draft.document or {}
        kept = {
            name: value for name, value in changes.items() if said.get(name) == before.get(name)
        }
        draft.document = {**said, **kept}
    else:
        moment = {"lastModified": instant(work.now)}
        draft = work.supersede(task, HUB, {**before, **changes, **moment})
        draft.episode = episode.id
    work.batch.statuses = [one for one in work.batch.statuses if one.task != candidate.task]
    answered(work, draft)
    work.moved.add(episode.id)


def cancel(
    work: Work, episode: Episode, versions: dict[int, Version], cancels: Iterable[pure.Cancel]
) -> None:
    """Cancel these T2s, as the hub."""
    by_reference = {versions[one.task].reference: versions[one.task] for one in episode.candidates}
    for each in cancels:
        task = by_reference[each.task]
        changed: Document = {
            "status": each.status,
            "statusReason": machine.concept(each.reason),
            "lastModified": instant(work.now),
        }
        said = work.draft_of(task.reference) if task.rid == episode.id else None
        if said is not None:  # one that both share, and its sender has just ended
            said.document = {"statusReason": changed["statusReason"], **(said.document or {})}
            continue
        document = {**parties.document(task), **changed}
        if wording.business_of(document) in _WHILE_LIVE:
            del document["businessStatus"]
        draft = work.supersede(task, HUB, document)
        draft.episode = episode.id
        answered(work, draft)


_WHILE_LIVE = frozenset({"waitlisted", "paused"})
"""What a T2 says only while it waits: one that has ended has no place on a list."""


async def settle(work: Work) -> None:
    """T1 and the needs of each referral that moved, as its T2s have them now."""
    moved = {*work.moved, *(candidate.episode for candidate in work.batch.candidates)}
    for number in sorted(moved):
        episode = work.episodes[number]
        versions = await tasks(work, episode)
        asked = children(work, episode, versions)
        states = _move(work, episode, versions[episode.id], asked)
        await _spare(work, episode, states)


async def _spare(work: Work, episode: Episode, states: Mapping[int, str]) -> None:
    """Ask nobody any longer to find or to choose somebody, where the need has moved on.

    states: of the needs, by the rids of their ServiceRequests.
    """
    idle = [
        one.task
        for one in episode.errands
        if one.closed_at is None
        and one.task not in work.batch.errands_closed
        and states.get(one.subject) not in (None, _AWAITED.get(one.kind))
        and one.kind in _AWAITED
    ]
    for version in (await resources.lock(work.conn, idle)).values():
        cancelled: Document = {"status": "cancelled", "lastModified": instant(work.now)}
        work.supersede(
            version, HUB, {**parties.document(version), **cancelled}
        ).episode = episode.id
        work.batch.errands_closed.append(version.rid)


_AWAITED = {"find-provider": "queued", "choose": "open"}
"""Kind of errand -> the state of the need for as long as it is wanted."""


def _move(work: Work, episode: Episode, current: Version, asked: Sequence[Child]) -> dict[int, str]:
    """T1 as its children make it; no version when nothing changed. The needs' states, by their requests."""
    written = work.draft_of(current.reference)
    if written is not None and (written.unchanged or written.document is None):
        written = None
    before = parties.document(current) if written is None else written.document
    assert before is not None
    of_needs = needs(work, episode)
    if is_shared(work, episode):
        computed = sharing.shared(asked[0])
        after = _as_shared(work, episode, before, computed)
    else:
        computed = pure.parent(asked, str(before["status"]), of_needs)
        after = with_state(before, computed, instant(work.now))
    if written is not None:
        written.document = after
        written.compare(after, written.before())
    elif after is not before:
        written = work.supersede(current, HUB, after)
        written.episode = episode.id
    if episode.shared is not None and written is not None:
        work.batch.statuses = [one for one in work.batch.statuses if one.task != episode.id]
        answered(work, written)
    status = computed.status
    if status in machine.TERMINAL and episode.state == "open":
        work.batch.closed.append(episode.id)
    states: dict[int, str] = {}
    waves = {row.need: row.wave for row in work.batch.candidates if row.episode == episode.id}
    for one, need in zip(episode.needs, of_needs, strict=True):
        state = NeedState(
            episode.id,
            one.ordinal,
            needs_of.state(need, asked, status),
            waves.get(one.ordinal, one.wave),
            need.reason or None,
        )
        if (one.state, one.wave, one.reason) != (state.state, state.wave, need.reason):
            work.batch.need_states.append(state)
        states[one.request] = state.state
    return states


def is_shared(work: Work, episode: Episode) -> bool:
    """Whether who is asked answers on T1 itself, from this commit on or from an earlier one."""
    return episode.shared is not None or any(
        row.task == episode.id for row in work.batch.candidates
    )


def _as_shared(work: Work, episode: Episode, document: Document, computed: pure.Parent) -> Document:
    """The one Task as its owner says it, and what that means; the same object when that changes nothing."""
    said = wording.business_of(document)
    of_the_hub = code_of(document.get("businessStatus"), pure.BUSINESS_STATUS_SYSTEM)
    one = episode.shared
    its_own = one is not None and one.organization == work.caller.organization
    stale = of_the_hub or (computed.status in machine.TERMINAL and not its_own)
    state: Document = {"status": computed.status}
    if "businessStatus" not in document or (stale and said != computed.business_status):
        state["businessStatus"] = pure.business_status(computed.business_status)
    after = {**document, **state}
    return document if after == document else {**after, "lastModified": instant(work.now)}


def with_state(document: Document, parent: pure.Parent, now: str) -> Document:
    """T1 with the computed state; the same object when that changes nothing."""
    state: Document = {"status": parent.status}
    if parent.business_status:
        state["businessStatus"] = pure.business_status(parent.business_status)
    if parent.outputs:
        state["output"] = [dict(output) for output in parent.outputs]
    after = {**document, **state}
    if parent.reason is not None:
        after["statusReason"] = machine.concept(parent.reason)
    elif parent.business_status and document.get("status") not in machine.TERMINAL:
        after.pop("statusReason", None)
    if after == document:
        return document
    return {**after, "lastModified": now}
