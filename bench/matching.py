"""Links found in a made population, beside what is true of it.

The decisions are the hub's own (identity), the keys those of its index; what is counted of names and phones is
counted as it does. What is not here is Postgres.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from math import sqrt
from typing import Any, Final

from bench import population
from coordhub.identity import link, match, weights
from coordhub.identity.link import LINKED, REVIEW, Standing
from coordhub.identity.match import Known
from coordhub.identity.normalise import Traits, keys, sought, traits
from coordhub.record.linking import COUNTED_FROM
from coordhub.store.persons import OF_ONE_KEY

_SPREAD: Final = (("phone", "phones"), ("email", "emails"), ("address", "streets"))


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int = population.SEEDS[0]
    size: int = 20_000


@dataclass(slots=True)
class Met:
    """All records that came so far, and what was found among them."""

    traits: list[Traits] = field(default_factory=list)
    by_key: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    births: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    names: Counter[tuple[str, str]] = field(default_factory=Counter)
    pairs: dict[tuple[int, int], Standing] = field(default_factory=dict)
    of: dict[int, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    person: dict[int, set[int]] = field(default_factory=dict)
    compared: int = 0

    def come(self, ours: Traits) -> None:
        number = len(self.traits)
        self.traits.append(ours)
        self.person[number] = {number}
        candidates = {
            other for at in sought(ours) for other in self.by_key.get(at, ())[:OF_ONE_KEY]
        }
        for at in keys(ours):
            self.by_key[at].append(number)
        for name, kept in _SPREAD:
            for value in getattr(ours, kept):
                self.births[name, value].add(ours.birth or "")
        self.names.update([("family", one) for one in ours.families])
        self.names.update([("given", one) for one in ours.given])
        known = self._known(ours)
        numbers = weights.in_use()
        found = [
            (other, match.judge(ours, self.traits[other], numbers, known))
            for other in sorted(candidates)
        ]
        self.compared += len(found)
        found.sort(key=lambda each: (each[1].grade == "certain", -each[1].score, each[0]))
        for other, verdict in found:
            self._settle(other, number, verdict.grade, verdict.held)

    def _settle(self, other: int, number: int, grade: str, held: tuple[str, ...]) -> None:
        mine, theirs = self.person[number], self.person[other]
        crossed = (
            grade == "certain"
            and mine is not theirs
            and link.crosses(mine, theirs, self._around(mine | theirs, (other, number)))
        )
        state = link.state(None, grade, crossed=crossed)
        if state is None:
            return
        at = (other, number)
        self.pairs[at] = Standing(*at, state, None, (*held, "kept-apart") if crossed else held)
        self.of[other].add(at)
        self.of[number].add(at)
        if state == LINKED and mine is not theirs:
            joined = mine | theirs
            for one in joined:
                self.person[one] = joined

    def _around(self, records: Iterable[int], but: tuple[int, int]) -> list[Standing]:
        found = {at for one in records for at in self.of[one]} - {but}
        return [self.pairs[at] for at in found]

    def _known(self, ours: Traits) -> Known:
        numbers, total = weights.in_use(), len(self.traits)
        shared = frozenset(
            (name, value)
            for name, kept in _SPREAD
            for value in getattr(ours, kept)
            if len(self.births[name, value]) > numbers.shared_by_most
        )
        if total < COUNTED_FROM:
            return Known(shared=shared)
        names = [
            *(("family", one) for one in ours.families),
            *(("given", one) for one in ours.given),
        ]
        return Known({one: self.names[one] / total for one in names}, shared)


def run(plan: Plan) -> dict[str, Any]:
    """The confusion table of pairs of records, printed and given."""
    people = population.persons(plan.seed, plan.size)
    made = list(population.records(plan.seed, people))
    met = Met()
    begun = time.perf_counter()
    for record in made:
        met.come(traits(record.patient))
    lasted = time.perf_counter() - begun
    whose = [record.person for record in made]
    of_person: dict[int, list[int]] = defaultdict(list)
    for number, person in enumerate(whose):
        of_person[person].append(number)
    true = {pair for numbers in of_person.values() for pair in combinations(numbers, 2)}
    linked = {at for at, pair in met.pairs.items() if pair.state == LINKED}
    review = {at for at, pair in met.pairs.items() if pair.state == REVIEW}
    joined = {
        pair
        for person in {id(one): one for one in met.person.values()}.values()
        for pair in combinations(sorted(person), 2)
    }
    open_ones = review - joined
    told = {
        "seed": plan.seed,
        "persons": len(people),
        "records": len(made),
        "true pairs": len(true),
        "linked pairs": len(linked),
        "of them wrong": len(linked - true),
        "joined pairs": len(joined),
        "joined wrongly": len(joined - true),
        "in review": len(open_ones),
        "in review and true": len(open_ones & true),
        "missed": len(true - joined - open_ones),
        "found by no key": sum(
            not (sought(met.traits[a]) & sought(met.traits[b]))
            for a, b in true - joined - open_ones
        ),
        "precision of what is joined": interval(len(joined & true), len(joined)),
        "recall of what is joined": interval(len(joined & true), len(true)),
        "records in review": interval(len({one for at in open_ones for one in at}), len(made)),
        "comparisons a record": round(met.compared / len(made), 1),
        "microseconds a record": round(lasted / len(made) * 1e6),
    }
    for name, value in told.items():
        print(f"{name:32} {value}")
    return told


def interval(some: int, of: int) -> str:
    """A share and its 95 % interval after Wilson, in percent."""
    if not of:
        return "-"
    z, share = 1.96, some / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    wide = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return f"{share:.4%} ({max(0.0, middle - wide):.4%} to {min(1.0, middle + wide):.4%})"
