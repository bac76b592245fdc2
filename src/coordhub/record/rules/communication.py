"""What follows when sender and recipient of a referral talk about it: each hears the other.

http://hl7.org/fhir/R4/communication.html, http://hl7.org/fhir/R4/appointmentresponse.html
http://hl7.org/fhir/uv/cow (awaiting information)

A message is about the Task or the order of the referral, or answers one that was; its sender writes
it once and for all, the other side reads it and is sent it, after all that was said before. A
recipient that cannot go on says so by the code `awaiting-information`: its Task waits, and says so to
the sender, until the sender answers. One that tells of an attempt in vain to reach the person is counted
(record.reaching). What a victim service provider says nobody hears.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from coordhub.errors import Issue
from coordhub.record import grants, hearing, parent, parties, reaching
from coordhub.record.work import Draft, Work
from coordhub.referral import conversation, wording
from coordhub.referral import episode as pure
from coordhub.referral import reaching as pure_reaching
from coordhub.referral import task_machine as machine
from coordhub.store.episodes import Candidate, Episode


async def apply(work: Work, draft: Draft) -> None:
    """Give the draft its referral, so that the relay delivers it to who hears it."""
    assert draft.document is not None
    if work.caller.organization in work.apart:
        return
    if pure_reaching.is_attempt(draft.document):
        await reaching.tried(work, draft)
        return
    if not conversation.is_said(draft.document):
        return
    episode = hearing.episode_of(work, draft)
    if episode is None:
        return
    heard = await hearing.of(work, draft, episode)
    if heard:
        draft.episode = episode.id
        if draft.type == "Communication" and draft.op == "create":
            await _move(work, draft, episode, heard)
    elif draft.source == episode.requester:
        draft.warnings.append(
            Issue(
                "business-rule",
                "Nobody of this referral hears this: whoever was asked is out of it. Send another referral.",
                draft.at or draft.type,
                "warning",
            )
        )


async def _move(work: Work, draft: Draft, episode: Episode, heard: AbstractSet[int]) -> None:
    """Have the Task of who asks wait, and say to who waits that its answer is there."""
    document = draft.document or {}
    asks = draft.source != episode.requester
    unread = False
    for candidate in episode.candidates:
        if candidate.organization in work.apart or candidate.status in machine.TERMINAL:
            continue
        if asks:
            if candidate.organization == draft.source and conversation.is_question(document):
                status = await parent.status_of(work, episode, candidate)
                waits = conversation.waits_at(status)
                await _say(work, episode, candidate, conversation.QUESTION, waits)
        elif candidate.organization in heard and await _waits(work, episode, candidate):
            if grants.competes(work, episode, candidate.need):
                unread = True
            else:
                await _say(work, episode, candidate, conversation.ANSWERED, None)
    if unread:
        draft.warnings.append(
            Issue(
                "business-rule",
                "Who has asked does not read this: several are asked, and until one of them has accepted none is "
                "told for whom it is. Say it again then, or change the ServiceRequest, which all of them read.",
                draft.at or draft.type,
                "warning",
            )
        )


async def _waits(work: Work, episode: Episode, candidate: Candidate) -> bool:
    task = parties.document((await parent.tasks(work, episode))[candidate.task])
    return wording.business_of(task) == conversation.QUESTION


async def _say(
    work: Work, episode: Episode, candidate: Candidate, code: str, status: str | None
) -> None:
    changes: dict[str, object] = {"businessStatus": pure.business_status(code)}
    if status is not None:
        changes["status"] = status
    await parent.move(work, episode, candidate, changes)
