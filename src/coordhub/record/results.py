"""Who is shown a result: who asked, the patient's doctor, and to whom copies are to go.

http://hl7.org/fhir/R4/diagnosticreport.html, http://hl7.org/fhir/R4/servicerequest.html

Decided with each version, in the commit that writes it, as grants of rule `result`. Whether one of them
may see it is asked when somebody looks and when it is sent, of each by itself. Never back to who wrote it.

Who asked sees what it asked for, whatever it is about, but not what is under 42 CFR Part 2 or of a
victim service provider. The others see it as they see the chart: of no sensitive class, unless a Consent
says so; who does not treat, as its data set has it. They are shown the Patient with it, to know whose it
is; and only what stands in the record that the order is of, because that is the record its patient's
Consents are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordhub.access import viewer
from coordhub.r4 import datasets
from coordhub.r4.sensitivity import ALL, SUD, VSP
from coordhub.record import circle, parties, recipients
from coordhub.record.work import Draft, Work
from coordhub.referral import results
from coordhub.store import grants, resources
from coordhub.store.episodes import Episode
from coordhub.store.transact import Grant, ResultRow

_ASKED_FOR: Final = ALL & ~(SUD | VSP)

Document = dict[str, Any]


async def share(
    work: Work, rids: set[int], author: int, episode: Episode, how: str, because: Draft
) -> None:
    """These and what they consist of, as far as `author` wrote it itself, are results of the referral."""
    own, parts = await _own(work, rids, author)
    if not own:
        return
    first = min(own)
    work.batch.results += [
        ResultRow(rid, episode.id, how, because.rid, because.version) for rid in sorted(own)
    ]
    # what a report consists of travels with it, and is sent by itself when it is corrected
    work.batch.results += [
        ResultRow(rid, episode.id, how, first, because.version) for rid in sorted(parts - own)
    ]
    shared = sorted(own | parts)
    if episode.requester != author:
        work.batch.grants += [
            Grant(episode.requester, rid, episode.id, "result", _ASKED_FOR) for rid in shared
        ]
    await _to_others(work, shared, author, episode)


async def _own(work: Work, rids: set[int], author: int) -> tuple[set[int], set[int]]:
    """Of `rids` those that `author` wrote; and of what these consist of."""
    written = {draft.rid: draft for draft in work.drafts}
    inside = {rid for rid in rids if rid in written and written[rid].source == author}
    parts: set[int] = set()
    for rid in inside:
        document = written[rid].document or {}
        for name in results.PARTS:
            for text in parties.locals_of(document.get(name), work.hub.base):
                part = work.rid_of(text)
                parts |= {part} if part is not None else set()
    mine = inside | {rid for rid in parts if rid in written and written[rid].source == author}
    mine |= await grants.written_by(work.conn, author, rids | parts)
    return mine & rids, mine - rids


async def _to_others(work: Work, rids: Sequence[int], author: int, episode: Episode) -> None:
    chart = await _of_the_order(work, rids, episode)
    if not chart:
        return
    others = await circle.of(work, episode)
    others.pop(author, None)
    if not others:
        return
    stored = await resources.read_rids(work.conn, viewer.deciding(), [episode.request])
    request = stored[episode.request]
    asked = parties.document(request) if request.body is not None else {}
    assert episode.patient is not None
    for organization, text in others.items():
        dataset = await recipients.dataset_of(work.conn, organization, text, asked, work.hub.base)
        sets = datasets.in_use()
        admitted = [rid for rid, one in chart.items() if not dataset or sets.admits(dataset, one)]
        if admitted:
            work.batch.grants += [
                Grant(organization, rid, episode.id, "result", 0, dataset)
                for rid in (*admitted, episode.patient)
            ]


async def _of_the_order(work: Work, rids: Sequence[int], episode: Episode) -> dict[int, Document]:
    """Those of them that are results of more interest than to who asked, in the record of the order."""
    found: dict[int, Document] = {}
    written = {draft.rid: draft for draft in work.drafts}
    stored = await resources.read_rids(
        work.conn, viewer.deciding(), [rid for rid in rids if rid not in written]
    )
    for rid in rids:
        if rid in written:
            draft = written[rid]
            kind, patient, document = draft.type, draft.patient, draft.document
        elif rid in stored and stored[rid].body is not None:
            kind, patient = stored[rid].type, stored[rid].patient
            document = parties.document(stored[rid])
        else:
            continue
        if document and kind in results.TYPES and patient and patient == episode.patient:
            found[rid] = document
    return found
