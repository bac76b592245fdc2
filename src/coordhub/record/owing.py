"""What was to come back of a referral, and has not, by the kit of its kind.

http://hl7.org/fhir/us/davinci-hrex (data-code: the kind of document that is asked for)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from coordhub.access import viewer
from coordhub.insight import kits
from coordhub.insight.kits import Expected
from coordhub.insight.same_question import Code
from coordhub.r4 import datasets
from coordhub.record import parties
from coordhub.record.work import Work
from coordhub.referral.results import RETRACTED
from coordhub.referral.wanted import codes
from coordhub.store import resources, results
from coordhub.store.engine import Connection

_CODED_BY: Final = ("code", "type")
"""Elements by which a report, a note, a document say what they are."""

Document = Mapping[str, Any]


def inputs(request: Document, dataset: int) -> list[dict[str, Any]]:
    """Task.input for what is to come back, for a recipient with this data set."""
    kit = kits.of(request)
    if kit is None or dataset == datasets.VSP or (dataset != datasets.WHOLE and not kit.community):
        return []
    return kit.inputs


async def missing(
    conn: Connection, episode: int, organization: int, request: int, work: Work | None = None
) -> list[Expected]:
    """What somebody has to be reminded of who is done with a referral: by what has come, also by this commit.

    organization: who was asked. request: rid of the order that asked it.
    """
    stored = await resources.read_rids(conn, viewer.deciding(), [request])
    order = stored.get(request)
    kit = kits.of(parties.document(order)) if order is not None and order.body is not None else None
    if kit is None or not kit.missing(()):
        return []
    rids = set(await results.brought(conn, episode, organization))
    written: list[Document] = []
    if work is not None:
        rids |= {row.rid for row in work.batch.results if row.episode == episode}
        drafts = {draft.rid: draft for draft in work.drafts}
        written = [drafts[rid].document or {} for rid in rids & drafts.keys()]
        rids -= drafts.keys()
    there = await resources.read_rids(conn, viewer.deciding(), sorted(rids))
    written += [parties.document(one) for one in there.values() if one.body is not None]
    return kit.missing(code for document in written for code in _codes(document))


def _codes(document: Document) -> Iterator[Code]:
    if document.get("status") not in RETRACTED:
        for name in _CODED_BY:
            yield from codes(document.get(name))
