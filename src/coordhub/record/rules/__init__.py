"""What the hub's rules say of a write, by type: who may change what, and what follows from it.

A rule sees the drafts of one commit under the lock of the referral, refuses (409, 403, 422), or adds
drafts and rows: the parent's status, the siblings' cancellation, a timer. It decides by the pure
functions of `referral` and does no network I/O. Rules do not know each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from coordhub.directory import services
from coordhub.errors import business_rule
from coordhub.record import (
    critical,
    for_patient,
    orders,
    parent,
    parties,
    reaching,
    sharing,
    summing_up,
    transitions,
)
from coordhub.record.operations import Settled
from coordhub.record.rules import (
    amendment,
    answer,
    appointment,
    around,
    asked,
    communication,
    copy_asked,
    data_request,
    errands,
    note,
    organization,
    patient,
    person,
    referral,
    reminder,
    reopening,
    result,
    screening,
    service_note,
    stop_request,
    subscription,
    voice,
)
from coordhub.record.work import Draft, Work
from coordhub.referral.data_request import KIND, asks
from coordhub.store import episodes, grants
from coordhub.store.resources import Version


async def lock_episodes(work: Work, besides: Collection[int] = ()) -> None:
    """Lock the referrals that anything named by the operations belongs to, before any resource.

    besides: further referrals that the operations have to do with.
    """
    ids = {
        *besides,
        *(
            found.episode
            for found in work.located.values()
            if found.episode is not None and found.visible
        ),
    }
    if ids:
        await work.hold()
    locked = await episodes.lock(work.conn, sorted(ids - work.held.keys()))
    locked |= {number: work.held[number] for number in ids & work.held.keys()}
    work.episodes = dict(sorted(locked.items()))
    if work.caller.is_hub and any(episode.sandbox for episode in locked.values()):
        services.enter(sandbox=True)
    me = work.caller.organization
    pooled = [
        one.task
        for episode in work.episodes.values()
        for one in episode.candidates
        if episode.is_of_pool(one) and one.organization != me
    ]
    if pooled and not work.caller.is_hub and not work.caller.is_person and me not in work.apart:
        work.invited = await grants.invited(work.conn, me, pooled)
    tasks = [
        one.task
        for episode in work.episodes.values()
        if me not in (episode.requester, *(each.organization for each in episode.candidates))
        for one in episode.candidates
    ]
    if tasks and not work.caller.is_hub and not work.caller.is_person:
        work.deputizing = await grants.deputizing(work.conn, me, tasks)
    alone = [
        found.rid
        for found in work.located.values()
        if found.type == "Task" and found.visible and found.episode not in work.episodes
    ]
    if alone:
        work.errands = await episodes.errands_of(work.conn, alone)
    if work.caller.is_person:
        work.acts_for = await person.represented(work)


async def referrals_touched(work: Work, operations: Sequence[Settled]) -> set[int]:
    """Open referrals that the operations have to do with without naming them."""
    return await patient.referrals_touched(work, operations)


def may_write(work: Work, draft: Draft) -> bool:
    """May the caller change this resource of another organization? Only the Task that asks it."""
    if work.caller.is_person:
        return person.may_answer(work, draft)
    if draft.type != "Task" or draft.document is None:
        return False
    errand = work.errand_of(draft.rid)
    episode = work.episode_of(draft.rid)
    if errand is not None:
        me = work.caller.organization
        for_its_patient = (
            episode is not None and errand.owner == episode.patient and me == episode.requester
        )
        return errand.owner == me or for_its_patient
    if episode is None:
        return False
    candidate = episode.candidate_of_task(draft.rid)
    return candidate is not None and (
        candidate.organization == work.caller.organization
        or candidate.task in work.deputizing
        or candidate.task in work.invited
    )


async def legal_now(work: Work, current: Version) -> str:
    """What the caller may say now of a Task that asks it, as a sentence; "" of anything else."""
    episode = work.episode_of(current.rid) if current.type == "Task" else None
    candidate = episode.candidate_of_task(current.rid) if episode is not None else None
    if candidate is None or candidate.organization != work.caller.organization:
        return ""
    return await transitions.may_say(work, candidate, parties.document(current))


async def apply(work: Work) -> None:
    """Put the drafts through the rules of their types; what is in quarantine waits for them."""
    await orders.who_is_who(work)
    for draft in list(work.drafts):
        if draft.unchanged:
            continue
        if work.caller.is_person:
            await person.apply(work, draft)
            await screening.apply(work, draft)
            await voice.apply(work, draft)
            if (errand := work.errand_of(draft.rid)) is not None:
                await errands.answered(work, draft, errand)
        elif draft.type == "Subscription":
            await subscription.apply(work, draft)
        elif draft.document is None:
            _refuse_to_delete_what_is_underway(work, draft)
            result.apply(work, draft)
            await screening.apply(work, draft)
        elif draft.quarantined:
            continue
        elif draft.type == "Task":
            await _task(work, draft)
        elif draft.type == "Communication" and reminder.reminds(work, draft):
            await reminder.apply(work, draft)
        elif draft.type == "Communication" and service_note.notes(draft):
            await service_note.apply(work, draft)
        elif draft.type in ("Communication", "AppointmentResponse"):
            await communication.apply(work, draft)
        elif draft.type == "Appointment":
            await appointment.apply(work, draft)
        elif draft.type == "Organization":
            organization.apply(work, draft)
        elif draft.type == "ServiceRequest":
            await amendment.apply(work, draft)
        else:
            if draft.type == "Patient":
                await patient.apply(work, draft)
            result.apply(work, draft)
            await around.apply(work, draft)
            await note.apply(work, draft)
            await copy_asked.apply(work, draft)
            await screening.apply(work, draft)
            await voice.apply(work, draft)
    result.settle(work)
    await orders.settle(work)
    await critical.settle(work)
    await parent.settle(work)
    await summing_up.settle(work)
    await reaching.settle(work)
    await for_patient.settle(work)


async def _task(work: Work, draft: Draft) -> None:
    """By what the Task is: an errand, the sender's T1, a T2; or one that is about to become such."""
    errand = work.errand_of(draft.rid)
    episode = work.episode_of(draft.rid)
    if errand is not None and errand.kind == KIND:
        await data_request.changed(work, draft, errand)
    elif errand is not None or errands.asks(work, draft):
        await errands.apply(work, draft, errand)
    elif (
        episode is not None
        and episode.id == draft.rid
        and not sharing.is_answered(work, draft, episode)
    ):
        await referral.changed(work, draft, episode)
    elif episode is not None:
        await answer.apply(work, draft, episode)
    elif work.caller.is_hub:
        await asked.apply(work, draft)
    elif (stopping := stop_request.about(work, draft)) is not None:
        await stop_request.apply(work, draft, stopping)
    elif (draft.document or {}).get("status") in ("requested", "received"):
        if asks(draft.document or {}):
            await data_request.opens(work, draft)
            return
        reopening.apply(work, draft)
        await referral.opens(work, draft)


def _refuse_to_delete_what_is_underway(work: Work, draft: Draft) -> None:
    errand = work.errand_of(draft.rid)
    if errand is not None and errand.kind == KIND:
        data_request.refuse_to_delete(draft)
    episode = work.episode_of(draft.rid)
    if episode is not None:
        raise business_rule(
            f"{draft.reference} belongs to a referral and cannot be deleted. "
            "Cancel the referral by setting the status of its Task to cancelled.",
            draft.at,
        )
