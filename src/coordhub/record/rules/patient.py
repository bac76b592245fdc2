"""What follows for the open referrals of a patient who has died, moved, or is recorded elsewhere.

http://hl7.org/fhir/R4/patient.html (deceased[x], address, link)

Nothing is cancelled by itself: whoever referred is asked to look at each of them again, if it may see of the
patient what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coordhub.access import viewer
from coordhub.record import errands, for_patient, parent, question
from coordhub.record.operations import Settled, Update
from coordhub.record.parties import document as document_of
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store import consents, grants, resources
from coordhub.store.episodes import Episode

Document = dict[str, Any]

_AREA = ("postalCode", "city", "state", "district", "country")


def reasons(before: Document, after: Document) -> tuple[str, ...]:
    """Codes of task_machine.REASONS of why what was planned for the patient may not hold any more."""
    found = []
    if is_dead(after) and not is_dead(before):
        found.append("patient-died")
    if _replaced(after) - _replaced(before):
        found.append("patient-merged")
    if _areas(after) - _areas(before):
        found.append("patient-moved")
    return tuple(found)


def is_dead(patient: Document) -> bool:
    return patient.get("deceasedBoolean") is True or bool(patient.get("deceasedDateTime"))


def _replaced(patient: Document) -> set[str]:
    """Who replaces this record, as it says."""
    return {
        str((link.get("other") or {}).get("reference"))
        for link in patient.get("link") or ()
        if isinstance(link, dict) and link.get("type") == "replaced-by"
    }


def _areas(patient: Document) -> set[tuple[str, ...]]:
    """Where the patient lives, as far as it tells who serves it."""
    return {
        tuple(str(address.get(name) or "") for name in _AREA)
        for address in patient.get("address") or ()
        if isinstance(address, dict) and address.get("use") not in ("old", "billing")
    }


async def referrals_touched(work: Work, operations: Iterable[Settled]) -> set[int]:
    """The open referrals of patients of whom such a thing is written: to be locked first of all."""
    written, stored = {}, {}
    for operation in operations:
        if operation.type != "Patient" or not isinstance(operation, Update):
            continue
        found = work.located.get(("Patient", operation.id))
        if found is not None and found.visible:
            written[found.rid] = operation.document
            if found.current is not None:
                stored[found.rid] = found.current
    if unseen := sorted(written.keys() - stored.keys()):
        stored |= await resources.read_rids(work.conn, viewer.deciding(), unseen)
    patients = [
        rid
        for rid, version in stored.items()
        if version.body is not None and reasons(document_of(version), written[rid])
    ]
    if not patients:
        return set()
    await work.hold()
    return set(await consents.open_referrals(work.conn, patients))


async def apply(work: Work, draft: Draft) -> None:
    if draft.previous is None or draft.document is None:
        return
    before, after = draft.before() or {}, draft.document
    found = reasons(before, after)
    for episode in work.episodes.values() if found else ():
        if episode.patient == draft.rid and episode.state == "open":
            shown = await grants.shareable(work.conn, episode.requester, [draft.rid])
            if draft.rid in shown:
                dataset = shown[draft.rid]
                told = reasons(question.trimmed(before, dataset), question.trimmed(after, dataset))
                if told:
                    await _look_again(work, episode, told[0])
            if "patient-died" in found:
                for kind in errands.OF_PATIENTS:
                    await for_patient.withdraw(work, episode, kind)


async def _look_again(work: Work, episode: Episode, reason: str) -> None:
    if any(one.kind == "review" and one.closed_at is None for one in episode.errands):
        return
    stored = await resources.read_rids(work.conn, viewer.deciding(), [episode.requester])
    sent = (await parent.tasks(work, episode))[episode.id]
    if episode.requester in stored:
        await errands.open_errand(
            work,
            kind="review",
            owner=stored[episode.requester].reference,
            subject=sent.reference,
            episode=episode.id,
            reason=machine.REASONS[reason],
        )
