"""What the patient itself is asked in the course of a referral: to get in touch, whether something is still needed.

http://hl7.org/fhir/us/sdoh-clinicalcare (Task for patient)

An errand whose owner is the Patient. It is `ready` as soon as it is there; the person's app answers it by
status and output, and may change nothing else. Nobody is asked whose order says that the subject must not be
contacted, or whose referral tells what must not be seen at home; and nobody who has died.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from coordhub.access import viewer
from coordhub.r4.sensitivity import SDV
from coordhub.record import errands, parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode, Errand
from coordhub.store.visibility import HUB

PROHIBITED: Final = "contacting-subject-prohibited"

Document = dict[str, Any]


async def ask(
    work: Work,
    episode: Episode,
    kind: str,
    subject: str,
    *,
    contact: str,
    due: datetime | None = None,
) -> Draft | None:
    """Ask the patient, unless it is asked the same already or must not be asked.

    subject: what it is about. contact: whom to get in touch with.
    """
    person = await whom(work.conn, episode, kind)
    if person is None:
        return None
    draft = await errands.open_errand(
        work,
        kind=kind,
        owner=person,
        subject=subject,
        episode=episode.id,
        inputs=[contact_of(contact)],
        due=due,
    )
    draft.patient = episode.patient
    return draft


def contact_of(recipient: str) -> Document:
    """The input that says whom to get in touch with."""
    return {
        "type": {"coding": [{"system": errands.SDOHCC, "code": "contact-entity"}]},
        "valueReference": {"reference": recipient},
    }


async def whom(conn: Connection, episode: Episode, kind: str) -> str | None:
    """`Patient/x`, unless it is asked the same already or must not be asked."""
    if episode.patient is None or any(_is_open(one, kind) for one in episode.errands):
        return None
    orders = list(dict.fromkeys((episode.request, *(need.request for need in episode.needs))))
    rids = [episode.id, *orders, episode.patient]
    stored = await resources.read_rids(conn, viewer.deciding(), rids)
    if any(stored[rid].labels & SDV for rid in stored) or episode.patient not in stored:
        return None
    person = parties.document(stored[episode.patient])
    if person.get("deceasedBoolean") is True or person.get("deceasedDateTime"):
        return None
    known = [stored[rid] for rid in orders if rid in stored and stored[rid].body is not None]
    if not known or any(_is_prohibited(parties.document(one)) for one in known):
        return None
    return stored[episode.patient].reference


async def settle(work: Work) -> None:
    """Of a referral that this commit ends nothing is asked any more."""
    for number in work.batch.closed:
        episode = work.episodes.get(number)
        if episode is not None:
            for kind in errands.OF_PATIENTS:
                await withdraw(work, episode, kind)


async def withdraw(work: Work, episode: Episode, kind: str) -> None:
    """Take back what the patient was asked, unless it answers in this very commit."""
    open_ones = [
        one.task
        for one in episode.errands
        if _is_open(one, kind)
        and one.owner == episode.patient
        and one.task not in work.batch.errands_closed
        and not any(draft.rid == one.task for draft in work.drafts)
    ]
    for task in (await resources.lock(work.conn, open_ones)).values():
        changed = {
            "status": "cancelled",
            "statusReason": machine.concept(machine.REASONS["no-longer-needed"]),
            "lastModified": instant(work.now),
        }
        draft = work.supersede(task, HUB, {**parties.document(task), **changed})
        draft.episode = episode.id
        work.batch.errands_closed.append(draft.rid)


def _is_open(errand: Errand, kind: str) -> bool:
    return errand.kind == kind and errand.closed_at is None


def _is_prohibited(order: Document) -> bool:
    return any(
        coding.get("code") == PROHIBITED
        for detail in order.get("orderDetail") or ()
        for coding in detail.get("coding") or ()
    )
