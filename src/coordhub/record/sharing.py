"""One Task that a sender and its recipient share, where both organizations have agreed on that.

https://hl7.org/fhir/us/sdoh-clinicalcare (direct referral)

T1 itself asks: the hub writes its recipient into `owner`, and makes neither T2 nor SR2. From then on the
recipient may say on it what an owner may say, and the sender what a requester may; who else there is learns
of it as of any T2. Whoever reads the ledger finds a candidate whose Task is the referral's own.
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.errors import business_rule
from coordhub.r4 import datasets
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.record import parties, recipients
from coordhub.record.work import Draft, Work
from coordhub.store import resources, sharing
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode, Need
from coordhub.store.transact import CandidateRow


async def is_to_be(
    conn: Connection, episode: Episode, need: Need, organization: int, recipient: str, base: str
) -> bool:
    """Whether who is asked now is asked by the sender's own Task: the only one named, for the only need.

    Never where violence is spoken of, nor where one of the two is told but a part of it.
    """
    if need.strategy != "direct" or len(episode.needs) != 1 or episode.candidates:
        return False
    if organization == episode.requester:
        return False
    if not await sharing.is_agreed(conn, episode.requester, organization):
        return False
    stored = await resources.read_rids(conn, viewer.deciding(), [episode.id, need.request])
    if any(one.labels & (SDV | VSP) for one in stored.values()):
        return False
    order = parties.document(stored[need.request])
    dataset = await recipients.dataset_of(conn, organization, recipient, order, base)
    return dataset == datasets.WHOLE


async def asks(work: Work, draft: Draft, episode: Episode) -> None:
    """This version of T1, which the hub writes, asks its owner."""
    owner = parties.local((draft.document or {}).get("owner"), work.hub.base)
    found = await services.recipient(work.conn, owner, work.hub.base) if owner else None
    if found is None or owner is None:
        raise business_rule(f"{draft.reference} asks nobody: its owner is not known.", "Task.owner")
    [need] = episode.needs
    status = str((draft.document or {})["status"])
    work.batch.candidates.append(
        CandidateRow(
            episode.id, 0, found.organization.rid, owner, draft.rid, need.request, status,
            need.ordinal, need.wave + 1,
        )
    )  # fmt: skip
    work.batch.planned.append(episode.id)


def is_answered(work: Work, draft: Draft, episode: Episode) -> bool:
    """Whether this version of T1 is what its owner says, and not its sender or the hub."""
    return (
        episode.shared is not None
        and draft.rid == episode.id
        and not work.caller.is_hub
        and work.caller.organization != episode.requester
    )
