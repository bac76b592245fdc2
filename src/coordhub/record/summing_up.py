"""The patient's doctor is told in one message how several needs of one referral came out.

http://hl7.org/fhir/R4/communication.html, http://hl7.org/fhir/R4/patient-definitions.html#Patient.generalPractitioner

Once none of them is under way: each has ended, or waits on a list. One Communication for a referral, of which there
is a new version if it comes out otherwise later. To the doctors that the Patient names; where it names none, to
who referred. What of it a doctor that did not refer may see its patient's Consents say, when it is sent and when
it is read. None where a victim service provider was asked, or anything of the referral is sensitive.
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.access import viewer
from coordhub.r4.search import parse_query
from coordhub.r4.sensitivity import ALL
from coordhub.record import circle, parent, parties, recipients
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import summary
from coordhub.store import resources, search
from coordhub.store.episodes import Episode
from coordhub.store.resources import Version
from coordhub.store.transact import Grant
from coordhub.store.visibility import HUB

SYSTEM: Final = "urn:coordhub:summary"
_KINDS: Final = "urn:coordhub:communication"

Document = dict[str, Any]


async def settle(work: Work) -> None:
    """Of each referral that moved."""
    for number in sorted(work.moved):
        episode = work.episodes.get(number)
        if episode is not None and len(episode.needs) > 1 and episode.patient is not None:
            await _sum_up(work, episode)


async def _sum_up(work: Work, episode: Episode) -> None:
    if any(one.organization in work.apart for one in episode.candidates):
        return
    states = {one.ordinal: one.state for one in episode.needs}
    states |= {
        one.ordinal: one.state for one in work.batch.need_states if one.episode == episode.id
    }
    children = parent.children(work, episode, await parent.tasks(work, episode))
    outcomes = [
        summary.outcome(
            str(one.ordinal),
            states[one.ordinal],
            [child for child in children if child.need == str(one.ordinal)],
        )
        for one in episode.needs
    ]
    if summary.said(outcomes) is None:
        return
    rids = [episode.id, episode.requester, *(one.request for one in episode.needs)]
    assert episode.patient is not None
    stored = await resources.read_rids(work.conn, viewer.deciding(), [*rids, episode.patient])
    if episode.patient not in stored or any(one.labels & ALL for one in stored.values()):
        return
    titles = {
        str(one.ordinal): summary.title(parties.document(stored[one.request]))
        for one in episode.needs
        if one.request in stored and stored[one.request].body is not None
    }
    said = summary.said(
        [summary.Outcome(titles.get(one.title, "A need"), one.state) for one in outcomes]
    )
    assert said is not None
    await _tell(work, episode, stored, said)


async def _tell(work: Work, episode: Episode, stored: dict[int, Version], said: str) -> None:
    assert episode.patient is not None
    patient = stored[episode.patient]
    told = await circle.doctors(work.conn, work.hub.base, parties.document(patient)) - work.apart
    told = told or frozenset({episode.requester})
    names = await resources.read_rids(work.conn, viewer.deciding(), sorted(told))
    task = stored[episode.id]
    document: Document = {
        "resourceType": "Communication",
        "identifier": [{"system": SYSTEM, "value": task.id}],
        "status": "completed",
        "category": [{"coding": [{"system": _KINDS, "code": "summary", "display": "Summary"}]}],
        "subject": {"reference": patient.reference},
        "about": [{"reference": task.reference}],
        "sent": instant(work.now),
        "sender": {"reference": work.hub.organization},
        "recipient": [{"reference": names[rid].reference} for rid in sorted(names)],
        "payload": [{"contentString": said}],
    }
    known = await _known(work, task.id)
    if known is not None:
        if parties.document(known).get("payload") == document["payload"]:
            return
        draft = work.supersede(known, HUB, document)
    else:
        draft = await _new(work, episode, document)
    near = [*names.values(), task, patient]
    work.located |= await resources.locate(
        work.conn, viewer.deciding(), sorted({(one.type, one.id) for one in near})
    )
    draft.episode = episode.id
    order = parties.document(stored[episode.request]) if episode.request in stored else {}
    for rid in sorted(told):
        if rid == episode.requester:
            work.batch.grants.append(Grant(rid, draft.rid, episode.id, "result", ALL))
            continue
        dataset = await recipients.dataset_of(work.conn, rid, "", order, work.hub.base)
        work.batch.grants += [
            Grant(rid, one, episode.id, "result", 0, dataset)
            for one in (draft.rid, episode.patient)
        ]


async def _known(work: Work, value: str) -> Version | None:
    """The message there is of this referral, locked."""
    query = parse_query(
        "Communication", [("identifier", f"{SYSTEM}|{value}")], base=work.hub.base, now=work.now
    )
    page = await search.search(
        work.conn, work.hub.engine, viewer.deciding(), query, limit=1, source=HUB
    )
    rids = [one.rid for one in page.versions]
    return (await resources.lock(work.conn, rids))[rids[0]] if rids else None


async def _new(work: Work, episode: Episode, document: Document) -> Draft:
    shard = episode.id & 255
    [number] = await work.hub.engine.rids(1)
    draft = Draft(
        None, "Communication", work.hub.new_id(shard), number << 8 | shard, 1, HUB, HUB, document,
        patient=episode.patient,
    )  # fmt: skip
    work.drafts.append(draft)
    return draft
