"""What a write may change of a Task, and which step of its status is legal; refusals that say what would be.

http://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from typing import Any

from coordhub.errors import FhirError, Issue, business_rule, forbidden
from coordhub.record.work import Draft
from coordhub.referral import task_machine as machine

Document = dict[str, Any]

OWNERS_ELEMENTS = frozenset(
    {
        "status",
        "statusReason",
        "businessStatus",
        "output",
        "note",
        "executionPeriod",
        "lastModified",
        "identifier",
    }
)
"""What a candidate may change on the Task that asks it (and narrative and meta, which say nothing new)."""


def only_the_answer(draft: Draft, before: Document, after: Document) -> None:
    """403 for what the one who is asked may not change."""
    free = OWNERS_ELEMENTS | {"id", "meta", "text", "resourceType"}
    foreign = sorted(
        name
        for name in before.keys() | after.keys()
        if name not in free and before.get(name) != after.get(name)
    )
    if foreign:
        raise FhirError(
            403,
            *(
                Issue(
                    "forbidden",
                    f"The one who is asked may change {', '.join(sorted(OWNERS_ELEMENTS))}; "
                    "send the rest as you read it.",
                    at(draft, name),
                )
                for name in foreign
            ),
        )


def judge(draft: Draft, old: str, new: str, actor: machine.Actor) -> None:
    """409 or 403 unless `actor` may take the Task there; it says where it may."""
    match machine.judge(old, new, actor):
        case machine.Illegal(legal_targets, hint):
            legal = ", ".join(legal_targets) or "nothing"
            raise business_rule(f"{hint} Legal for you now: {legal}.", at(draft, "status"))
        case machine.WrongActor(_, hint):
            raise forbidden(hint, at(draft, "status"))
        case machine.Legal():
            return


def at(draft: Draft, element: str) -> str:
    """Where the sender of the draft finds this element."""
    return f"{draft.at}.{element}" if draft.at else f"Task.{element}"
