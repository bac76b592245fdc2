"""What follows when who is at work on a referral offers, makes, moves or ends an appointment for it.

http://hl7.org/fhir/R4/appointment.html
http://hl7.org/fhir/us/bser (5.1.1 to 5.1.4), http://hl7.org/fhir/uv/cow (visit-scheduled, visit-complete)

An Appointment `basedOn` the order goes to the other side, like what is said about the referral; the
slots it names go along. One of the recipient's says how far the referral is: the Task that asks it gets
the business status, and begins with the first visit. Who does not come is asked, by a Task of its own,
to get in touch. Of the appointments of a victim service provider nobody hears.
"""

from __future__ import annotations

from coordhub.errors import business_rule
from coordhub.record import for_patient, hearing, parent, parties
from coordhub.record.work import Draft, Work
from coordhub.referral import appointments
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.store import appointments as store
from coordhub.store.episodes import Candidate, Episode


async def apply(work: Work, draft: Draft) -> None:
    """Give the draft its referral; move the Task of its author, and say so to the patient where it missed it."""
    assert draft.document is not None
    if work.caller.organization in work.apart:
        return
    episode = hearing.episode_of(work, draft)
    if episode is None or not await hearing.of(work, draft, episode):
        return
    draft.episode = episode.id
    candidate = _asked(work, draft, episode)
    if candidate is None:
        return
    now, before = str(draft.document.get("status")), str((draft.before() or {}).get("status", ""))
    status = await parent.status_of(work, episode, candidate)
    if now in appointments.ACCEPTED_ONLY and not await parent.has_won(work, episode, candidate):
        raise business_rule(
            "This books a visit for a referral that you have not taken on. Set the status of the Task that asks "
            "you to accepted, or to in-progress where you keep a place for it; where your offer is to be chosen, "
            "wait for that. Then send the appointment; or send it as proposed.",
            f"{draft.at}.status" if draft.at else "Appointment.status",
        )
    orders = [episode.request, candidate.request, *(one.request for one in episode.needs)]
    others = await store.statuses(work.conn, orders, draft.source, draft.rid)
    said = appointments.says(before, now, others) if now != before else ""
    if not said:
        return
    begins = said in appointments.WORKING and status in ("accepted", "ready", "on-hold")
    await parent.move(
        work,
        episode,
        candidate,
        {
            "businessStatus": pure.business_status(said),
            **({"status": "in-progress"} if begins else {}),
        },
    )
    if said == "appointment-missed":
        await for_patient.ask(
            work, episode, "make-contact", draft.reference, contact=candidate.recipient
        )
    elif said == "appointment-scheduled":
        await for_patient.withdraw(work, episode, "make-contact")


def _asked(work: Work, draft: Draft, episode: Episode) -> Candidate | None:
    """Of the Tasks that ask its author for this order, the last that has not ended."""
    named = {
        work.rid_of(text)
        for text in parties.locals_of((draft.document or {}).get("basedOn"), work.hub.base)
    }
    needs = {one.ordinal for one in episode.needs if one.request in named}
    found = [
        one
        for one in episode.candidates
        if one.organization == draft.source
        and one.status not in machine.TERMINAL
        and (one.request in named or one.need in needs)
    ]
    return found[-1] if found else None
