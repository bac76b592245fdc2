"""A person has chosen one of the offers for a need: whoever made it has won, and the others are told.

http://hl7.org/fhir/uv/cow (offers, of which the requester selects one)

It names the recipient in `output.valueReference`, as the inputs of the errand name those who offered.
If it wants none of them (rejected, failed), all of them are let go, and the next ones are asked.
"""

from __future__ import annotations

from coordhub.errors import Issue, business_rule, unprocessable
from coordhub.record import parent, parties, transitions, winning
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import needs
from coordhub.referral import task_machine as machine
from coordhub.store.episodes import Errand
from coordhub.store.visibility import HUB


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    assert draft.document is not None
    status = draft.document["status"]
    episode = work.episodes.get(errand.episode) if errand.episode is not None else None
    need = (
        next((one for one in episode.needs if one.request == errand.subject), None)
        if episode
        else None
    )
    if episode is None or need is None or status not in ("completed", "rejected", "failed"):
        return
    versions = await parent.tasks(work, episode)
    children = {
        child.task: child
        for child in parent.children(work, episode, versions)
        if child.need == str(need.ordinal)
    }
    offers = {
        one.recipient: one
        for one in episode.candidates
        if one.need == need.ordinal and children[versions[one.task].reference].offered
    }
    work.moved.add(episode.id)
    if status != "completed":
        reason = machine.REASONS["not-wanted"]
        let_go = [versions[one.task].reference for one in offers.values()]
        parent.cancel(work, episode, versions, [pure.Cancel(task, reason) for task in let_go])
        return
    named = parties.locals_of(
        [one.get("valueReference") for one in draft.document.get("output") or ()], work.hub.base
    )
    chosen = offers.get(named[0]) if len(named) == 1 else None
    if chosen is None:
        if not offers:
            raise business_rule(
                "There is no offer any more. Set the status to rejected.",
                transitions.at(draft, "status"),
            )
        raise unprocessable(
            Issue(
                "value",
                f"Name one of those who have offered in output.valueReference: {', '.join(sorted(offers))}. If you "
                "want none of them, set the status to rejected.",
                transitions.at(draft, "output"),
            )
        )
    reason = machine.REASONS["not-selected"]
    others = [
        task
        for task, child in children.items()
        if needs.is_asked(child) and not child.apart and task != versions[chosen.task].reference
    ]
    parent.cancel(work, episode, versions, [pure.Cancel(task, reason) for task in others])
    work.chosen.add(chosen.task)
    before = parties.document(versions[chosen.task])
    won = work.supersede(
        versions[chosen.task],
        HUB,
        {
            **before,
            "businessStatus": pure.business_status("selected"),
            "lastModified": instant(work.now),
        },
    )
    won.episode = episode.id
    await winning.tell(work, won, episode, chosen, parties.document(versions[episode.id]))
    parent.answered(work, won)
