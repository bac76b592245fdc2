"""What a person answers on a page becomes a new version of the Task, written as its organization.

http://hl7.org/fhir/R4/task.html#statemachine, http://hl7.org/fhir/us/sdoh-clinicalcare (Procedure)

Whoever gave something says what: that becomes a Procedure, and the output of the Task.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.record import errands
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Operation, Update
from coordhub.referral import conversation, episode, wording
from coordhub.referral import task_machine as machine
from coordhub.store.accounts import Person
from coordhub.store.resources import Version

CLIENT: Final = "link"
"""How the audit names who came by a link: no client that was registered."""

PERSON: Final = "person:"
"""So the audit names a person who has signed in, before the id of its account."""

SCOPES: Final = parse("system/*.rs system/Task.u system/Procedure.c system/Communication.c")

STATUS: Final = {
    "accept": "accepted",
    "decline": "rejected",
    "start": "in-progress",
    "waitlist": "on-hold",
    "finish": "completed",
    "fail": "failed",
}
"""What is pressed -> Task.status."""

REASONS: Final = (
    "no-capacity", "not-eligible", "out-of-area", "wrong-service", "insufficient-resources",
    "needs-exceed-capability", "duplicate-service",
)  # fmt: skip
"""Why somebody declines, as it can be chosen."""

FAILURES: Final = (
    "cannot-contact", "client-declined", "missing-documents", "insufficient-resources", "other",
)  # fmt: skip
"""Why what was begun was not achieved."""

LONGEST: Final = 500
"""Letters of an own word about it."""

_FOOD: Final = "food-insecurity"
_FOOD_PROVIDED: Final = {
    "system": "http://snomed.info/sct",
    "code": "710925007",
    "display": "Provision of food",
}


def reasons() -> list[tuple[str, str]]:
    """(code, text) of each."""
    return [(code, machine.REASONS[code].text) for code in REASONS]


def failures() -> list[tuple[str, str]]:
    return [(code, machine.REASONS[code].text) for code in FAILURES]


def caller(organization: Version, request_id: str | None, person: Person | None = None) -> Caller:
    """person: who has signed in; without, somebody by a link."""
    client = CLIENT if person is None else PERSON + person.id
    return Caller(client, organization.rid, organization.reference, SCOPES, request_id=request_id)


def lacks(what: str, form: dict[str, str]) -> str | None:
    """What still has to be said before this can be."""
    words = form.get("words", "").strip()
    if what in ("decline", "fail") and not (form.get("reason") or words):
        return "Choose why, or say it in your words."
    if what == "finish" and not words:
        return "Say what was given or done."
    if what == "ask" and not words:
        return "Write your question."
    return None


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
    said, now = words.strip()[:LONGEST], instant(hub.clock())
    if what == "ask":
        await commit(hub, caller, [_question(task, document, said, now)], interaction="create")
        return
    changed = {**document, "status": STATUS[what], "lastModified": now}
    changed.pop("statusReason", None)
    if wording.business_of(document) in (conversation.QUESTION, conversation.ANSWERED):
        del changed["businessStatus"]  # it goes on, with the answer or without
    operations: list[Operation] = []
    if what in ("decline", "fail"):
        changed["statusReason"] = _why(reason if reason in (*REASONS, *FAILURES) else "", said)
    elif what == "waitlist":
        changed["businessStatus"] = episode.business_status("waitlisted")
        if said:
            changed["note"] = [*(document.get("note") or []), {"time": now, "text": said}]
    elif what == "finish":
        made = Create("Procedure", _given(document, said, now), full_url=uuid.uuid4().urn)
        operations.append(made)
        output = {
            "type": {"coding": [{"system": errands.SDOHCC, "code": "resulting-activity"}]},
            "valueReference": {"reference": made.full_url},
        }
        changed["output"] = [*(document.get("output") or []), output]
    operations.append(Update("Task", task.id, changed, if_match=seen or task.version))
    interaction = "update" if len(operations) == 1 else "transaction"
    await commit(hub, caller, operations, interaction=interaction)


def suggested(order: dict[str, Any]) -> str:
    """What is most likely given for this order; "" where nobody knows."""
    return "Food provided" if _FOOD in _categories(order) else ""


def _why(reason: str, said: str) -> dict[str, Any]:
    if not reason:
        return {"text": said}
    known = machine.REASONS[reason]
    concept: dict[str, Any] = machine.concept(known)
    if said:
        concept["text"] = f"{known.text}: {said}"
    return concept


def _given(task: dict[str, Any], said: str, now: str) -> dict[str, Any]:
    """The Procedure; of food its code, too."""
    code: dict[str, Any] = {"text": said}
    if said == "Food provided":
        code["coding"] = [dict(_FOOD_PROVIDED)]
    return {
        "resourceType": "Procedure",
        "status": "completed",
        "basedOn": [task["focus"]],
        "code": code,
        "subject": task["for"],
        "performedDateTime": now,
    }


def _question(task: Version, asked: dict[str, Any], said: str, now: str) -> Create:
    """asked: the Task. Who refers and does not treat sees by the person's Consents, where that is named."""
    coding = {"system": episode.BUSINESS_STATUS_SYSTEM, "code": conversation.QUESTION}
    document = {
        "resourceType": "Communication",
        "status": "completed",
        "topic": {"coding": [coding]},
        "about": [{"reference": task.reference}],
        **({"subject": asked["for"]} if "for" in asked else {}),
        "sent": now,
        "payload": [{"contentString": said}],
    }
    return Create("Communication", document)


def _categories(order: dict[str, Any]) -> set[str]:
    return {
        str(coding.get("code"))
        for one in order.get("category") or []
        for coding in one.get("coding") or []
    }
