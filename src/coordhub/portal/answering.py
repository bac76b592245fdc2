"""What a person answers on a page becomes a new version of the Task, written as its organization.

http://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Update
from coordhub.referral import task_machine as machine
from coordhub.store.resources import Version

CLIENT: Final = "link"
"""How the audit names who came by a link: no client that was registered."""

SCOPES: Final = parse("system/*.rs system/Task.u")

STATUS: Final = {"accept": "accepted", "decline": "rejected", "start": "in-progress"}

REASONS: Final = (
    "no-capacity", "not-eligible", "out-of-area", "wrong-service", "insufficient-resources",
    "needs-exceed-capability", "duplicate-service",
)  # fmt: skip
"""Why somebody declines, as it can be chosen."""

LONGEST: Final = 500
"""Letters of an own word about it."""


def reasons() -> list[tuple[str, str]]:
    """(code, text) of each."""
    return [(code, machine.REASONS[code].text) for code in REASONS]


def caller(organization: Version, request_id: str | None) -> Caller:
    return Caller(CLIENT, organization.rid, organization.reference, SCOPES, request_id=request_id)


async def answer(
    hub: Hub,
    caller: Caller,
    task: Version,
    document: dict[str, Any],
    what: str,
    *,
    reason: str = "",
    words: str = "",
    seen: int | None = None,
) -> None:
    """Say it; FhirError where the hub refuses. seen: the version that the person looked at."""
    changed = {**document, "status": STATUS[what], "lastModified": instant(hub.clock())}
    changed.pop("statusReason", None)
    if what == "decline":
        known = machine.REASONS.get(reason) if reason in REASONS else None
        said = words.strip()[:LONGEST]
        concept: dict[str, Any] = machine.concept(known) if known is not None else {"text": said}
        if known is not None and said:
            concept["text"] = f"{known.text}: {said}"
        changed["statusReason"] = concept
    update = Update("Task", task.id, changed, if_match=seen or task.version)
    await commit(hub, caller, [update], interaction="update")
