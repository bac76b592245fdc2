"""What follows when a sender asks to stop by a Task of code abort instead of by its own Task.

http://hl7.org/fhir/uv/cow (CancellationRequestTask: focus the coordination Task or the Request)

It is answered in the write: completed where nobody had begun, accepted where who has begun is asked. What
becomes of it then is said by the sender's Task, as always.
"""

from __future__ import annotations

from coordhub.errors import business_rule
from coordhub.record import errands, parent, parties, stopping, transitions
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store.episodes import Episode
from coordhub.store.visibility import HUB


def about(work: Work, draft: Draft) -> Episode | None:
    """The caller's referral that this new Task asks to stop; None where it is something else."""
    document = draft.document or {}
    codings = (document.get("code") or {}).get("coding") or ()
    asks = any(
        one.get("system") == errands.TASK_CODES and one.get("code") == "abort" for one in codings
    )
    if not asks or draft.previous is not None or document.get("status") != "requested":
        return None
    if document.get("intent") not in ("order", "original-order"):
        return None
    focus = parties.local(document.get("focus"), work.hub.base)
    rid = work.rid_of(focus) if focus is not None else None
    episode = work.episode_of(rid) if rid is not None else None
    if episode is None or episode.requester != work.caller.organization:
        return None
    its_own = {episode.id, episode.request, *(one.request for one in episode.needs)}
    return episode if rid in its_own else None


async def apply(work: Work, draft: Draft, episode: Episode) -> None:
    assert draft.document is not None
    sent = (await parent.tasks(work, episode))[episode.id]
    task = parties.document(sent)
    if task["status"] in machine.TERMINAL:
        raise business_rule(
            f"{sent.reference} is {task['status']}, so there is nothing to stop.",
            transitions.at(draft, "focus"),
        )
    reason = stopping.reason_of(draft.document)
    if await stopping.stop(work, episode, reason):
        draft.document = {**draft.document, "status": "accepted"}
        return
    draft.document = {**draft.document, "status": "completed"}
    if episode.shared is not None:  # which was cancelled as what it asks by
        return
    ended = {
        **task,
        "status": "cancelled",
        "statusReason": machine.concept(reason),
        "lastModified": instant(work.now),
    }
    work.supersede(sent, HUB, ended).episode = episode.id
