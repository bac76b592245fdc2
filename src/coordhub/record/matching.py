"""Who a described person may be, among the Patients that somebody sees.

http://hl7.org/fhir/R4/patient-operation-match.html

What the asker is not shown takes no part: not as a candidate, not in a score (how common a name or a shared
phone is, is counted among what is shown), not by an element that is left out of what is shown. So a hidden
record and an absent one are the same. Records that are linked to a certain match are given with it, as far as
they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coordhub.identity import match, weights
from coordhub.identity.match import GRADES, Known
from coordhub.identity.normalise import Traits, sought, traits
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.store import persons, resources
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer


@dataclass(frozen=True, slots=True)
class Match:
    """grade: certain, probable or possible. score: the posterior, 0 to 1."""

    version: Version
    grade: str
    score: float


class Found(NamedTuple):
    """matches: best first. one_person: whether those that are certain are of one person, as far as is known."""

    matches: Sequence[Match]
    one_person: bool


def tells_enough(described: dict[str, Any]) -> bool:
    """Whether there is anything to look for."""
    return bool(sought(traits(described)))


async def find(hub: Hub, view: Viewer, described: dict[str, Any]) -> Found:
    """Of this viewer's Patients those that the described one may be."""
    asked = traits(described)
    keys = sought(asked)
    async with hub.engine.searches.acquire() as conn:
        met = await persons.candidates(conn, view, keys)
        shown = {each.rid: traits(parties.document(each)) for each in met}
        known = Known(shared=_shared(asked, list(shown.values())))
        found: dict[int, Match] = {}
        for each in met:
            # not by what is left out of what is shown
            if not keys & sought(shown[each.rid]):
                continue
            verdict = match.judge(asked, shown[each.rid], weights.in_use(), known)
            if verdict.grade != GRADES[-1]:
                found[each.rid] = Match(each, verdict.grade, verdict.sure)
        certain = [rid for rid, each in found.items() if each.grade == GRADES[0]]
        same = await persons.together(conn, certain)
        linked = {rid: start for start, rids in same.items() for rid in rids if rid not in certain}
        beside = await resources.read_rids(conn, view, sorted(linked))
    for rid, version in beside.items():
        if version.body is not None:
            found[rid] = Match(version, GRADES[0], found[linked[rid]].score)
    order = sorted(
        found.values(), key=lambda one: (GRADES.index(one.grade), -one.score, one.version.rid)
    )
    return Found(order, len(set(same.values())) <= 1)


def _shared(asked: Traits, among: Sequence[Traits]) -> frozenset[tuple[str, str]]:
    """What of these so many have, by their births, that it says nothing."""
    most = weights.in_use().shared_by_most
    values = (("phone", "phones"), ("email", "emails"), ("address", "streets"))
    return frozenset(
        (name, value)
        for name, kept in values
        for value in getattr(asked, kept)
        if _fewest([each for each in among if value in getattr(each, kept)]) > most
    )


def _fewest(records: Sequence[Traits]) -> int:
    """How many births or first names these have, the fewer of both."""
    return min(
        len({each.birth for each in records}), len(set().union(*(each.given for each in records)))
    )
