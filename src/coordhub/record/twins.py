"""Entries of two feeds that are one service: found, merged, taken apart again.

http://hl7.org/fhir/R4/healthcareservice.html

Merged, the one that stays is offered and the other is inactive and says into which; both feeds go on telling
of their own. Nothing is lost by it, so it is undone by writing the other as its feed tells of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.directory import services
from coordhub.directory import twins as comparing
from coordhub.directory.hsds.offers import STATUS
from coordhub.record import parties
from coordhub.record.commit import apply
from coordhub.record.hub import Hub
from coordhub.record.operations import Update
from coordhub.store import feeds, resources, vsp
from coordhub.store import twins as store
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.twins import Pair
from coordhub.store.visibility import DIRECTORY, EVERYONE
from coordhub.telemetry import log

Document = dict[str, Any]

MERGED: Final = "urn:coordhub:merged-into"
_STEWARD: Final = Caller(None, DIRECTORY, "", EVERYTHING)


class CannotMergeError(ValueError):
    """What was asked cannot be done; the message says what to do instead."""


async def look(hub: Hub) -> tuple[int, int]:
    """Compare what feeds tell of; merge what is certain. How many were merged, and how many wait for a steward."""
    async with hub.engine.pool.acquire() as conn:
        found = comparing.find(await _told(conn)) if await store.several_tell(conn) else []
        await store.propose(
            conn, [(one.kept, one.other, " ".join(one.because)) for one in found], hub.clock()
        )
        waiting = {(one.kept, one.other) for one in await store.pairs(conn, ["proposed"])}
    merged = 0
    for one in found:
        if one.certain and (one.kept, one.other) in waiting:
            merged += await _decide(hub, (one.kept, one.other), "merged", None)
    log("directory.twins_looked_for", found=len(found), merged=merged)
    return merged, len(waiting) - merged


async def decide(hub: Hub, one: str, other: str, state: str, by: str) -> None:
    """A steward's word about two HealthcareServices, as `HealthcareService/id`: merged, or apart.

    merged: `one` stays.
    """
    async with hub.engine.pool.acquire() as conn:
        kept, second = [await _named(conn, each) for each in (one, other)]
        pair = await store.lock(conn, kept.rid, second.rid)
        if pair is None:
            if state == "apart":
                raise CannotMergeError(f"{one} and {other} were not taken for the same service.")
            await store.propose(conn, [(kept.rid, second.rid, "steward")], hub.clock())
    meant = (kept.rid, second.rid) if pair is None or state == "merged" else (pair.kept, pair.other)
    if pair is not None and state == "merged" and (pair.kept, pair.other) != meant:
        raise CannotMergeError(f"Of these two {other} is the one that stays. Name it first.")
    await _decide(hub, meant, state, by)


async def listed(hub: Hub, states: Collection[str]) -> list[tuple[Pair, Version, Version]]:
    """Pairs whose entries are there, with these."""
    async with hub.engine.pool.acquire() as conn:
        found = await store.pairs(conn, states)
        rids = sorted({rid for one in found for rid in (one.kept, one.other)})
        versions = await resources.read_rids(conn, EVERYONE, rids)
    return [
        (one, versions[one.kept], versions[one.other])
        for one in found
        if one.kept in versions and one.other in versions
    ]


def merged(document: Document, into: str) -> Document:
    """The entry as it stands while another one is offered in its place."""
    return {**_plain(document), "active": False, "extension": [*_others(document), _into(into)]}


async def loosen(hub: Hub, conn: Connection, gone: Collection[int]) -> None:
    """Offer again what was merged into entries that their feed has no more."""
    for pair in await store.pairs(conn, ["merged"]):
        if pair.kept in gone:
            await _write(hub, conn, pair.other, None)
            await store.decide(conn, (pair.kept, pair.other), "proposed", None, hub.clock())


async def _decide(hub: Hub, pair: tuple[int, int], state: str, by: str | None) -> bool:
    """Whether it was done; not where one of them is merged already with something else."""
    async with hub.engine.transaction() as conn:
        known = await store.lock(conn, *pair)
        if known is None or known.state == state:
            return False
        if state == "merged":
            there = await store.merged_into(conn, pair)
            inner = [one.kept for one in await store.pairs(conn, ["merged"])]
            if there or pair[1] in inner:
                if by is None:
                    return False
                raise CannotMergeError(
                    "One of these is merged with another already. Take these apart first."
                )
            kept = (await resources.read_rids(conn, viewer.deciding(), [pair[0]]))[pair[0]]
            await _write(hub, conn, pair[1], kept.reference)
        elif known.state == "merged":
            await _write(hub, conn, pair[1], None)
        await store.decide(conn, pair, state, by, hub.clock())
    return True


async def _write(hub: Hub, conn: Connection, rid: int, into: str | None) -> None:
    version = (await resources.read_rids(conn, viewer.deciding(), [rid]))[rid]
    document = parties.document(version)
    if into is not None:
        document = merged(document, into)
    else:
        status = next(
            (x.get("valueCode") for x in document.get("extension", ()) if x.get("url") == STATUS),
            "active",
        )
        there = rid in await store.feeds_of(conn, [rid])
        document = {
            **_plain(document),
            "extension": _others(document),
            "active": there and status == "active",
        }
        if not document["extension"]:
            del document["extension"]
    update = Update(version.type, version.id, document)
    await apply(hub, conn, _STEWARD, [update], interaction="update")


def _plain(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "extension"}


def _others(document: Mapping[str, Any]) -> list[Document]:
    return [one for one in document.get("extension", ()) if one.get("url") != MERGED]


def _into(reference: str) -> Document:
    return {"url": MERGED, "valueReference": {"reference": reference}}


async def _told(conn: Connection) -> list[comparing.Told]:
    """What feeds tell of now, without what is inactive for another reason than a merge."""
    found = await feeds.published(conn, EVERYONE, ("Organization", "HealthcareService", "Location"))
    apart = await vsp.marked(conn)
    by = {
        one.reference: parties.document(one)
        for one in found
        if one.rid not in apart and services.is_met(one.labels)
    }
    offered = [one for one in found if one.type == "HealthcareService" and one.reference in by]
    told_by = await store.feeds_of(conn, [one.rid for one in offered])
    entries: list[comparing.Told] = []
    for one in offered:
        document = by[one.reference]
        provider = by.get(str(document.get("providedBy", {}).get("reference")))
        is_merged = len(_others(document)) < len(document.get("extension", ()))
        if (
            one.rid in told_by
            and provider is not None
            and (document.get("active") is not False or is_merged)
        ):
            entries.append(
                comparing.told(one.rid, told_by[one.rid], document, provider, _places(document, by))
            )
    return entries


def _places(document: Document, by: Mapping[str, Document]) -> Sequence[Document]:
    named = [str(one.get("reference")) for one in document.get("location", ())]
    return [by[one] for one in named if one in by]


async def _named(conn: Connection, text: str) -> Version:
    kind, _, fhir_id = text.partition("/")
    found = (
        await resources.read(conn, EVERYONE, kind, fhir_id) if kind == "HealthcareService" else None
    )
    if found is None or found.body is None or found.source != DIRECTORY:
        raise CannotMergeError(
            f"There is no {text} in the directory. Name it as HealthcareService/id."
        )
    return found
