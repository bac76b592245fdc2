"""Whether two records are of one person: a grade, and the evidence field by field.

After Fellegi and Sunter: each field adds what its agreement or disagreement says, in bits, to what holds
before anything is compared. https://doi.org/10.1080/01621459.1969.10501049

That takes fields to be independent, which within a household they are not: of twins all agree, and the sum is
higher than for most records of one person. So a sum alone makes nothing certain. Name, phone, address and
insurance of a household count as one fact; the first name has to agree, or a number that no family shares;
and nothing may speak against it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from coordhub.identity import compare
from coordhub.identity.normalise import Traits
from coordhub.identity.weights import Weights, odds

GRADES: Final = ("certain", "probable", "possible", "certainly-not")

HOUSEHOLD: Final = frozenset({"family", "phone", "address", "member"})
PERSONAL: Final = frozenset({"identifier", "social"})
ALONE: Final = ("birth", "given", "email", "social", "identifier")
"""Fields that are a fact each, beside the household."""


NAMES: Final = {
    "family": ("family", "families"),
    "given": ("given", "given"),
    "middle": ("given", "middles"),
}
"""Fields whose agreement says the more the rarer the name: what it is counted as, and where a record has it."""


class Agreement(NamedTuple):
    """level: one of compare.FIELDS, other or missing."""

    field: str
    level: str
    bits: float


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of how common values are; by itself nothing.

    frequency: of names, as (family or given, name), second ones among the given. shared: phones, addresses and
    e-mails, as (field, value), that so many records have that they say nothing.
    """

    frequency: Mapping[tuple[str, str], float] = field(default_factory=dict)
    shared: frozenset[tuple[str, str]] = frozenset()


NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class Verdict:
    """score: the posterior against strangers, 0 to 1; sure: against others of one house as well.

    held: codes of why it is less than that says.
    """

    grade: str
    score: float
    sure: float
    evidence: tuple[Agreement, ...]
    held: tuple[str, ...] = ()

    @property
    def bits(self) -> float:
        return sum(each.bits for each in self.evidence)

    def level(self, name: str) -> str:
        return next(each.level for each in self.evidence if each.field == name)


def judge(one: Traits, other: Traits, weights: Weights, known: Known = NOTHING) -> Verdict:
    """The same whichever of the two is named first."""
    levels = compare.levels(one, other, weights.family_alike, weights.given_alike, known.shared)
    return graded(one, other, levels, weights, known)


def graded(
    one: Traits, other: Traits, levels: dict[str, str], weights: Weights, known: Known = NOTHING
) -> Verdict:
    """What follows from these levels."""
    worth = odds(weights)
    evidence = []
    often = {
        name: u
        for name in NAMES
        if levels[name] == "exact" and (u := frequency(name, one, other, known)) is not None
    }
    for name, level in levels.items():
        bits = worth.bits[name][level]
        if name in often:
            bits = weights.bits(name, level, bounded(often[name], weights))
        elif name == "sex" and level == "exact" and "given" in often:
            bits = 0.0
        evidence.append(Agreement(name, level, bits))
    strangers = 2 ** -(sum(each.bits for each in evidence) + worth.prior)
    house = sum(
        2 ** (prior + sum(against[name][level] for name, level in levels.items()))
        for prior, against in worth.rivals
    )
    score, sure = 1 / (1 + strangers), 1 / (1 + strangers + house)
    found = Verdict("certainly-not", score, sure, tuple(evidence))
    if _are_of_two_generations(one, other, levels, weights):
        return replace(found, held=("generations",))
    if sure < weights.possible:
        return found
    if sure < weights.probable:
        return replace(found, grade="possible")
    held = tuple(_held(one, other, levels, weights)) if score >= weights.certain else ()
    certain = sure >= weights.certain and not held
    return replace(found, grade="certain" if certain else "probable", held=held)


def joins_twins(ours: Collection[Traits], theirs: Collection[Traits], weights: Weights) -> bool:
    """Whether a record of the one person and one of the other are of one house and one birth, and have first names
    that are not the same: a third record, which is like both, does not make them one.

    Unless another of the one person's records has the very names: then it was judged already what the difference is.
    """
    return any(
        _may_be_twins(one, other, weights)
        and not any(other.given == each.given for each in ours)
        and not any(one.given == each.given for each in theirs)
        for one in ours
        for other in theirs
    )


def _may_be_twins(one: Traits, other: Traits, weights: Weights) -> bool:
    levels = compare.levels(one, other, weights.family_alike, weights.given_alike, NOTHING.shared)
    return (
        levels["birth"] != "other"
        and levels["given"] in ("other", "alike")
        and not _named_alike(levels)
        and not any(levels[name] == "exact" for name in PERSONAL)
        and any(levels[name] == "exact" for name in HOUSEHOLD)
    )


def frequency(name: str, one: Traits, other: Traits, known: Known) -> float | None:
    """How common the name is that both have among those who could have it, the rarest if they have several.

    Names are of one sex. So who has the same first name is of the same sex, which is no further agreement; and a
    second name is twice as common among those of its sex as it is among all.
    """
    if not known.frequency or name not in NAMES:
        return None
    kind, values = NAMES[name]
    both = getattr(one, values) & getattr(other, values)
    often = [known.frequency[kind, each] for each in both if (kind, each) in known.frequency]
    if not often:
        return None
    return min(often) * (2 if name == "middle" else 1)


def bounded(often: float, weights: Weights) -> float:
    """As it stands for the u of an agreement."""
    return min(max(often, weights.rarest), weights.most_common)


def _held(one: Traits, other: Traits, levels: dict[str, str], weights: Weights) -> list[str]:
    """Codes of what forbids certainty, whatever the score."""
    agrees = {
        name for name, level in levels.items() if level not in ("other", "missing", "initial")
    }
    if levels["given"] == "initial" and _named_alike(levels):
        agrees.add("given")
    facts = sum(name in agrees for name in ALONE) + bool(agrees & HOUSEHOLD)
    found = []
    if facts < weights.independent:
        found.append("few-facts")
    if not agrees & PERSONAL:
        if not _named_alike(levels):
            found.append("household")
        if _contradicts(levels):
            found.append("contradicted")
        if levels["middle"] == "other":
            found.append("middle-name")
    if levels["birth"] == "other" and levels["sex"] == "other":
        found.append("birth-and-sex")
    if _numbered_apart(one, other):
        found.append("two-numbers")
    if (one.multiple or other.multiple) and not _is_told_from_a_twin(levels, agrees):
        found.append("multiple-birth")
    if _named_apart(one, other):
        found.append("generation")
    return found


def _is_told_from_a_twin(levels: dict[str, str], agrees: set[str]) -> bool:
    """Whether it is this one of two who are born together: some share the first name, and are called by the second."""
    if levels["given"] not in ("exact", "nickname"):
        return False
    return levels["middle"] == "exact" or bool(agrees & PERSONAL)


def _named_alike(levels: dict[str, str]) -> bool:
    """Whether the first name is the same: as written, as people call each other, or, where it is only alike, by
    the whole name that follows it. Twins have names that are alike, and not two of them."""
    return levels["given"] in ("exact", "nickname") or (
        levels["given"] in ("alike", "initial") and levels["middle"] == "exact"
    )


def _contradicts(levels: dict[str, str]) -> bool:
    """Whether birth, sex or family name differ and nothing explains it.

    Nobody else of a house has somebody's birth and first name: where these are the same, and what the house
    shares, sex was mistaken or the family name has changed.
    """
    differ = sum(levels[name] == "other" for name in ("birth", "sex", "family"))
    if not differ:
        return False
    if differ > 1 or levels["birth"] != "exact" or levels["given"] != "exact":
        return True
    return not any(levels[name] == "exact" for name in HOUSEHOLD)


def _are_of_two_generations(
    one: Traits, other: Traits, levels: dict[str, str], weights: Weights
) -> bool:
    """Parent and child of one name and house: born a generation apart, and no number of one person in common."""
    if levels["birth"] not in ("other", "year") or any(
        levels[name] == "exact" for name in PERSONAL
    ):
        return False
    assert one.birth is not None
    assert other.birth is not None
    years = abs(int(one.birth[:4]) - int(other.birth[:4]))
    return years >= weights.generation_years or _named_apart(one, other)


def _named_apart(one: Traits, other: Traits) -> bool:
    """One says junior and the other senior."""
    return bool(one.suffixes and other.suffixes and not one.suffixes & other.suffixes)


def _numbered_apart(one: Traits, other: Traits) -> bool:
    """Somebody who numbers persons gave them two numbers."""
    return any(
        not values & other.identifiers[system]
        for system, values in one.identifiers.items()
        if system in other.identifiers
    )
