"""What follows when sender and recipient of a referral talk about it: each hears the other.

http://hl7.org/fhir/R4/communication.html, http://hl7.org/fhir/R4/appointmentresponse.html
http://hl7.org/fhir/uv/cow (awaiting information)

A message is about the Task or the order of the referral, or answers one that was; its sender writes
it once and for all, the other side reads it and is sent it, after all that was said before. A
recipient that cannot go on says so by the code `awaiting-information`: its Task waits, and says so to
the sender, until the sender answers. What a victim service provider says nobody hears.
"""

from __future__ import annotations

from coordhub.errors import Issue
from coordhub.record import hearing
from coordhub.record.work import Draft, Work
from coordhub.referral import conversation


async def apply(work: Work, draft: Draft) -> None:
    """Give the draft its referral, so that the relay delivers it to who hears it."""
    assert draft.document is not None
    if work.caller.organization in work.apart or not conversation.is_said(draft.document):
        return
    episode = hearing.episode_of(work, draft)
    if episode is None:
        return
    heard = await hearing.of(work, draft, episode)
    if heard:
        draft.episode = episode.id
    elif draft.source == episode.requester:
        draft.warnings.append(
            Issue(
                "business-rule",
                "Nobody of this referral hears this: whoever was asked is out of it. Send another referral.",
                draft.at or draft.type,
                "warning",
            )
        )
