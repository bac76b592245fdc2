"""Who is shown a result: who asked, the patient's doctor, and to whom copies are to go.

http://hl7.org/fhir/R4/diagnosticreport.html, http://hl7.org/fhir/R4/servicerequest.html

Decided with each version, in the commit that writes it, as grants of rule `result`. Whether one of them
may see it is asked when somebody looks and when it is sent, of each by itself. Never back to who wrote it.

Who asked sees what it asked for, whatever it is about, but not what is under 42 CFR Part 2 or of a
victim service provider. The others see it as they see the chart: of no sensitive class, unless a Consent
says so; who does not treat, as its data set has it; and to whom copies go, for a time (record.lapsing).
They are shown the Patient with it, to know whose it is; and only what stands in the record that the order
is of, because that is the record its patient's Consents are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordhub.access import viewer
from coordhub.errors import Issue
from coordhub.r4 import datasets
from coordhub.r4.sensitivity import ALL, SUD, VSP
from coordhub.record import circle, lapsing, parties, recipients
from coordhub.record.work import Draft, Work
from coordhub.referral import results
from coordhub.store import grants, resources, sensitive
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
    files = await _files(work, own, author)
    work.batch.results += [
        ResultRow(rid, episode.id, how, first, because.version) for rid in sorted(files)
    ]
    shared = sorted(own | parts | files)
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
        named = [document.get("medicationReference")]
        for name in results.PARTS:
            named += document.get(name) or ()
        for text in parties.locals_of(named, work.hub.base):
            part = work.rid_of(text)
            parts |= {part} if part is not None else set()
    mine = inside | {rid for rid in parts if rid in written and written[rid].source == author}
    mine |= await grants.written_by(work.conn, author, rids | parts)
    return mine & rids, mine - rids


async def _files(work: Work, rids: set[int], author: int) -> set[int]:
    """The Binaries that these name as attachments, of the same patient; they are as sensitive as what names them.

    A Binary is of no patient unless its securityContext says so, and then a Consent could not speak of it.
    """
    documents = await _documents(work, sorted(rids))
    named = {
        text: rid
        for rid, (_, _, document, _) in documents.items()
        for text in results.attached(document, work.hub.base)
    }
    if not named:
        return set()
    unknown = [("Binary", text.partition("/")[2]) for text in named if not work.draft_of(text)]
    located = await resources.locate(work.conn, viewer.deciding(), unknown)
    found: dict[int, int] = {}
    for text, rid in named.items():
        _, patient, _, bits = documents[rid]
        draft = work.draft_of(text)
        known = located.get(("Binary", text.partition("/")[2]))
        file = (
            (draft.rid, draft.source, draft.patient)
            if draft is not None
            else (known.rid, known.source, known.patient)
            if known is not None and not known.deleted
            else None
        )
        if file is None or file[1] != author:
            continue
        if file[2] is None or file[2] != patient:
            _warn(work, rid, text)
            continue
        if draft is not None:
            draft.labels |= bits
        found[file[0]] = bits
    stored = {rid: bits for rid, bits in found.items() if bits and not _is_written(work, rid)}
    if stored:
        await work.hold()
        await sensitive.raise_labels(work.conn, stored)
    return set(found)


def _is_written(work: Work, rid: int) -> bool:
    return any(draft.rid == rid for draft in work.drafts)


def _warn(work: Work, rid: int, text: str) -> None:
    for draft in work.drafts:
        if draft.rid == rid:
            draft.warnings.append(
                Issue(
                    "business-rule",
                    f"{text} is not shown to those who are shown this: say in its securityContext that it is to be "
                    f"protected as {draft.reference}.",
                    draft.at or draft.type,
                    "warning",
                )
            )


async def _to_others(work: Work, rids: Sequence[int], author: int, episode: Episode) -> None:
    chart = await _of_the_order(work, rids, episode)
    if not chart:
        return
    found = await circle.of(work.conn, work.hub.base, episode)
    others = {rid: text for rid, text in found.items() if rid not in {author, *work.apart}}
    if not others:
        return
    asked = await _asked_for(work, episode)
    assert episode.patient is not None
    [patient] = (await _documents(work, [episode.patient])).values()
    doctors = await circle.doctors(work.conn, work.hub.base, patient[2])
    for organization, text in others.items():
        dataset = await recipients.dataset_of(work.conn, organization, text, asked, work.hub.base)
        sets = datasets.in_use()
        admitted = [rid for rid, one in chart.items() if not dataset or sets.admits(dataset, one)]
        if admitted:
            until = None if organization in doctors else lapsing.until(work)
            work.batch.grants += [
                Grant(organization, rid, episode.id, "result", 0, dataset, until)
                for rid in (*admitted, episode.patient)
            ]


async def _asked_for(work: Work, episode: Episode) -> Document:
    """What the referral asks for, by the categories of all its orders: of several, who is shown least counts."""
    orders = dict.fromkeys((episode.request, *(need.request for need in episode.needs)))
    stored = await resources.read_rids(work.conn, viewer.deciding(), list(orders))
    categories = [
        one
        for rid in orders
        if rid in stored and stored[rid].body is not None
        for one in parties.document(stored[rid]).get("category") or ()
    ]
    return {"category": categories}


async def _of_the_order(work: Work, rids: Sequence[int], episode: Episode) -> dict[int, Document]:
    """Those of them that are results of more interest than to who asked, in the record of the order."""
    documents = await _documents(work, rids)
    return {
        rid: document
        for rid, (kind, patient, document, _) in documents.items()
        if (kind in results.TYPES or kind == "Binary") and patient and patient == episode.patient
    }


async def _documents(
    work: Work, rids: Sequence[int]
) -> dict[int, tuple[str, int | None, Document, int]]:
    """Type, patient, document and classes of these, as this commit writes them or as they are stored."""
    written = {draft.rid: draft for draft in work.drafts}
    stored = await resources.read_rids(
        work.conn, viewer.deciding(), [rid for rid in rids if rid not in written]
    )
    found: dict[int, tuple[str, int | None, Document, int]] = {}
    for rid in rids:
        if rid in written:
            draft = written[rid]
            if draft.document is not None:
                found[rid] = (draft.type, draft.patient, draft.document, draft.labels)
        elif rid in stored and stored[rid].body is not None:
            one = stored[rid]
            found[rid] = (one.type, one.patient, parties.document(one), one.labels)
    return found
