"""Weights learned from records: how often the fields of one person's records agree, and of others'.

By expectation-maximisation over a sample's pairs, of which nobody has to say which are of one person; what
persons have decided about a pair counts as known. https://doi.org/10.1111/j.2517-6161.1977.tb01600.x,
https://www.census.gov/library/working-papers/2002/adrm/rrs2002-05.html

Five kinds of pairs are told apart: of one person, of the three rivals of one house, of strangers. All pairs that
are not looked at, for want of a common key, are strangers'. How often a level occurs among these is counted in
random pairs, and where the level is what the pairs were found by, among the pairs that were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import log2
from typing import Final, NamedTuple

import msgspec

from coordhub.identity.compare import FIELDS
from coordhub.identity.match import NAMES, bounded
from coordhub.identity.weights import Level, Rival, Weights, odds

ROUNDS: Final = 40
STEADY: Final = 1e-4
"""Change of the share of one person's pairs, below which no further round is worth it."""

LEAST: Final = 1e-7
HELD: Final = 20.0
"""Pairs that the numbers one begins with count as, in each kind: so what never occurs is not impossible."""

WRONG: Final = 1e-4
"""Share of what is linked that may be expected to be wrong, before what no sum may decide is held back."""

LEAST_CERTAIN: Final = 0.99
PROBABLE: Final = 0.9

KEYED: Final = {
    ("birth", "exact"), ("birth", "swapped"), ("phone", "exact"), ("email", "exact"),
    ("address", "exact"), ("member", "exact"), ("identifier", "exact"),
}  # fmt: skip
"""Levels at which pairs agree that have a key in common: none of those that were not looked at does."""

GUESSED: Final = {("social", "exact"): 1e-4}
"""No key and too rare for a sample: the last four digits are of ten thousand."""


_PLACE: Final = {name: number for number, name in enumerate(FIELDS)}


class Pattern(msgspec.Struct, frozen=True):
    """levels: of the fields, in the order of FIELDS. rarity: of the names that both have, in the order of
    match.NAMES: minus log2 of how common they are, rounded; None where they have none, or it is not known."""

    levels: tuple[str, ...]
    rarity: tuple[int | None, ...] = (None,) * len(NAMES)


@dataclass(slots=True)
class Sample:
    """looked: patterns of pairs with a key in common. random: of pairs taken at random.

    decided: of pairs that persons have linked (True) or kept apart, which are among neither. records: in the
    sample; all of them: in the hub.
    """

    looked: Counter[Pattern] = field(default_factory=Counter)
    random: Counter[Pattern] = field(default_factory=Counter)
    decided: Counter[tuple[Pattern, bool]] = field(default_factory=Counter)
    records: int = 0
    all_of_them: int = 0

    @property
    def pairs(self) -> float:
        """Each record of the sample with each of the hub."""
        return float(self.records) * self.all_of_them


class Fitted(NamedTuple):
    """certain: the least posterior of which the pairs above it are expected to be wrong in no more than WRONG of
    all. linked: share of one person's pairs above it. open: pairs between `probable` and it, by record. rounds:
    until the numbers were steady."""

    weights: Weights
    linked: float
    wrong: float
    open: float
    rounds: int


def fit(sample: Sample, start: Weights) -> Fitted:
    """The numbers under which what was seen is likeliest."""
    weights = finest = _finest(start)
    seen = _common_levels(sample)
    share = 0.0
    rounds = 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        weights, now = _round(sample, weights, finest, seen)
        if share and abs(now - share) < STEADY * share:
            break
        share = now
    return _graded(sample, weights, rounds)


def _finest(start: Weights) -> Weights:
    """The same with numbers for each level: what is said of a coarser one is divided among its parts."""

    def spread(name: str, shares: Mapping[str, float]) -> dict[str, float]:
        parts = [each for each in FIELDS[name] if each not in shares and each != "initial"]
        found = {each: shares[each] for each in FIELDS[name] if each in shares}
        rest = shares.get("close", LEAST * len(parts)) if parts else 0.0
        found |= {each: rest / len(parts) for each in parts}
        return {each: found.get(each, LEAST) for each in FIELDS[name]}

    fields = {}
    for name, levels in start.fields.items():
        m = spread(name, {level: each.m for level, each in levels.items()})
        u = spread(name, {level: each.u for level, each in levels.items()})
        fields[name] = {level: Level(m[level], u[level]) for level in FIELDS[name]}
    rivals = {
        said: Rival(rival.prior, {name: spread(name, rival.fields[name]) for name in FIELDS})
        for said, rival in start.rivals.items()
    }
    return msgspec.structs.replace(start, fields=fields, rivals=rivals)


def _common_levels(sample: Sample) -> dict[str, Counter[str]]:
    """Levels of random pairs, by field, `missing` left out."""
    found: dict[str, Counter[str]] = {name: Counter() for name in FIELDS}
    for pattern, number in sample.random.items():
        for name, level in zip(FIELDS, pattern.levels, strict=True):
            if level != "missing":
                found[name][level] += number
    return found


def shares(pattern: Pattern, weights: Weights) -> list[float]:
    """How likely it is that a pair of this pattern is of one person, of each rival, of strangers."""
    worth = odds(weights)
    bits = worth.prior
    for name, level in zip(FIELDS, pattern.levels, strict=True):
        bits += worth.bits[name][level]
    for name, rarity in zip(NAMES, pattern.rarity, strict=True):
        if rarity is not None and pattern.levels[_PLACE[name]] == "exact":
            bits += log2(weights.fields[name]["exact"].u / bounded(2.0**-rarity, weights))
            if name == "given" and pattern.levels[_PLACE["sex"]] == "exact":
                bits -= worth.bits["sex"]["exact"]
    against = [
        2
        ** (
            prior
            + sum(table[name][level] for name, level in zip(FIELDS, pattern.levels, strict=True))
        )
        for prior, table in worth.rivals
    ]
    found = [1.0, *against, 2.0**-bits]
    total = sum(found)
    return [each / total for each in found]


def _round(
    sample: Sample, weights: Weights, start: Weights, seen: Mapping[str, Counter[str]]
) -> tuple[Weights, float]:
    """One expectation and one maximisation; beside the weights how many pairs are of one person."""
    kinds = len(weights.rivals) + 2
    counts = [{name: Counter[str]() for name in FIELDS} for _ in range(kinds)]
    totals = [0.0] * kinds
    for pattern, number in sample.looked.items():
        for kind, part in enumerate(shares(pattern, weights)):
            _count(counts[kind], totals, kind, pattern, part * number)
    one_person = totals[0]
    for (pattern, same), number in sample.decided.items():
        parts = shares(pattern, weights)
        others = sum(parts[1:]) or 1.0
        told = (
            [1.0, *[0.0] * (kinds - 1)] if same else [0.0, *(each / others for each in parts[1:])]
        )
        for kind, part in enumerate(told):
            _count(counts[kind], totals, kind, pattern, part * number)
    fields: dict[str, dict[str, Level]] = {}
    for name, levels in start.fields.items():
        m = _shares(counts[0][name], {level: each.m for level, each in levels.items()})
        u = _of_strangers(sample, name, counts[-1][name], seen[name], levels)
        fields[name] = {level: Level(m[level], u[level]) for level in levels}
    rivals = {
        said: Rival(
            max(totals[kind] / sample.pairs, LEAST / max(sample.all_of_them, 1)),
            {name: _shares(counts[kind][name], rival.fields[name]) for name in FIELDS},
        )
        for kind, (said, rival) in enumerate(start.rivals.items(), start=1)
    }
    prior = max(one_person / sample.pairs, LEAST / max(sample.all_of_them, 1))
    return msgspec.structs.replace(weights, prior=prior, fields=fields, rivals=rivals), one_person


def _count(
    counts: Mapping[str, Counter[str]],
    totals: list[float],
    kind: int,
    pattern: Pattern,
    part: float,
) -> None:
    totals[kind] += part
    for name, level in zip(FIELDS, pattern.levels, strict=True):
        if level != "missing":
            counts[name][level] += part  # type: ignore[assignment]


def _shares(counted: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    total = sum(counted.values()) + HELD
    return {
        level: max((counted.get(level, 0.0) + HELD * share) / total, LEAST)
        for level, share in before.items()
    }


def _of_strangers(
    sample: Sample,
    name: str,
    looked: Mapping[str, float],
    seen: Mapping[str, int],
    start: Mapping[str, Level],
) -> dict[str, float]:
    both = sum(seen.values())
    stated = both / max(sum(sample.random.values()), 1) * sample.pairs
    found = {}
    for level in FIELDS[name]:
        if (name, level) in GUESSED:
            found[level] = GUESSED[name, level]
        elif (name, level) in KEYED:
            found[level] = (looked.get(level, 0.0) + start[level].u) / (stated + 1)
        else:
            found[level] = (seen.get(level, 0) + start[level].u) / (both + 1)
        found[level] = max(found[level], LEAST)
    total = sum(found.values())
    return found if total < 1 else {level: u / (total + LEAST) for level, u in found.items()}


def _graded(sample: Sample, weights: Weights, rounds: int) -> Fitted:
    """With the thresholds that these numbers call for; what no sum of agreements may decide stays as it is."""
    sure = sorted(
        ((shares(pattern, weights)[0], number) for pattern, number in sample.looked.items()),
        reverse=True,
    )
    of_one = sum(one * number for one, number in sure)
    taken = right = wrong = 0.0
    certain = LEAST_CERTAIN
    for one, number in sure:
        missed = wrong + (1 - one) * number
        if one < LEAST_CERTAIN or missed > WRONG * (taken + number):
            break
        taken, right, wrong, certain = taken + number, right + one * number, missed, one
    certain = max(certain, LEAST_CERTAIN)
    between = sum(number for one, number in sure if PROBABLE <= one < certain)
    graded = msgspec.structs.replace(
        weights, certain=certain, probable=PROBABLE, possible=min(weights.possible, PROBABLE)
    )
    return Fitted(
        graded,
        right / of_one if of_one else 0.0,
        wrong / taken if taken else 0.0,
        between / max(sample.records, 1),
        rounds,
    )


def for_size(weights: Weights, times: float) -> Weights:
    """The same for so many times the records: of a pair at random it is as much less likely that it is one person's."""
    rivals = {
        said: msgspec.structs.replace(rival, prior=rival.prior / times)
        for said, rival in weights.rivals.items()
    }
    return msgspec.structs.replace(weights, prior=weights.prior / times, rivals=rivals)


def told(before: Weights, found: Fitted, sample: Sample) -> Iterator[str]:
    """What was learned, in lines; of nobody's content."""
    yield (
        f"{sample.records} records of {sample.all_of_them}, {sum(sample.looked.values())} pairs looked at, "
        f"{sum(sample.decided.values())} decided by persons; {found.rounds} rounds"
    )
    for name, levels in found.weights.fields.items():
        for level, share in levels.items():
            m, u = before.shares(name, level)
            yield (
                f"{name:10} {level:9} m {m:.4f} -> {share.m:.4f}   u {u:.2g} -> {share.u:.2g}   "
                f"{before.bits(name, level):+.1f} -> {found.weights.bits(name, level):+.1f} bits"
            )
    now = found.weights
    yield f"prior {before.prior:.3g} -> {now.prior:.3g}, certain {before.certain} -> {now.certain:.5f}"
    yield (
        f"Of one person's pairs {found.linked:.1%} are expected above it, of pairs above it {found.wrong:.4%} of "
        f"others; before what holds a pair back is looked at. Between: {found.open:.2f} pairs a record."
    )
