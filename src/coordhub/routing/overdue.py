"""What follows when somebody did not do something in time: reminded, not waited for any longer, told on.

http://hl7.org/fhir/R4/task.html

A reminder goes to who is late, with others of the day (`routing.digest`). What stays undone is looked
after by a person: an errand `overdue` for the coordinator.
"""

from __future__ import annotations

from uuid import uuid4

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.record import commit, coordinating, critical, errands, for_patient, parties
from coordhub.record.hub import instant
from coordhub.record.operations import Create, Update
from coordhub.record.timing import ROUTINE, priority
from coordhub.record.waitlist import STILL_NEEDED
from coordhub.referral import data_request
from coordhub.referral import task_machine as machine
from coordhub.referral import timers as kinds
from coordhub.referral.deadlines import Lengths
from coordhub.routing import digest, resolve
from coordhub.routing.firing import Firing
from coordhub.store import deliveries, resources, timers
from coordhub.store.episodes import NOBODY, Candidate
from coordhub.telemetry import log

DEADLINE = "urn:coordhub:deadline"
"""System of the code, in the input of an errand, that says what was not done in time."""


def _candidate(firing: Firing) -> Candidate | None:
    episode = firing.episode
    return episode.candidate_of_task(firing.timer.subject) if episode is not None else None


async def remind_owner(firing: Firing) -> None:
    candidate = _candidate(firing)
    if candidate is not None and candidate.organization != NOBODY:
        await digest.remind(firing, candidate.organization, candidate.recipient)


async def tell_requester(firing: Firing) -> None:
    """Who asked hears that what it waits for has not come; on its own Task, for it sees no other."""
    episode = firing.episode
    if episode is not None:
        await digest.remind(firing, episode.requester, about=episode.id)


async def chase(firing: Firing) -> None:
    """Whoever owes the note is reminded of it, and who waits for it is told."""
    await remind_owner(firing)
    await tell_requester(firing)


async def remind_of_progress(firing: Firing) -> None:
    """Once, and again every few days as long as its grace lasts."""
    await remind_owner(firing)
    candidate = _candidate(firing)
    if candidate is None:
        return
    pause = (await _lengths(firing, candidate)).get("progress-again")
    if pause is None:
        return
    there = await digest.calendar(firing, candidate.recipient)
    following = there.after(firing.timer.due_at, pause)
    known = await timers.of(firing.conn, [candidate.task])
    last = known.get(candidate.task, {}).get(kinds.PROGRESS_OVERDUE)
    if last is not None and following < last.due_at:
        await timers.again(firing.conn, firing.timer.id, firing.now, following)


async def remind_of_errand(firing: Firing) -> None:
    """A critical value that nobody has seen does not wait for the reminders of the day."""
    task = firing.timer.subject
    stored = await resources.read_rids(firing.conn, viewer.deciding(), [task])
    if errands.kind_of(parties.document(stored[task])) == critical.KIND:
        await _have_called(firing)
        return
    owner = parties.local(parties.document(stored[task]).get("owner"), firing.hub.base)
    found = await services.recipient(firing.conn, owner, firing.hub.base) if owner else None
    if found is not None and owner is not None:
        await digest.remind(firing, found.organization.rid, owner)


async def _have_called(firing: Firing) -> None:
    """Whoever wrote the result is asked to call."""
    episode = firing.episode
    errand = episode.errand_of_task(firing.timer.subject) if episode is not None else None
    if episode is None or errand is None:
        return
    stored = await resources.read_rids(firing.conn, viewer.deciding(), [errand.subject])
    result = stored[errand.subject]
    candidate = next((one for one in episode.candidates if one.organization == result.source), None)
    if candidate is None:
        return
    stored = await resources.read_rids(firing.conn, viewer.deciding(), [candidate.task, episode.id])
    document = critical.call(
        firing.now,
        firing.hub.organization,
        owner=candidate.recipient,
        task=stored[candidate.task].reference,
        result=result.reference,
        referral=stored[episode.id].reference,
    )
    create = Create("Task", document)
    await commit.apply(firing.hub, firing.conn, firing.me, [create], interaction="create")


async def expire(firing: Firing) -> None:
    """Whoever did not answer in time is not asked any longer; where it is urgent, a person looks too."""
    candidate, hub = _candidate(firing), firing.hub
    if candidate is None or candidate.status not in ("requested", "received"):
        return
    stored = await resources.read_rids(firing.conn, viewer.deciding(), [candidate.task])
    task = stored[candidate.task]
    document = {
        **parties.document(task),
        "status": "cancelled",
        "statusReason": machine.concept(machine.REASONS["expired"]),
        "lastModified": instant(firing.now),
    }
    update = Update("Task", task.id, document)
    await commit.apply(hub, firing.conn, firing.me, [update], interaction="update")
    if priority(document) != ROUTINE:
        await escalate(firing)


async def escalate(firing: Firing) -> None:
    """Somebody is asked to look after it: who coordinates this referral. Who was asked for data is not waited for."""
    if firing.episode is None and await _gave_no_data(firing):
        return
    await _errand(firing, "overdue")


async def _gave_no_data(firing: Firing) -> bool:
    stored = await resources.read_rids(firing.conn, viewer.deciding(), [firing.timer.subject])
    task = stored[firing.timer.subject]
    document = parties.document(task)
    if not data_request.asks(document):
        return False
    ended = {
        **document,
        "status": "failed",  # of the statuses that HRex has
        "statusReason": machine.concept(machine.REASONS["expired"]),
        "lastModified": instant(firing.now),
    }
    update = Update("Task", task.id, ended)
    await commit.apply(firing.hub, firing.conn, firing.me, [update], interaction="update")
    return True


async def ask_again(firing: Firing) -> None:
    """Whether a place on a waiting list is still wanted; and once more after as long.

    The person is asked, or whoever coordinates where the person must not be.
    """
    candidate, episode = _candidate(firing), firing.episode
    if candidate is None or episode is None:
        return
    pause = (await _lengths(firing, candidate)).get("waitlist")
    there = await digest.calendar(firing, candidate.recipient)
    following = there.after(firing.now, pause) if pause is not None else None
    person = await for_patient.whom(firing.conn, episode, STILL_NEEDED)
    if person is None:
        await _errand(firing, STILL_NEEDED)
    else:
        stored = await resources.read_rids(
            firing.conn, viewer.deciding(), [candidate.task, episode.id]
        )
        document = errands.document(
            kind=STILL_NEEDED,
            owner=person,
            subject=stored[candidate.task].reference,
            requester=firing.hub.organization,
            now=firing.now,
            inputs=[for_patient.contact_of(candidate.recipient)],
            due=following,
            referral=stored[episode.id].reference,
        )
        create = Create("Task", document)
        await commit.apply(firing.hub, firing.conn, firing.me, [create], interaction="create")
    if following is not None:
        await timers.again(firing.conn, firing.timer.id, firing.now, following)


async def _lengths(firing: Firing, candidate: Candidate) -> Lengths:
    assert firing.episode is not None
    stored = await resources.read_rids(firing.conn, viewer.deciding(), [candidate.task])
    return firing.hub.deadlines.lengths(
        firing.episode.need_of(candidate).kind, priority(parties.document(stored[candidate.task]))
    )


async def _errand(firing: Firing, kind: str) -> None:
    """One at a time of a kind about a referral, for whoever coordinates it."""
    episode, conn = firing.episode, firing.conn
    if episode is None:
        log(
            "deadline.missed", level="warning", kind=firing.timer.kind, subject=firing.timer.subject
        )
        return
    if any(each.kind == kind and each.closed_at is None for each in episode.errands):
        return
    stored = await resources.read_rids(conn, viewer.deciding(), [episode.id, episode.requester])
    coordinator = None
    if kind in coordinating.KINDS:
        coordinator = await coordinating.owner(firing.hub, conn, episode)
    code = firing.timer.kind
    missed = {
        "type": {"coding": [{"system": DEADLINE, "code": code}]},
        "valueCode": code,
    }
    document = errands.document(
        kind=kind,
        owner=coordinator or stored[episode.requester].reference,
        subject=stored[episode.id].reference,
        requester=firing.hub.organization,
        now=firing.now,
        inputs=[missed],
        referral=stored[episode.id].reference,
    )
    create = Create("Task", document)
    await commit.apply(firing.hub, conn, firing.me, [create], interaction="create")


async def other_endpoint(firing: Firing) -> None:
    """What has not arrived is sent to the recipient's next Endpoint as well, where it has another."""
    candidate, hub, conn = _candidate(firing), firing.hub, firing.conn
    if candidate is None or candidate.delivered_at is not None or candidate.ended_at is not None:
        return
    planned = await deliveries.planned(conn, firing.timer.subject)
    if candidate.task == firing.timer.episode:  # whose sender is sent it, too
        planned = [one for one in planned if one.organization == candidate.organization]
    usable = await resolve.endpoints_of(conn, candidate.recipient, hub.base, firing.now)
    further = next((one for one in usable if one not in {each.endpoint for each in planned}), None)
    log(
        "delivery.late",
        level="warning",
        organization=candidate.organization,
        episode=firing.timer.episode,
        endpoint=further,
    )
    if planned and further is not None:
        again = planned[0]._replace(id=uuid4(), endpoint=further)
        await deliveries.plan(conn, [again], firing.now)
