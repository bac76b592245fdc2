"""Removing content for ever: proposed by one person, confirmed by another, written down.

For what should never have been here, above all the record of another patient. A deletion leaves the
older versions; this leaves none, only the tombstone (store.expunge). Both persons are named as they
name themselves: that there are two of them is the deployment's to see to, by who may log in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.r4 import types
from coordhub.record.hub import Hub
from coordhub.store import expunge, resources
from coordhub.store.engine import Connection
from coordhub.store.expunge import Proposal, Removed, Told
from coordhub.store.resources import Version
from coordhub.telemetry import log

VALID: Final = timedelta(days=7)
"""How long a proposal can be confirmed."""

_HINDERED: Final = {
    "referral": "a referral under way asks with it or about this patient. Cancel it first, and let the "
    "hub tell those who were asked",
    "consent": "this Consent is in force. End it first (status inactive or entered-in-error), so that what "
    "hangs on it is withdrawn in order",
    "hold": "it is under a legal hold. coordhub hold --release, if the hold has ended",
    "sending": "a delivery of it is on its way at this moment. Ask again in two minutes",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """told: who has copies. mentioned_by: what still refers to what was removed.

    left: what was written about the patient meanwhile.
    """

    removed: Sequence[str]
    told: Sequence[Told]
    mentioned_by: Sequence[str]
    left: Sequence[str] = ()


async def propose(
    hub: Hub, by: Operator, person: str, reference: str, what: str, reason: str
) -> int:
    """what: resource, versions (its old ones) or patient (all of the chart). The number to confirm."""
    _named(person)
    if not reason.strip():
        raise NothingDone("say why, with --reason; no content of the record.")
    async with hub.engine.transaction() as conn:
        await _as_owner(conn)
        found = await _find(conn, reference)
        if what != "patient" and found.type == "Patient" and what != "versions":
            raise NothingDone(
                f"what is stored about {reference} would be left without its Patient. "
                "Use: coordhub expunge patient"
            )
        if what == "patient" and found.type != "Patient":
            raise NothingDone(f"{reference} is no Patient.")
        if what == "versions" and found.version == 1:
            raise NothingDone(f"{reference} has no older versions.")
        rids = await _meant(conn, what, found.rid)
        await _unhindered(conn, hub, rids)
        now = hub.clock()
        number = await expunge.propose(
            conn, what, found.rid, (found.type, found.id), reason.strip(), person, now
        )
        about = {"person": person, "proposal": str(number), "what": what, "reference": reference}
        await note(conn, by, "expunge-proposed", now, {**about, "reason": reason.strip()})
    return number


async def confirm(hub: Hub, by: Operator, person: str, number: int) -> Outcome:
    """Do what somebody else proposed; asked anew whether it can be done."""
    _named(person)
    async with hub.engine.transaction() as conn:
        await _as_owner(conn)
        now = hub.clock()
        proposed = await expunge.proposal(conn, number)
        if proposed is None or proposed.confirmed_by is not None:
            raise NothingDone(f"there is no open proposal {number}. See: coordhub expunge list")
        if person.strip().lower() == proposed.proposed_by.strip().lower():
            raise NothingDone(f"{proposed.proposed_by} proposed it; somebody else must confirm it.")
        if now > proposed.proposed_at + VALID:
            raise NothingDone(
                f"proposal {number} is older than {VALID.days} days. Propose it anew."
            )
        rids = await _meant(conn, proposed.what, proposed.rid)
        await expunge.hold_still(conn, rids)
        await _unhindered(conn, hub, rids)
        versions = (await resources.read_rids(conn, viewer.deciding(), rids)).values()
        told = await expunge.who_was_told(conn, rids)
        mentioned = await expunge.mentioned_by(conn, rids) if proposed.what != "versions" else []
        said = urlencode({"by": by.account, "person": person, "proposal": str(number)})
        await expunge.remove(
            conn,
            rids,
            whole=proposed.what != "versions",
            act=number,
            interaction="expunge",
            said=said,
        )
        await expunge.confirm(conn, number, person, now)
    log("record.expunged", proposal=number, what=proposed.what, resources=len(rids))
    await tidy(hub)
    left = await _left(hub, proposed.rid) if proposed.what == "patient" else []
    return Outcome(sorted(one.reference for one in versions), told, mentioned, left)


async def _left(hub: Hub, patient: int) -> list[str]:
    async with hub.engine.pool.acquire() as conn:
        rids = await expunge.chart(conn, patient, whole=False)
        found = await resources.read_rids(conn, viewer.deciding(), rids)
    return sorted(one.reference for one in found.values())


async def proposals(hub: Hub) -> list[Proposal]:
    async with hub.engine.pool.acquire() as conn:
        return await expunge.proposals(conn)


async def logged(hub: Hub, after: int = 0) -> list[Removed]:
    """The expunge log, ids only: to be kept where a restore of the database does not reach."""
    async with hub.engine.pool.acquire() as conn:
        return await expunge.log_since(conn, after)


async def replay(hub: Hub, by: Operator, log_of_then: Sequence[Removed]) -> int:
    """Remove again what a restored backup has brought back; how many resources it was.

    Before anything else is done with the restored database: a number of a version that was written
    after the backup may be given again.
    """
    async with hub.engine.transaction() as conn:
        await _as_owner(conn)
        found = await expunge.back_again(conn, log_of_then)
        known = {one.rid: one for one in log_of_then}
        there = await resources.read_rids(conn, viewer.deciding(), list(found))
        strange = [
            rid for rid, one in there.items()
            if (one.type, one.id) != (known[rid].type, known[rid].fhir_id)
        ]  # fmt: skip
        if strange:
            raise NothingDone(
                f"{there[strange[0]].reference} is not what the log calls by its number. "
                "This log is of another hub."
            )
        said = urlencode({"by": by.account, "lines": str(len(log_of_then))})
        for whole in (True, False):
            rids = sorted(rid for rid, each in found.items() if each is whole)
            if rids:
                await expunge.hold_still(conn, rids)
                if whole:
                    await expunge.end_referrals(conn, rids, hub.clock())
                await expunge.remove(
                    conn, rids, whole=whole, act=None, interaction="expunge-replayed", said=said
                )
    if found:
        await tidy(hub)
    return len(found)


async def tidy(hub: Hub) -> None:
    """Postgres keeps dead rows until it cleans up, and samples of values in its statistics."""
    async with hub.engine.pool.acquire() as conn:
        await expunge.tidy(conn)


def _named(person: str) -> None:
    if not person.strip():
        raise NothingDone("say who you are, with --by.")


async def _as_owner(conn: Connection) -> None:
    if not await expunge.may_rewrite(conn):
        raise NothingDone(
            "this login may not rewrite the record. Set DATABASE_URL to the owner of the tables, as for "
            "coordhub migrate."
        )


async def _find(conn: Connection, reference: str) -> Version:
    kind, _, fhir_id = reference.partition("/")
    found = (
        await resources.read(conn, viewer.deciding(), kind, fhir_id)
        if kind in types.NUMBER
        else None
    )
    if found is None:
        raise NothingDone(f"there is no {reference} here. Name it as Type/id.")
    return found


async def _meant(conn: Connection, what: str, rid: int) -> list[int]:
    if what == "patient":
        return await expunge.chart(conn, rid)
    return await expunge.with_copies(conn, rid)


async def _unhindered(conn: Connection, hub: Hub, rids: Sequence[int]) -> None:
    found = await expunge.hindrances(conn, rids, hub.clock())
    if not found:
        return
    names = await resources.read_rids(conn, viewer.deciding(), [found[0].rid])
    raise NothingDone(f"{names[found[0].rid].reference}: {_HINDERED[found[0].kind]}.")
