"""Who is who: each Patient that was written is compared with those that may be the same person.

Behind the gap, in a transaction of its own: how long the answer to a write takes tells nobody whether the
person is known elsewhere. What is certain is linked, what is probable put up for review by a steward, and
what the evidence does not carry any more is undone, unless a person has decided it (`identity.link`).

What a victim service provider keeps is not looked at, and neither is what is in quarantine or deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from coordhub.access import viewer
from coordhub.identity import link as links
from coordhub.identity import match, weights
from coordhub.identity.link import LINKED, Standing
from coordhub.identity.match import Known, Verdict
from coordhub.identity.normalise import BLOCKS, Traits, key, sought, traits
from coordhub.record import merges, parted, parties, unmatched
from coordhub.record.hub import Hub
from coordhub.store import audit, names, persons, resources
from coordhub.store.engine import Connection
from coordhub.store.outage import is_outage
from coordhub.store.persons import Pair
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow
from coordhub.store.visibility import HUB
from coordhub.telemetry import log

AT_ONCE: Final = 20
"""Patients looked at in one transaction."""

COUNTED_FROM: Final = 5_000
"""Records, from which on it is counted how common a name is."""


SAID: Final = "source-says"
"""Beside a link: the organization whose records both are says that they are one person's (`merges`)."""


class Evidence(msgspec.Struct, frozen=True):
    """fields: their levels. held: codes of why a pair was not linked, whatever its score."""

    fields: dict[str, str]
    held: tuple[str, ...] = ()


def evidence(text: str) -> Evidence:
    return msgspec.json.decode(text, type=Evidence)


async def link(hub: Hub) -> bool:
    """Look at the next Patients that were written; False where nothing is due, or another process looks."""
    async with hub.engine.transaction(at_last=True) as conn:
        if not await persons.try_lock(conn):
            return False
        counted = await names.add_up(conn)
        due = await persons.claim(conn, AT_ONCE)
        total = await names.of_kind(conn, BLOCKS["surname"]) if due else 0
        for rid in due:
            try:
                async with conn.transaction():
                    await _look(hub, conn, rid, total)
            except Exception as error:
                if is_outage(error):
                    raise
                log("person.stumbled", level="error", rid=rid, error=type(error).__name__)
    return counted or bool(due)


async def _look(hub: Hub, conn: Connection, rid: int, total: int) -> None:
    standing = {pair.one + pair.other - rid: pair for pair in await persons.pairs_of(conn, [rid])}
    stored = await resources.read_rids(conn, viewer.deciding(), [rid, *standing])
    if rid not in stored or not await persons.comparable(conn, [rid]):
        await _forget(hub, conn, rid, stored, standing.values())
        return
    ours = traits(parties.document(stored[rid]))
    met = await persons.candidates(conn, viewer.deciding(), sought(ours), rid)
    before = (stored[one] for one in standing if one in stored)
    said = merges.named(parties.document(stored[rid]), hub.base)
    linked = await resources.read_names(
        conn, viewer.deciding(), [("Patient", each) for each in said if each != stored[rid].id]
    )
    others = {each.rid: each for each in (*met, *before, *linked.values())}
    compared = await persons.comparable(conn, others)
    common = await known(conn, ours, total)
    found: list[tuple[Version, Verdict]] = [
        (each, match.judge(ours, traits(parties.document(each)), weights.in_use(), common))
        for each in others.values()
        if each.rid in compared
    ]
    # what may be two persons first, then what is surest: a link never joins what is in doubt
    found.sort(key=lambda each: (each[1].grade == "certain", -each[1].score, each[0].rid))
    for other, verdict in found:
        await _settle(hub, conn, stored[rid], other, verdict, standing.get(other.rid))


async def _settle(
    hub: Hub, conn: Connection, ours: Version, other: Version, verdict: Verdict, stood: Pair | None
) -> None:
    joined = merges.are_joined(ours, other, hub.base)
    grade, held = ("certain", (SAID,)) if joined else (verdict.grade, verdict.held)
    crossed = grade == "certain" and await _crosses(conn, ours.rid, other.rid)
    state = links.state(None if stood is None else _standing(stood), grade, crossed=crossed)
    held = (*held, "kept-apart") if crossed else held
    one, another = sorted((ours.rid, other.rid))
    if stood is not None and stood.by is not None:
        return
    if stood is not None and stood.state == LINKED and state != LINKED:
        await note_unlinked(hub, conn, ours, other, stood, {"by": "coordhub"})
    if state is None:
        if stood is not None:
            await persons.remove(conn, [(one, another)])
        return
    said = Evidence({each.field: each.level for each in verdict.evidence}, held)
    text = msgspec.json.encode(said).decode()
    await persons.put(
        conn, [Pair(one, another, state, None, None, verdict.score, text, hub.clock())]
    )
    if state == LINKED and (stood is None or stood.state != LINKED):
        await _note(hub, conn, "person-linked", ours, other, {"by": "coordhub"})
        log("person.linked", one=one, other=another)
        await unmatched.look_again(hub, conn, one)


async def _crosses(conn: Connection, one: int, other: int) -> bool:
    same = await persons.together(conn, [one, other])
    if other in same[one]:
        return False
    pairs = await persons.pairs_of(conn, same[one] | same[other])
    between = [_standing(pair) for pair in pairs if {pair.one, pair.other} != {one, other}]
    return links.crosses(same[one], same[other], between) or await _joins_twins(
        conn, same[one], same[other]
    )


async def _joins_twins(conn: Connection, ours: frozenset[int], theirs: frozenset[int]) -> bool:
    """Whether one of the one person's records and one of the other's may be of twins."""
    if len(ours) + len(theirs) == 2:  # these were compared
        return False
    stored = await resources.read_rids(conn, viewer.deciding(), sorted(ours | theirs))
    read = {
        rid: traits(parties.document(each)) for rid, each in stored.items() if each.body is not None
    }
    return match.joins_twins(
        [read[rid] for rid in ours & read.keys()],
        [read[rid] for rid in theirs & read.keys()],
        weights.in_use(),
    )


async def note_unlinked(
    hub: Hub, conn: Connection, one: Version, other: Version, stood: Pair, about: Mapping[str, str]
) -> list[str]:
    """Write down that this link is undone, and who was shown both charts while it stood; and tell these.

    Called while it stands yet; gives those organizations, as `Organization/x`.
    """
    ours, theirs = await _sides(conn, one.rid, other.rid)
    saw = await persons.saw_both(conn, ours, theirs, stood.since)
    named = await resources.read_rids(conn, viewer.deciding(), saw)
    told = sorted(named.values(), key=lambda each: each.reference)
    await parted.tell(hub, conn, one, other, told)
    seen_by = [each.reference for each in told]
    await _note(hub, conn, "person-unlinked", one, other, {**about, "seen-by": " ".join(seen_by)})
    log("person.unlinked", one=stood.one, other=stood.other, seen_by=len(seen_by))
    return seen_by


async def _sides(conn: Connection, one: int, other: int) -> tuple[set[int], set[int]]:
    """What hangs together on each side, were it not for the link between these two."""
    pairs = [each for each in await persons.pairs_of(conn, (await persons.together(conn, [one]))[one])
             if each.state == LINKED and {each.one, each.other} != {one, other}]  # fmt: skip
    ours = _reached(one, pairs)
    if other in ours:  # by way of others, too
        return {one}, {other}
    return ours, _reached(other, pairs)


def _reached(start: int, pairs: Collection[Pair]) -> set[int]:
    found, waiting = {start}, [start]
    while waiting:
        at = waiting.pop()
        for pair in pairs:
            if at in (pair.one, pair.other) and (there := pair.one + pair.other - at) not in found:
                found.add(there)
                waiting.append(there)
    return found


async def _note(
    hub: Hub, conn: Connection, act: str, one: Version, other: Version, about: Mapping[str, str]
) -> None:
    said = urlencode({"one": one.reference, "other": other.reference, **about})
    await audit.append(conn, AuditRow(None, HUB, act, 0, query=said), hub.clock())


async def _forget(
    hub: Hub, conn: Connection, rid: int, stored: Mapping[int, Version], pairs: Iterable[Pair]
) -> None:
    """It is with nobody's any more; that it was kept apart from another stays written down."""
    for pair in pairs:
        if pair.state == links.APART:
            continue
        other = pair.one + pair.other - rid
        if pair.state == LINKED and rid in stored and other in stored:
            await note_unlinked(hub, conn, stored[rid], stored[other], pair, {"by": "coordhub"})
        await persons.remove(conn, [(pair.one, pair.other)])


def _standing(pair: Pair) -> Standing:
    return Standing(pair.one, pair.other, pair.state, pair.by, evidence(pair.evidence).held)


class _Counted(NamedTuple):
    field: str
    value: str


async def known(conn: Connection, of: Traits, total: int) -> Known:
    """How common the names are among all, and which phones, addresses and e-mails many have."""
    numbers = weights.in_use()
    spread = {
        **{key("phone", each[-7:]): _Counted("phone", each) for each in of.phones},
        **{key("email", each): _Counted("email", each) for each in of.emails},
        **{key("street", each): _Counted("address", each) for each in of.streets},
    }
    shared = await persons.shared_by_more(
        conn, spread, (BLOCKS["birth"], BLOCKS["given"]), numbers.shared_by_most
    )
    frequency: dict[tuple[str, str], float] = {}
    if total >= COUNTED_FROM:
        said = {
            **{key("surname", each): _Counted("family", each) for each in of.families},
            **{key("given", each): _Counted("given", each) for each in of.given | of.middles},
        }
        for at, number in (await names.how_many(conn, said)).items():
            frequency[said[at]] = number / total
    return Known(frequency, frozenset((spread[each].field, spread[each].value) for each in shared))
