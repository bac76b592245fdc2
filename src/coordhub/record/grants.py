"""Who may see what from now on, decided in the transaction of the change that alters it.

- party: whom a Task of the hub asks may see that Task and its ServiceRequest;
- referral: and whatever these two name (patient, sender's order, supporting information, input),
  as far as the sender itself may see it, with the observations that a named report consists of;
- result: who asked may see what the one who was asked produced for it.

A grant stands until the reason for it is gone; `because` is the Task or resource that decided.
"""

from __future__ import annotations

from coordhub.r4 import reference
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.store import grants as store
from coordhub.store.episodes import Episode
from coordhub.store.transact import CandidateRow, Grant


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
            _outputs(work, draft, episode)
        elif draft.type != "ServiceRequest" and draft.source != episode.requester:
            work.batch.grants.append(Grant(episode.requester, draft.rid, episode.id, "result"))


async def _asked(work: Work, candidate: CandidateRow) -> None:
    grants = work.batch.grants
    grants.append(Grant(candidate.organization, candidate.task, candidate.task, "party"))
    grants.append(Grant(candidate.organization, candidate.request, candidate.task, "party"))
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


def _outputs(work: Work, draft: Draft, episode: Episode) -> None:
    """What a candidate names as output of its Task, of its own, the requester may see."""
    assert draft.document is not None
    candidate = episode.candidate_of_task(draft.rid)
    if candidate is None:
        return
    for output in draft.document.get("output") or []:
        text = parties.local(output.get("valueReference"), work.hub.base)
        if text is None:
            continue
        written = work.draft_of(text)
        kind, _, fhir_id = text.partition("/")
        found = work.located.get((kind, fhir_id))
        source = written.source if written else found.source if found else None
        rid = work.rid_of(text)
        if rid is not None and source == candidate.organization:
            work.batch.grants.append(Grant(episode.requester, rid, episode.id, "result"))
