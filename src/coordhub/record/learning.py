"""A sample of the hub's records, by which the weights of matching are learned (`identity.learn`).

Records are compared as when they are linked, and so are the same left out: what a victim service provider
keeps, what is in quarantine or deleted. What comes out are levels and how often they occur, of nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import log2
from random import Random
from typing import Final

from coordhub.access import viewer
from coordhub.identity import compare, match, weights
from coordhub.identity.learn import Pattern, Sample
from coordhub.identity.link import APART, LINKED
from coordhub.identity.match import Known
from coordhub.identity.normalise import BLOCKS, Traits, sought, traits
from coordhub.record import linking, parties
from coordhub.record.hub import Hub
from coordhub.store import names, persons, resources
from coordhub.store.engine import Connection

RANDOM_PAIRS: Final = 100_000
LAPS: Final = 50
"""Most random pairs of one record: so many of a small sample are few records' pairs only."""


async def sample(hub: Hub, records: int, seed: int) -> Sample:
    """Of so many records all pairs with a key in common, and pairs at random. seed: another takes others."""
    found = Sample()
    async with hub.engine.transaction() as conn:
        await persons.lock(conn)
        while await names.add_up(conn):
            pass
    async with hub.engine.transaction() as conn:
        found.all_of_them = await names.of_kind(conn, BLOCKS["surname"])
        decided = await persons.decided(conn, (LINKED, APART))
        known_pairs = {(pair.one, pair.other) for pair in decided}
        rids = await persons.some(conn, BLOCKS["surname"], records, seed)
        shown = await _traits(conn, {*rids, *(rid for pair in known_pairs for rid in pair)})
        read = {rid: (each, await linking.known(conn, each, found.all_of_them))
                for rid, each in shown.items()}  # fmt: skip
        for pair in decided:
            if pair.one in read and pair.other in read:
                said = pattern(*read[pair.one], read[pair.other][0])
                found.decided[said, pair.state == LINKED] += 1
        for rid in rids:
            if rid not in read:
                continue
            found.records += 1
            ours, known = read[rid]
            met = await persons.candidates(conn, viewer.deciding(), sought(ours), rid)
            there = await persons.comparable(conn, [each.rid for each in met])
            for each in met:
                at = (min(rid, each.rid), max(rid, each.rid))
                if each.rid in there and at not in known_pairs:
                    theirs = traits(parties.document(each))
                    found.looked[pattern(ours, known, theirs)] += 1
    _take_random(found, [read[rid] for rid in rids if rid in read], seed)
    return found


async def _traits(conn: Connection, rids: Iterable[int]) -> dict[int, Traits]:
    there = await persons.comparable(conn, sorted(rids))
    stored = await resources.read_rids(conn, viewer.deciding(), sorted(there))
    return {rid: traits(parties.document(each)) for rid, each in stored.items()}


def _take_random(found: Sample, read: list[tuple[Traits, Known]], seed: int) -> None:
    chance = Random(seed)
    for _ in range(min(LAPS, RANDOM_PAIRS // max(len(read), 1) + 1)):
        chance.shuffle(read)
        for (ours, known), (theirs, _) in pairwise(read):
            found.random[pattern(ours, known, theirs)] += 1


def pattern(ours: Traits, known: Known, theirs: Traits) -> Pattern:
    """known: of the names and numbers of ours."""
    numbers = weights.in_use()
    levels = compare.levels(ours, theirs, numbers.family_alike, numbers.given_alike, known.shared)

    def rarity(name: str) -> int | None:
        often = match.frequency(name, ours, theirs, known)
        return round(-log2(often)) if often else None

    return Pattern(tuple(levels.values()), tuple(rarity(name) for name in match.NAMES))
