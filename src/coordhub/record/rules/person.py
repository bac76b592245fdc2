"""What a patient, or who acts for one, may write: what it reports itself, and answers to its own Tasks.

http://hl7.org/fhir/R4/questionnaireresponse.html, http://hl7.org/fhir/R4/task.html

Never about somebody else, never in another's name, and never over what is written: what a person
reported stands. It is shown to the organization that holds the patient's record, and a Communication
also to whom it is addressed.
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access import proxy, viewer
from coordhub.directory import services
from coordhub.errors import FhirError, Issue, business_rule, forbidden
from coordhub.r4.sensitivity import ALL, VSP
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store import resources
from coordhub.store.transact import Grant
from coordhub.store.visibility import HUB

SPEAKERS: Final = {
    "Communication": ("sender",),
    "Observation": ("performer",),
    "QuestionnaireResponse": ("author", "source"),
}
"""What a person may create, and the elements of it that say who says so."""

ANSWERS: Final = frozenset({"status", "statusReason", "output", "lastModified"})
"""What a person may change of a Task that it owns."""

_HUBS: Final = frozenset({"id", "meta", "text"})


def may_answer(work: Work, draft: Draft) -> bool:
    """Whether this is a Task of another's that the calling person owns, or the patient it represents."""
    owner = parties.local((draft.before() or {}).get("owner"), work.hub.base)
    if draft.type != "Task" or draft.document is None or owner is None:
        return False
    represents = work.acts_for is not None and work.rid_of(owner) == work.acts_for
    return owner == work.caller.reference or represents


async def represented(work: Work) -> int | None:
    """The patient (rid) whom the calling RelatedPerson may decide for now: as its parent, while it is a
    minor, or as its legal representative. Not whoever a Consent merely lets look.
    """
    if not work.caller.reference.startswith("RelatedPerson/"):
        return None
    me = work.caller.organization
    found = (await resources.read_rids(work.conn, viewer.deciding(), [me])).get(me)
    if found is None or found.body is None or found.patient is None:
        return None
    record = (await resources.read_rids(work.conn, viewer.deciding(), [found.patient])).get(
        found.patient
    )
    if record is None or record.body is None or found.source not in (record.source, HUB):
        return None
    sights = proxy.sights(
        parties.document(found), parties.document(record),
        work.hub.safeguards.confidential_age, work.now,
    )  # fmt: skip
    now = work.now
    spans = [(one.permit, one.hides, one.types) for one in sights
             if one.since <= now and (one.until is None or now < one.until)]  # fmt: skip
    closed = any(not permit and hides is None and types is None for permit, hides, types in spans)
    return found.patient if any(permit for permit, *_ in spans) and not closed else None


async def apply(work: Work, draft: Draft) -> None:
    """403 unless the person may write this."""
    if draft.previous is not None and may_answer(work, draft):
        _answers(draft)
        return
    if draft.previous is not None or draft.document is None or draft.type not in SPEAKERS:
        raise forbidden(
            "An app of a person may create Communication, Observation and QuestionnaireResponse about the patient, "
            "and set status, statusReason and output of a Task whose owner the person is; nothing else.",
            draft.at or draft.type,
        )
    patient, holder = await _record(work)
    subject = parties.local(draft.document.get("subject"), work.hub.base)
    if patient is None or subject is None or work.rid_of(subject) != patient:
        raise forbidden(
            "An app of a person may write about its own patient only: name that Patient as the subject.",
            _at(draft, "subject"),
        )
    _speaks_for_itself(work, draft, draft.document)
    shown_to = {holder}
    if draft.type == "Communication":
        for text in parties.locals_of(draft.document.get("recipient"), work.hub.base):
            found = await services.recipient(work.conn, text, work.hub.base)
            shown_to |= {found.organization.rid} if found is not None else set()
    work.batch.grants.extend(
        Grant(each, draft.rid, draft.rid, "party", ALL & ~VSP) for each in sorted(shown_to)
    )


async def _record(work: Work) -> tuple[int | None, int]:
    """rid of the Patient that the person is or acts for, and of who holds its record."""
    me = work.caller.organization
    found = await resources.read_rids(work.conn, viewer.deciding(), [me])
    patient = found[me].patient if me in found else None
    if patient is None:
        return None, 0
    record = await resources.read_rids(work.conn, viewer.deciding(), [patient])
    return patient, record[patient].source


def _speaks_for_itself(work: Work, draft: Draft, document: dict[str, Any]) -> None:
    names = SPEAKERS[draft.type]
    said = [
        parties.local(element, work.hub.base)
        for name in names
        for element in _listed(document.get(name))
    ]
    if not said or any(each != work.caller.reference for each in said):
        raise forbidden(
            f"Say who says this: {' or '.join(names)} is {work.caller.reference}, and nobody else.",
            _at(draft, names[0]),
        )


def _answers(draft: Draft) -> None:
    before, after = draft.before() or {}, draft.document or {}
    names = sorted(
        name
        for name in (before.keys() | after.keys()) - _HUBS - ANSWERS
        if before.get(name) != after.get(name)
    )
    if names:
        raise FhirError(
            403,
            *(
                Issue(
                    "forbidden",
                    "An app of a person may change status, statusReason and output of its Task, not this.",
                    _at(draft, name),
                )
                for name in names
            ),
        )
    old, new = str(before.get("status")), str(after.get("status"))
    if old != new and machine.OWNER not in machine.EDGES.get((old, new), machine.Actor(0)):
        legal = [
            to for (at, to), who in machine.EDGES.items() if at == old and machine.OWNER in who
        ]
        said = f"may be set to {', '.join(legal)}" if legal else "has ended"
        raise business_rule(f"A Task that is {old} {said}.", _at(draft, "status"))


def _listed(element: Any) -> list[Any]:
    if element is None:
        return []
    return element if isinstance(element, list) else [element]


def _at(draft: Draft, element: str) -> str:
    return f"{draft.at}.{element}" if draft.at else f"{draft.type}.{element}"
