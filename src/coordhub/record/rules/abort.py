"""What follows from a Task of the hub that asks to stop: it goes to who is asked to, and to nobody else.

http://hl7.org/fhir/R4/codesystem-task-code.html (abort)

It names the Task to be stopped and says why; who is asked answers on that Task, by cancelling it or
by its outcome.
"""

from __future__ import annotations

from typing import Any

from coordhub.r4.sensitivity import ALL
from coordhub.record import parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store.transact import Grant

TASK_CODES = "http://hl7.org/fhir/CodeSystem/task-code"

Document = dict[str, Any]


def task(work: Work, asked: str, owner: str, reason: machine.Reason) -> Document:
    """The Task that asks `owner` to stop working on Task `asked`. It says nothing of the person."""
    now = instant(work.now)
    return {
        "resourceType": "Task",
        "status": "requested",
        "statusReason": machine.concept(reason),
        "intent": "order",
        "code": {"coding": [{"system": TASK_CODES, "code": "abort"}]},
        "focus": {"reference": asked},
        "authoredOn": now,
        "lastModified": now,
        "requester": {"reference": work.hub.organization},
        "owner": {"reference": owner},
    }


def asks_to_stop(work: Work, draft: Draft) -> bool:
    """Whether the hub asks to stop; what others send as such is theirs."""
    codings = ((draft.document or {}).get("code") or {}).get("coding") or ()
    return work.caller.is_hub and any(
        coding.get("system") == TASK_CODES and coding.get("code") == "abort" for coding in codings
    )


def apply(work: Work, draft: Draft) -> None:
    """Give the draft the referral of the Task it is about, and its owner the sight of it."""
    assert draft.document is not None
    focus = parties.local(draft.document.get("focus"), work.hub.base)
    rid = work.rid_of(focus) if focus else None
    episode = work.episode_of(rid) if rid is not None else None
    candidate = episode.candidate_of_task(rid) if episode is not None and rid is not None else None
    if episode is not None and candidate is not None:
        draft.episode = episode.id
        work.batch.grants.append(Grant(candidate.organization, draft.rid, draft.rid, "party", ALL))
