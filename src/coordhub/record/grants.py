"""Who may see what from now on, decided in the transaction of the change that alters it.

- party: whom a Task of the hub asks may see that Task and its ServiceRequest;
- referral: and whatever these two name (patient, sender's order, supporting information, input),
  as far as the sender itself may see it, with the observations that a named report consists of;
- result: who asked may see what the one who was asked produced for it, a report with its parts;
- treatment: whoever took the referral on may see the patient's chart, while it is at work (a rule).

What a grant covers of sensitive classes: who is asked sees the question whatever it is about; a result
is seen by who asked for it, unless it is under 42 CFR Part 2 or of a victim service provider; what
else a referral names goes along only if it is of no such class, or a Consent says so.

`because` is the Task or episode that decided. What was shared by `referral` is no longer to be seen
once its Task is declined or cancelled (transact); the Task itself stays readable to who was asked.
"""

from __future__ import annotations

from coordhub.r4 import reference
from coordhub.r4.sensitivity import ALL, SUD, VSP
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store import grants as store
from coordhub.store.episodes import Episode
from coordhub.store.transact import CandidateRow, CandidateStatus, Grant, Rule, RuleEnd


async def decide(work: Work) -> None:
    for candidate in work.batch.candidates:
        await _asked(work, candidate)
    for draft in work.drafts:
        if draft.episode is None or draft.document is None:
            continue
        episode = work.episodes.get(draft.episode)
        if episode is None:
            continue
        if draft.type == "Task":
            await _outputs(work, draft, episode)
        elif draft.type != "ServiceRequest" and draft.source != episode.requester:
            await _results(work, {draft.rid}, draft.source, episode)
    for answered in work.batch.statuses:
        _treats(work, answered)


def _treats(work: Work, answered: CandidateStatus) -> None:
    """Who takes a referral on has a treatment relationship with its patient, until it ends."""
    found = [
        (episode, candidate)
        for episode in work.episodes.values()
        if (candidate := episode.candidate_of_task(answered.task)) is not None
    ]
    for episode, candidate in found:
        before = candidate.status in _AT_WORK
        if answered.status in _AT_WORK and not before and episode.patient is not None:
            work.batch.rules.append(
                Rule(
                    candidate.organization, episode.patient, True, 0, work.now, answered.task,
                    "treatment",
                )
            )  # fmt: skip
        elif before and answered.status in machine.TERMINAL:
            work.batch.rules_ended.append(RuleEnd(answered.task))


async def _asked(work: Work, candidate: CandidateRow) -> None:
    grants = work.batch.grants
    for asked in (candidate.task, candidate.request):
        grants.append(Grant(candidate.organization, asked, candidate.task, "party", ALL))
    named: set[int] = set()
    for draft in work.drafts:
        if draft.rid not in (candidate.task, candidate.request) or draft.document is None:
            continue
        for path, element in reference.walk(draft.document):
            text = parties.local(element, work.hub.base)
            rid = work.rid_of(text) if text and not path.startswith("Task.partOf") else None
            if rid is not None:
                named.add(rid)
    requester = work.episodes[candidate.episode].requester
    for rid in sorted(await store.shareable(work.conn, requester, named)):
        grants.append(Grant(candidate.organization, rid, candidate.task, "referral"))


async def _outputs(work: Work, draft: Draft, episode: Episode) -> None:
    """What a candidate names as output of its Task, of its own, the requester may see."""
    assert draft.document is not None
    candidate = episode.candidate_of_task(draft.rid)
    if candidate is None:
        return
    named = (
        parties.local(output.get("valueReference"), work.hub.base)
        for output in draft.document.get("output") or []
    )
    rids = {rid for text in named if text and (rid := work.rid_of(text)) is not None}
    if rids:
        await _results(work, rids, candidate.organization, episode)


async def _results(work: Work, rids: set[int], author: int, episode: Episode) -> None:
    """The requester may see these and what they consist of, as far as `author` wrote it itself."""
    written = {draft.rid: draft for draft in work.drafts}
    own = {rid for rid in rids if rid in written and written[rid].source == author}
    for draft in [written[rid] for rid in own]:
        for name in _PARTS:
            for text in parties.locals_of((draft.document or {}).get(name), work.hub.base):
                part = work.rid_of(text)
                rids = rids | {part} if part is not None else rids
    own |= {rid for rid in rids if rid in written and written[rid].source == author}
    own |= await store.written_by(work.conn, author, rids)
    work.batch.grants.extend(
        Grant(episode.requester, rid, episode.id, "result", _OF_RESULTS) for rid in sorted(own)
    )


_AT_WORK = frozenset({"accepted", "in-progress", "on-hold"})

_OF_RESULTS = ALL & ~(SUD | VSP)

_PARTS = ("result", "hasMember", "derivedFrom")
"""Elements of a report or panel that name what it consists of."""
