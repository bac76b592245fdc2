"""Links found in a made population, beside what is true of it.

The decisions are the hub's own (identity), the keys those of its index; what is counted of names and phones is
counted as it does. Weights are the shipped ones, or learned from another population of the same size, of which
nobody says who is who. What is not here is Postgres.
"""

from __future__ import annotations

import gc
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from bench import population
from coordhub.identity import learn, link, match, weights
from coordhub.identity.learn import Fitted, Sample
from coordhub.identity.link import LINKED, REVIEW, Standing
from coordhub.identity.match import Known, Verdict
from coordhub.identity.normalise import Traits, keys, sought, traits
from coordhub.record.learning import pattern
from coordhub.record.linking import COUNTED_FROM
from coordhub.store.persons import OF_ONE_KEY

_SPREAD: Final = (("phone", "phones"), ("email", "emails"), ("address", "streets"))
_LEARNED_FROM: Final = 10_000
_RANDOM_PAIRS: Final = 200_000
_CURVE: Final = (0.9999, 0.999, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.5)


@dataclass(frozen=True, slots=True)
class Plan:
    """learn: seed of the population that weights are learned from; None: the shipped ones. weights: a file to
    write what was learned to, or, without `learn`, to take them from. looked: so many persons' records are compared
    with all others; None: all are, as they come. learn_size: persons of the population that is learned from; None: as
    many as `size`."""

    seed: int = population.SEEDS[0]
    size: int = 20_000
    learn: int | None = None
    weights: Path | None = None
    looked: int | None = None
    learn_size: int | None = None


@dataclass(slots=True)
class Seen:
    """All records that came so far, by their keys, and how common what they say is."""

    traits: list[Traits] = field(default_factory=list)
    by_key: dict[int, list[int]] = field(default_factory=dict)
    births: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    givens: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    names: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, ours: Traits) -> None:
        number = len(self.traits)
        self.traits.append(ours)
        for at in keys(ours):
            self.by_key.setdefault(hash(at), []).append(number)
        for name, kept in _SPREAD:
            for value in getattr(ours, kept):
                self.births[name, value].add(ours.birth or "")
                self.givens[name, value] |= ours.given
        self.names.update([("family", one) for one in ours.families])
        self.names.update([("given", one) for one in ours.given])

    def met(self, ours: Traits) -> set[int]:
        return {
            other for at in sought(ours) for other in self.by_key.get(hash(at), ())[:OF_ONE_KEY]
        }

    def known(self, ours: Traits) -> Known:
        most, total = weights.in_use().shared_by_most, len(self.traits)
        shared = frozenset(
            (name, value)
            for name, kept in _SPREAD
            for value in getattr(ours, kept)
            if min(len(self.births[name, value]), len(self.givens[name, value])) > most
        )
        if total < COUNTED_FROM:
            return Known(shared=shared)
        names = [
            *(("family", one) for one in ours.families),
            *(("given", one) for one in ours.given | ours.middles),
        ]
        return Known({one: self.names[one] / total for one in names}, shared)


@dataclass(slots=True)
class Met(Seen):
    """What was found among them; sure: of each pair that is possible at least."""

    pairs: dict[tuple[int, int], Standing] = field(default_factory=dict)
    sure: dict[tuple[int, int], float] = field(default_factory=dict)
    of: dict[int, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    person: dict[int, set[int]] = field(default_factory=dict)
    compared: int = 0

    def come(self, ours: Traits) -> None:
        """As the hub does it: with those that were there before."""
        candidates = self.met(ours)
        self.add(ours)
        self.look(len(self.traits) - 1, candidates)

    def look(self, number: int, candidates: set[int]) -> None:
        ours = self.traits[number]
        known = self.known(ours)
        numbers = weights.in_use()
        found: list[tuple[int, Verdict]] = []
        for other in sorted(candidates):
            verdict = match.judge(ours, self.traits[other], numbers, known)
            if verdict.grade != "certainly-not":
                found.append((other, verdict))
                self.sure[_pair(other, number)] = verdict.sure
        self.compared += len(candidates)
        found.sort(key=lambda each: (each[1].grade == "certain", -each[1].score, each[0]))
        for other, verdict in found:
            self._settle(other, number, verdict.grade, verdict.held)

    def _settle(self, other: int, number: int, grade: str, held: tuple[str, ...]) -> None:
        mine, theirs = (self.person.setdefault(one, {one}) for one in (number, other))
        crossed = (
            grade == "certain"
            and mine is not theirs
            and (
                link.crosses(mine, theirs, self._around(mine | theirs, _pair(other, number)))
                or self._joins_twins(mine, theirs)
            )
        )
        state = link.state(None, grade, crossed=crossed)
        if state is None:
            return
        at = _pair(other, number)
        self.pairs[at] = Standing(*at, state, None, (*held, "kept-apart") if crossed else held)
        self.of[other].add(at)
        self.of[number].add(at)
        if state == LINKED and mine is not theirs:
            joined = mine | theirs
            for one in joined:
                self.person[one] = joined

    def _joins_twins(self, mine: set[int], theirs: set[int]) -> bool:
        return match.joins_twins(
            [self.traits[one] for one in mine],
            [self.traits[one] for one in theirs],
            weights.in_use(),
        )

    def _around(self, records: Iterable[int], but: tuple[int, int]) -> list[Standing]:
        found = {at for one in records for at in self.of[one]} - {but}
        return [self.pairs[at] for at in found]


def run(plan: Plan) -> dict[str, Any]:
    """The confusion table of pairs of records, printed and given."""
    gc.disable()  # of millions of small things that stay none is garbage
    told: dict[str, Any] = {"seed": plan.seed}
    if plan.learn is not None:
        size = plan.learn_size or plan.size
        fitted = learned(plan.learn, size)
        told |= _said(plan.learn, fitted)
        numbers = learn.for_size(fitted.weights, plan.size / size)
        weights.use(numbers)
        if plan.weights is not None:
            plan.weights.write_bytes(msgspec.json.format(msgspec.json.encode(numbers)))
    elif plan.weights is not None:
        weights.use(weights.read(plan.weights.read_bytes()))
    people = population.persons(plan.seed, plan.size)
    made = list(population.records(plan.seed, people))
    met = Met()
    begun, worked = time.perf_counter(), time.process_time()
    if plan.looked is None:
        for record in made:
            met.come(traits(record.patient))
        looked = set(range(len(people)))
    else:
        looked = set(Random(plan.seed).sample(range(len(people)), plan.looked))
        _look_at(met, made, looked)
    lasted, worked = time.perf_counter() - begun, time.process_time() - worked
    told |= _confusion(
        met, {at: record.person for at, record in enumerate(made) if record.person in looked}
    )
    told |= {
        "persons": len(people),
        "comparisons a record": round(met.compared / sum(one.person in looked for one in made), 1),
        "microseconds a record, wall": round(lasted / len(made) * 1e6),
        "microseconds a record, CPU": round(worked / len(made) * 1e6),
    }
    for name, value in told.items():
        print(f"{name:40} {value}")
    return told


def learned(seed: int, size: int) -> Fitted:
    """Of a population of which it is not told who is who."""
    people = population.persons(seed, size)
    seen = Seen()
    for record in population.records(seed, people):
        seen.add(traits(record.patient))
    chance, total = Random(seed), len(seen.traits)
    found = Sample(records=min(_LEARNED_FROM, total), all_of_them=total)
    for number in chance.sample(range(total), found.records):
        ours = seen.traits[number]
        known = seen.known(ours)
        for other in seen.met(ours) - {number}:
            found.looked[pattern(ours, known, seen.traits[other])] += 1
    for _ in range(_RANDOM_PAIRS):
        one, another = (seen.traits[chance.randrange(total)] for _ in range(2))
        if one is not another:
            found.random[pattern(one, seen.known(one), another)] += 1
    return learn.fit(found, weights.read())


def _said(seed: int, fitted: Fitted) -> dict[str, Any]:
    return {
        "learned from seed": seed,
        "rounds": fitted.rounds,
        "prior": f"{fitted.weights.prior:.3g}",
        "certain from": round(fitted.weights.certain, 5),
        "expected to be linked": f"{fitted.linked:.2%}",
        "expected to be wrong of it": f"{fitted.wrong:.4%}",
    }


def _look_at(met: Met, made: list[population.Record], looked: set[int]) -> None:
    """All are known; those of some persons are compared."""
    for record in made:
        met.add(traits(record.patient))
    done: set[int] = set()
    for number, record in enumerate(made):
        if record.person in looked:
            met.look(number, met.met(met.traits[number]) - done - {number})
            done.add(number)


def _pair(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)


def _confusion(met: Met, whose: dict[int, int]) -> dict[str, Any]:
    """whose: persons by the numbers of their records, of those that were looked at."""
    of_person: dict[int, list[int]] = defaultdict(list)
    for number, person in whose.items():
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
    missed = true - joined - open_ones
    told: dict[str, Any] = {
        "records": len(whose),
        "true pairs": len(true),
        "linked pairs": len(linked),
        "of them wrong": len(linked - true),
        "joined pairs": len(joined),
        "joined wrongly": len(joined - true),
        "in review": len(open_ones),
        "in review and true": len(open_ones & true),
        "missed": len(missed),
        "found by no key": sum(not _met_by_a_key(met.traits[a], met.traits[b]) for a, b in missed),
        "precision of what is joined": interval(len(joined & true), len(joined)),
        "recall of what is joined": interval(len(joined & true), len(true)),
        "records in review": interval(
            len({one for at in open_ones for one in at} & whose.keys()), len(whose)
        ),
    }
    for least in _CURVE:
        above = [at for at, sure in met.sure.items() if sure >= least]
        right = sum(at in true for at in above)
        told[f"by the sum alone, from {least}"] = (
            f"recall {right / len(true):.2%}, wrong {len(above) - right} of {len(above)}"
        )
    kinds = Counter(
        ("in review" if at in open_ones else "missed", *_why(met, at)) for at in true - joined
    )
    for (state, held, differs), number in kinds.most_common(25):
        told[f"true and {state}: {differs or 'nothing differs'}; {held}"] = number
    kinds = Counter(("joined" if at in joined else "in review", *_why(met, at))
                    for at in (joined | open_ones) - true)  # fmt: skip
    for (state, held, differs), number in kinds.most_common(15):
        told[f"of two and {state}: {differs or 'nothing differs'}; {held}"] = number
    return told


def _why(met: Met, at: tuple[int, int]) -> tuple[str, str]:
    """What holds the pair back, and at which fields it is not exact."""
    one, other = met.traits[at[1]], met.traits[at[0]]
    verdict = match.judge(one, other, weights.in_use(), met.known(one))
    stands = met.pairs.get(at)
    held = verdict.held or (stands.held if stands is not None else ())
    often_silent = ("email", "member", "social", "identifier")
    differs = " ".join(
        f"{each.field}={each.level}"
        for each in verdict.evidence
        if each.level != "exact" and not (each.level == "missing" and each.field in often_silent)
    )
    return ",".join(held) or "the sum", differs


def _met_by_a_key(one: Traits, other: Traits) -> bool:
    return bool(sought(one) & keys(other)) or bool(sought(other) & keys(one))


def interval(some: int, of: int) -> str:
    """A share and its 95 % interval after Wilson, in percent."""
    if not of:
        return "-"
    z, share = 1.96, some / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    wide = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return f"{share:.4%} ({max(0.0, middle - wide):.4%} to {min(1.0, middle + wide):.4%})"
