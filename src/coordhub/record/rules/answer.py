"""What follows when a candidate answers the Task T2 that asks it, or the hub changes it.

http://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from typing import Any

from coordhub.directory import services
from coordhub.errors import business_rule, forbidden
from coordhub.record import (
    claiming,
    merging,
    parent,
    parties,
    reaching,
    rerouting,
    stopping,
    transitions,
    waitlist,
    winning,
)
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.referral import wording
from coordhub.referral.profiles import Profile
from coordhub.store.episodes import Candidate, Episode

Document = dict[str, Any]


async def apply(work: Work, draft: Draft, episode: Episode) -> None:
    candidate = episode.candidate_of_task(draft.rid)
    if candidate is None:
        return
    by_claim = candidate.task in work.invited
    if by_claim:
        episode, candidate = await claiming.claim(work, draft, episode, candidate)
    apart = candidate.organization in work.apart
    profile = None
    if claiming.gives_back(work, draft, episode, candidate):
        await _gives_back(work, draft, episode)
        return
    if not work.caller.is_hub:
        profile = await transitions.profile_of(work, candidate.organization)
        _read_as_meant(work, draft, profile)
        if not by_claim:
            await _hands_on(work, draft, candidate)
        if draft.unchanged:
            return
    if apart:
        if profile is None:
            draft.episode = episode.id
        else:
            _judge(draft, profile, candidate)
        return
    draft.episode = episode.id
    work.moved.add(episode.id)
    tasks = await parent.tasks(work, episode)
    assert draft.document is not None
    place = profile is not None and waitlist.is_place(draft.before() or {}, draft.document)
    kept = place and await waitlist.keeps(work, draft, episode, candidate)
    if place:  # which it accepts, and has on hold
        draft.document = {**draft.document, "status": "accepted"}
    new = str(draft.document["status"])
    offers = profile is not None and parent.is_to_be_chosen(work, episode, candidate)
    if offers and new in machine.WON and new != "accepted":
        raise business_rule(
            "You have offered, and nothing is chosen yet. Wait for businessStatus selected, or set status to rejected.",
            transitions.at(draft, "status"),
        )
    if profile is not None:
        step = pure.on_child_change(
            parent.children(work, episode, tasks, draft), draft.reference, new, kept=kept or offers
        )
        late = candidate.status == "cancelled" and new == "completed"
        if isinstance(step, pure.AlreadyWon) and not late:
            raise business_rule(
                "Another organization was first: this need is already taken. Nothing is asked of you any more.",
                transitions.at(draft, "status"),
            )
        _judge(draft, profile, candidate)
        await merging.merge(work, draft, episode, candidate)
        await rerouting.suggest(work, draft, episode, candidate)
        if late:
            _flag(draft)
        if isinstance(step, pure.Proceed):
            parent.cancel(work, episode, tasks, step.cancels)
        alone = sum(one.need == candidate.need for one in episode.candidates) == 1
        held = kept or parent.is_kept(draft.document)  # a place, which wins nothing yet
        won_before = candidate.status in machine.WON and not parent.is_kept(draft.before() or {})
        if (
            (not alone or by_claim)
            and new in machine.WON
            and not (won_before or held or late or offers)
        ):
            await winning.tell(work, draft, episode, candidate, parties.document(tasks[episode.id]))
    if place:
        await waitlist.take(work, draft, episode, candidate, kept=kept)
    elif any(one.status == "on-hold" for one in episode.candidates):
        await waitlist.left(work, episode)
    parent.answered(work, draft)
    if profile is not None and new == "failed":
        await reaching.warn_of_too_few(
            work, draft, episode, candidate, transitions.at(draft, "statusReason")
        )
    if new in machine.TERMINAL:
        await stopping.over(work, episode, draft)


def _read_as_meant(work: Work, draft: Draft, profile: Profile) -> None:
    """Put back what its owner sent as it was told it; 403 for what is not its to change."""
    before = draft.before() or {}
    transitions.as_meant(
        draft, profile, before, work.hub.base, names=("status", "businessStatus", "statusReason")
    )
    transitions.only_the_answer(draft, before, draft.document or {}, besides={"owner"})
    _refuse_the_hubs_word(draft, profile, before)
    _keep_the_wish_to_stop(draft, before)
    draft.document = wording.with_reason(draft.document or {})
    draft.compare(draft.document, before)


async def _hands_on(work: Work, draft: Draft, candidate: Candidate) -> None:
    """403 unless who owns it from now on is of the same organization; status and history stay."""
    before, after = draft.before() or {}, draft.document or {}
    if before.get("owner") == after.get("owner"):
        return
    text = parties.local(after.get("owner"), work.hub.base)
    found = await services.recipient(work.conn, text, work.hub.base) if text else None
    if found is None or found.organization.rid != candidate.organization:
        raise forbidden(
            "You may hand this on to a HealthcareService, PractitionerRole or Location of your own "
            "organization in the directory. If another organization should do it, set status rejected with "
            "statusReason wrong-service, and name its service in an output of type suggested-service.",
            transitions.at(draft, "owner"),
        )
    if before["status"] in machine.TERMINAL:
        raise business_rule(
            f"{before['status']} is final, so there is nothing to hand on.",
            transitions.at(draft, "owner"),
        )


async def _gives_back(work: Work, draft: Draft, episode: Episode) -> None:
    """What it had claimed ends for it, and is asked for anew."""
    claiming.give_back(draft)
    draft.episode = episode.id
    work.moved.add(episode.id)
    await parent.tasks(work, episode)
    parent.answered(work, draft)
    await stopping.over(work, episode, draft)


def _judge(draft: Draft, profile: Profile, candidate: Candidate) -> None:
    taken = candidate.accepted_at is not None
    before, after = draft.before() or {}, draft.document or {}
    transitions.judge(draft, profile, before, after, machine.OWNER, taken=taken)


def _refuse_the_hubs_word(draft: Draft, profile: Profile, before: Document) -> None:
    """409 for who says that it is asked to stop, and is not: its sender would take that for its own wish."""
    said = wording.business_of(draft.document or {})
    in_its_words = any(code.hub == said for code in profile.codes.values())  # judged as such
    if said != "cancellation-requested" or wording.business_of(before) == said or in_its_words:
        return
    raise business_rule(
        "The hub says this when the sender wants to stop. If you cannot go on, set status to rejected before "
        "you begin, or to failed.",
        transitions.at(draft, "businessStatus"),
    )


def _keep_the_wish_to_stop(draft: Draft, before: Document) -> None:
    """Its owner's own copy may lack that it is asked to stop, and why; that is no answer to it."""
    after = draft.document or {}
    if wording.business_of(before) != "cancellation-requested":
        return
    kept: tuple[str, ...] = ("businessStatus", "statusReason")
    if after["status"] in machine.TERMINAL:
        kept = ("statusReason",) if after["status"] == "cancelled" else ()
    lacking = {name: before[name] for name in kept if name in before and name not in after}
    draft.document = {**after, **lacking}


def _flag(draft: Draft) -> None:
    """Say that it was done although it had been cancelled."""
    document = {**(draft.document or {}), "businessStatus": pure.business_status(pure.LATE)}
    document.pop("statusReason", None)
    draft.document = document
