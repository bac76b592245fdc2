"""What stewards decide about who is who: two records are of one person, or of two.

What they are shown is which fields agree, and which records these are: never what stands in them. Each act
has a reason and stands in the audit. What was decided stands until it is taken back here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.identity.link import APART, LINKED, REVIEW
from coordhub.identity.normalise import BLOCKS
from coordhub.record import linking, unmatched
from coordhub.record.hub import Hub
from coordhub.store import persons, resources
from coordhub.store.engine import Connection
from coordhub.store.persons import Pair
from coordhub.store.resources import Version

STATES: Final = (REVIEW, LINKED, APART)
MOST: Final = 1000
"""How many are listed at a time."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A pair. one, other: `Patient/x`. fields: levels by field. held: codes of why it was not linked.

    organizations: `Organization/x` of whose record each is.
    """

    one: str
    other: str
    organizations: tuple[str, str]
    state: str
    score: float
    fields: dict[str, str]
    held: tuple[str, ...]
    by: str | None
    reason: str | None
    since: datetime
    after: str
    """Where the next page begins: after this one."""


async def listed(
    hub: Hub, state: str = REVIEW, most: int = 100, after: str = ""
) -> Sequence[Listed]:
    """The pairs in this state. after: as the last of the page before has it."""
    async with hub.engine.pool.acquire() as conn:
        found = await persons.queue(conn, state, _at(after), most)
        rids = {rid for pair in found for rid in (pair.one, pair.other)}
        stored = await resources.read_rids(conn, viewer.deciding(), sorted(rids))
        sources = {each.source for each in stored.values()}
        whose = await resources.read_rids(conn, viewer.deciding(), sorted(sources))
    return [
        _listed(pair, stored, whose)
        for pair in found
        if pair.one in stored and pair.other in stored
    ]


async def decide(
    hub: Hub, by: Operator, one: str, other: str, state: str, reason: str
) -> Sequence[str]:
    """Link two Patients (`Patient/x`), or keep them apart.

    Who was shown the charts of both while they were linked, if they are linked no more, as `Organization/x`.
    """
    if not reason.strip():
        raise NothingDone("say why; it stands in the audit.")
    async with hub.engine.transaction() as conn:
        await persons.lock(conn)
        first, second = await _both(conn, one, other)
        stood = await persons.pair(conn, first.rid, second.rid)
        same = await persons.together(conn, [first.rid, second.rid])
        if state == LINKED:
            await _refuse_across(conn, same[first.rid], same[second.rid], (first.rid, second.rid))
        said = {"by": by.account, "reason": reason}
        saw: list[str] = []
        was_linked = second.rid in same[first.rid]
        if state == APART and was_linked:
            since = stood.since if stood is not None else hub.clock()
            pair = _pair(first.rid, second.rid, LINKED, by, reason, since, stood)
            saw = await linking.note_unlinked(hub, conn, first, second, pair, said)
        about = {"one": first.reference, "other": second.reference, "reason": reason}
        act = "person-linked" if state == LINKED else "person-kept-apart"
        await note(conn, by, act, hub.clock(), about)
        await persons.put(
            conn, [_pair(first.rid, second.rid, state, by, reason, hub.clock(), stood)]
        )
        if state == APART and was_linked:
            await _part(conn, same[first.rid], first, second)
        if state == LINKED and not was_linked:
            await unmatched.look_again(hub, conn, first.rid)
    return saw


async def reconsider(hub: Hub, by: Operator, one: str, other: str, reason: str) -> None:
    """Take back what a person has decided about these two: the evidence decides again."""
    if not reason.strip():
        raise NothingDone("say why; it stands in the audit.")
    async with hub.engine.transaction() as conn:
        await persons.lock(conn)
        first, second = await _both(conn, one, other)
        stood = await persons.pair(conn, first.rid, second.rid)
        if stood is None or stood.by is None:
            raise NothingDone("nobody has decided about these two. See: coordhub persons list")
        if stood.state == LINKED:
            said = {"by": by.account, "reason": reason}
            await linking.note_unlinked(hub, conn, first, second, stood, said)
        await persons.remove(conn, [(stood.one, stood.other)])
        await persons.make_due(conn, [first.rid, second.rid])
        about = {"one": first.reference, "other": second.reference, "reason": reason}
        await note(conn, by, "person-reconsidered", hub.clock(), about)
    hub.engine.wake()


async def again(hub: Hub, by: Operator, reason: str) -> int:
    """Have all Patients looked at anew; how many."""
    if not reason.strip():
        raise NothingDone("say why; it stands in the audit.")
    async with hub.engine.transaction() as conn:
        number = await persons.make_all_due(conn, BLOCKS["surname"])
        about = {"patients": str(number), "reason": reason}
        await note(conn, by, "persons-looked-at-again", hub.clock(), about)
    hub.engine.wake()
    return number


async def _part(conn: Connection, same: frozenset[int], one: Version, other: Version) -> None:
    """Undo what still joins the two by way of others, as far as the hub did it; it is looked at again."""
    found = [
        pair
        for pair in await persons.pairs_of(conn, same)
        if pair.state == LINKED and pair.by is None
    ]
    if other.rid not in (await persons.together(conn, [one.rid]))[one.rid]:
        return
    await persons.remove(conn, [(pair.one, pair.other) for pair in found])
    if other.rid in (await persons.together(conn, [one.rid]))[one.rid]:
        raise NothingDone(
            "others that persons have linked still join these two. Keep those apart first: coordhub persons list"
            " --state linked"
        )
    await persons.make_due(conn, same)


async def _refuse_across(
    conn: Connection, ours: frozenset[int], theirs: frozenset[int], but: tuple[int, int]
) -> None:
    """Nobody links two of whom somebody has said that records of theirs are of two persons."""
    for pair in await persons.pairs_of(conn, ours | theirs):
        if (
            pair.state == APART
            and {pair.one, pair.other} != set(but)
            and {pair.one, pair.other} <= ours | theirs
        ):
            raise NothingDone(
                "these two would be joined by it with records that were kept apart. First take that back:"
                " coordhub persons list --state apart"
            )


async def _both(conn: Connection, one: str, other: str) -> tuple[Version, Version]:
    """Both Patients; of what a victim service provider keeps there is none here."""
    found = []
    for text in (one, other):
        kind, _, fhir_id = text.partition("/")
        stored = (
            await resources.read(conn, viewer.deciding(), kind, fhir_id)
            if kind == "Patient"
            else None
        )
        if stored is None or not await persons.comparable(conn, [stored.rid]):
            raise NothingDone(f"there is no {text} here that could be linked. Name it Patient/id.")
        found.append(stored)
    if found[0].rid == found[1].rid:
        raise NothingDone("these are one record.")
    return found[0], found[1]


def _pair(
    one: int, other: int, state: str, by: Operator, reason: str, at: datetime, stood: Pair | None
) -> Pair:
    score, evidence = (stood.score, stood.evidence) if stood is not None else (0.0, '{"fields":{}}')
    return Pair(min(one, other), max(one, other), state, by.account, reason, score, evidence, at)


def _listed(pair: Pair, stored: dict[int, Version], whose: dict[int, Version]) -> Listed:
    one, other = stored[pair.one], stored[pair.other]
    said = linking.evidence(pair.evidence)
    of = [whose[each.source].reference if each.source in whose else "" for each in (one, other)]
    return Listed(
        one.reference, other.reference, (of[0], of[1]), pair.state, pair.score, said.fields, said.held,
        pair.by, pair.reason, pair.since, f"{pair.one}-{pair.other}",
    )  # fmt: skip


def _at(after: str) -> tuple[int, int]:
    one, _, other = after.partition("-")
    if not after:
        return 0, 0
    if not (one.isdecimal() and other.isdecimal() and len(after) < 40):
        raise NothingDone("a page begins after what the page before says.")
    return int(one), int(other)
