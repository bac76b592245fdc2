"""What follows when a person says that it did not get what its referral says it got: somebody looks after it.

http://hl7.org/fhir/R4/questionnaireresponse.html, http://hl7.org/fhir/us/sdoh-clinicalcare (feedback questionnaire)

The Tasks that have ended stay so: what whoever was asked has said, it has said. The sender's Task says
`not-received`, of which its sender is told, and its coordinator has an errand; to ask again, a new Task names the
old one in `basedOn`. Believed of the patient by its own app, and of who referred, for it. Who was asked is not told,
and nothing follows where a victim service provider was among these, or violence may be spoken of: whoever reads
an errand could take it out on the person.
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.record import coordinating, errands, parent, parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import voice
from coordhub.store import resources
from coordhub.store.episodes import Episode
from coordhub.store.visibility import HUB

KIND = "not-received"


async def apply(work: Work, draft: Draft) -> None:
    """Open the errand, once for a referral at a time, where a need counts as met and is said not to be."""
    document = draft.document or {}
    if draft.type != "QuestionnaireResponse" or not voice.says_no(document):
        return
    for text in parties.locals_of(document.get("basedOn"), work.hub.base):
        rid = work.rid_of(text)
        episode = work.episode_of(rid) if rid is not None else None
        if episode is None or not _may_say(work, draft, episode):
            continue
        met = any(one.request == rid and one.state == "met" for one in episode.needs)
        waits = any(one.kind == KIND and one.closed_at is None for one in episode.errands)
        if met and not waits and not await _is_apart(work, episode):
            await _reopen(work, draft, episode)


def _may_say(work: Work, draft: Draft, episode: Episode) -> bool:
    if draft.patient is None or draft.patient != episode.patient:
        return False
    return work.caller.is_person or work.caller.organization == episode.requester


async def _is_apart(work: Work, episode: Episode) -> bool:
    if any(one.organization in work.apart for one in episode.candidates):
        return True
    known = [episode.id, *(need.request for need in episode.needs)]
    stored = await resources.read_rids(work.conn, viewer.deciding(), known)
    return any(one.labels & (SDV | VSP) for one in stored.values())


async def _reopen(work: Work, draft: Draft, episode: Episode) -> None:
    await work.hold()
    task = (await parent.tasks(work, episode))[episode.id]
    said = work.supersede(
        task,
        HUB,
        {
            **parties.document(task),
            "businessStatus": pure.business_status("not-received"),
            "lastModified": instant(work.now),
        },
    )
    said.episode = episode.id
    owner = await coordinating.owner(work.hub, work.conn, episode)
    if owner is None:
        found = await resources.read_rids(work.conn, viewer.deciding(), [episode.requester])
        owner = found[episode.requester].reference
    await errands.open_errand(
        work, kind=KIND, owner=owner, subject=task.reference, episode=episode.id
    )
