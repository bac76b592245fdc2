"""What follows when an errand of the hub's is made, and when its owner answers it.

Whoever owns it sets its status, at once to completed or rejected if nothing lies between, with what
it has found out in `output`. What that sets off is by kind: one module each, in ANSWERED.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from coordhub.errors import business_rule
from coordhub.record import errands, transitions
from coordhub.record.rules.errands import (
    abort,
    acknowledge,
    choose,
    find_provider,
    match_result,
    re_confirm,
    service_note,
    still_needed,
)
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store.episodes import Errand

Document = dict[str, Any]

Answered: TypeAlias = Callable[[Work, Draft, Errand], Awaitable[None]]

ANSWERED: Final[dict[str, Answered]] = {
    "abort": abort.answered,
    acknowledge.KIND: acknowledge.answered,
    "choose": choose.answered,
    "find-provider": find_provider.answered,
    match_result.KIND: match_result.answered,
    "still-needed": still_needed.answered,
    "re-confirm": re_confirm.answered,
    "service-note": service_note.answered,
}
"""Kind of errand -> what follows from an answer of its owner, whose draft has been found legal.

Called for every step of it; `draft.document` has the status it takes now.
"""

_TO: Final = frozenset(
    {"received", "accepted", "in-progress", "on-hold", "completed", "rejected", "failed"}
)
"""Where its owner may take an errand from any status that is not final."""


def asks(work: Work, draft: Draft) -> bool:
    """Whether the hub makes an errand; what others send as such is theirs."""
    return (
        work.caller.is_hub
        and draft.previous is None
        and draft.document is not None
        and errands.kind_of(draft.document) is not None
    )


async def apply(work: Work, draft: Draft, errand: Errand | None) -> None:
    """errand: None where it is made."""
    if errand is None:
        await errands.register(work, draft)
        return
    assert draft.document is not None
    draft.episode = errand.episode
    before = draft.before() or {}
    old, new = str(before["status"]), str(draft.document["status"])
    if not work.caller.is_hub:
        transitions.only_the_answer(draft, before, draft.document)
        if old in machine.TERMINAL:
            _refuse_another_answer(draft, before, draft.document)
            return
        if old != new and new not in _TO:
            raise business_rule(
                f"This asks you for an answer and is {old}. You may set its status to: "
                f"{', '.join(sorted(_TO))}.",
                transitions.at(draft, "status"),
            )
        await answered(work, draft, errand)
    elif new in machine.TERMINAL:
        work.batch.errands_closed.append(draft.rid)


def _refuse_another_answer(draft: Draft, before: Document, after: Document) -> None:
    """409 for what would change an answer; a note may still be added to it."""
    for name in ("status", "output"):
        if before.get(name) != after.get(name):
            raise business_rule(
                f"This was answered, or is not asked any more: it is {before['status']}, and that stands.",
                transitions.at(draft, name),
            )


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    """What follows from an answer that is legal; of a patient's, too."""
    assert draft.document is not None
    draft.episode = errand.episode
    if (follows := ANSWERED.get(errand.kind)) is not None:
        await follows(work, draft, errand)
    if draft.document["status"] in machine.TERMINAL:
        work.batch.errands_closed.append(draft.rid)
