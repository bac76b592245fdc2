"""Whether two records are of one person: a grade, and the evidence field by field.

After Fellegi and Sunter: each field adds what its agreement or disagreement says, in bits, to what holds
before anything is compared. https://doi.org/10.1080/01621459.1969.10501049

That takes fields to be independent, which within a household they are not: of twins all agree, and the sum is
higher than for most records of one person. So a sum alone makes nothing certain. Name, phone, address and
insurance of a household count as one fact; the first name has to agree, or a number that no family shares;
and nothing may speak against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log2
from typing import Final, NamedTuple

from coordhub.identity.likeness import are_one_name, jaro_winkler, soundex
from coordhub.identity.normalise import Traits
from coordhub.identity.weights import Weights

GRADES: Final = ("certain", "probable", "possible", "certainly-not")

HOUSEHOLD: Final = frozenset({"family", "phone", "address", "member"})
PERSONAL: Final = frozenset({"identifier", "social"})
ALONE: Final = ("birth", "given", "email", "social", "identifier")
"""Fields that are a fact each, beside the household."""


class Agreement(NamedTuple):
    """level: exact, nickname (of given), close, other, missing."""

    field: str
    level: str
    bits: float


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of how common values are; by itself nothing.

    frequency: of names, as (family or given, name). shared: phones, addresses and e-mails, as (field, value),
    that so many records have that they say nothing.
    """

    frequency: Mapping[tuple[str, str], float] = field(default_factory=dict)
    shared: frozenset[tuple[str, str]] = frozenset()


NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class Verdict:
    """score: the posterior, 0 to 1. held: codes of why it is less than the score says."""

    grade: str
    score: float
    evidence: tuple[Agreement, ...]
    held: tuple[str, ...] = ()

    @property
    def bits(self) -> float:
        return sum(each.bits for each in self.evidence)

    def level(self, name: str) -> str:
        return next(each.level for each in self.evidence if each.field == name)


def judge(one: Traits, other: Traits, weights: Weights, known: Known = NOTHING) -> Verdict:
    """The same whichever of the two is named first."""
    evidence = tuple(_compare(one, other, weights, known))
    bits = sum(each.bits for each in evidence)
    score = 1 / (1 + 2 ** -(bits + log2(weights.prior / (1 - weights.prior))))
    levels = {each.field: each.level for each in evidence}
    if _are_of_two_generations(one, other, levels, weights):
        return Verdict("certainly-not", score, evidence, ("generations",))
    if score < weights.possible:
        return Verdict("certainly-not", score, evidence)
    if score < weights.probable:
        return Verdict("possible", score, evidence)
    if score < weights.certain:
        return Verdict("probable", score, evidence)
    held = tuple(_held(one, other, levels, weights))
    return Verdict("probable" if held else "certain", score, evidence, held)


def _held(one: Traits, other: Traits, levels: dict[str, str], weights: Weights) -> list[str]:
    """Codes of what forbids certainty, whatever the score."""
    agrees = {name for name, level in levels.items() if level not in ("other", "missing")}
    facts = sum(name in agrees for name in ALONE) + bool(agrees & HOUSEHOLD)
    found = []
    if facts < weights.independent:
        found.append("few-facts")
    if not agrees & PERSONAL:
        if levels["given"] not in ("exact", "nickname"):
            found.append("household")
        if "other" in (levels["birth"], levels["sex"]) or levels["family"] == "other":
            found.append("contradicted")
        if one.middles and other.middles and not one.middles & other.middles:
            found.append("middle-name")
    if levels["birth"] == "other" and levels["sex"] == "other":
        found.append("birth-and-sex")
    if _numbered_apart(one, other):
        found.append("two-numbers")
    if (one.multiple or other.multiple) and levels["given"] not in ("exact", "nickname"):
        found.append("multiple-birth")
    if _named_apart(one, other):
        found.append("generation")
    return found


def _are_of_two_generations(
    one: Traits, other: Traits, levels: dict[str, str], weights: Weights
) -> bool:
    """Parent and child of one name and house: born a generation apart, and no number of one person in common."""
    if levels["birth"] != "other" or any(levels[name] == "exact" for name in PERSONAL):
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


def _compare(one: Traits, other: Traits, weights: Weights, known: Known) -> list[Agreement]:
    def weighed(name: str, level: str, u: float | None = None) -> Agreement:
        numbers = "close" if level == "nickname" else level
        return Agreement(name, level, weights.bits(name, numbers, u))

    def named(name: str, ours: frozenset[str], theirs: frozenset[str], level: str) -> Agreement:
        u = None
        if level == "exact":
            often = [known.frequency[key] for each in ours & theirs
                     if (key := (name, each)) in known.frequency]  # fmt: skip
            if often:
                u = min(max(min(often), weights.rarest), weights.most_common)
        return weighed(name, level, u)

    def telling(name: str, values: frozenset[str]) -> frozenset[str]:
        return frozenset(each for each in values if (name, each) not in known.shared)

    family = _families(one.families, other.families, weights)
    given = _given(one.given, other.given, weights)
    return [
        weighed("birth", _births(one.birth, other.birth)),
        named("family", one.families, other.families, family),
        named("given", one.given, other.given, given),
        weighed("sex", _same(_set(one.sex), _set(other.sex))),
        weighed("phone", _same(telling("phone", one.phones), telling("phone", other.phones))),
        weighed("email", _same(telling("email", one.emails), telling("email", other.emails))),
        weighed(
            "address",
            _addresses(
                telling("address", one.streets),
                telling("address", other.streets),
                one.areas,
                other.areas,
            ),
        ),
        weighed("member", _same(one.members, other.members)),
        weighed("social", _same(one.socials, other.socials)),
        weighed("identifier", _numbers(one, other)),
    ]


def _set(value: str | None) -> frozenset[str]:
    return frozenset() if value is None else frozenset({value})


def _same(ours: frozenset[str], theirs: frozenset[str]) -> str:
    if not ours or not theirs:
        return "missing"
    return "exact" if ours & theirs else "other"


def _births(one: str | None, other: str | None) -> str:
    if one is None or other is None:
        return "missing"
    if one == other:
        return "exact"
    if one == other[:4] + other[6:] + other[4:6]:
        return "close"
    return "close" if sum(a != b for a, b in zip(one, other, strict=True)) == 1 else "other"


def _families(ours: frozenset[str], theirs: frozenset[str], weights: Weights) -> str:
    level = _same(ours, theirs)
    if level == "other" and any(
        set(a.split()) & set(b.split())
        or jaro_winkler(a, b) >= weights.family_alike
        or (soundex(a) and soundex(a) == soundex(b))
        for a in ours
        for b in theirs
    ):
        return "close"
    return level


def _given(ours: frozenset[str], theirs: frozenset[str], weights: Weights) -> str:
    level = _same(ours, theirs)
    if level != "other":
        return level
    pairs = [(a, b) for a in ours for b in theirs]
    if any(are_one_name(a, b) for a, b in pairs):
        return "nickname"
    alike = any(jaro_winkler(a, b) >= weights.given_alike for a, b in pairs)
    return "close" if alike else "other"


def _addresses(
    ours: frozenset[str], theirs: frozenset[str], near: frozenset[str], there: frozenset[str]
) -> str:
    if ours & theirs:
        return "exact"
    if not near or not there:
        return "missing"
    return "close" if near & there else "other"


def _numbers(one: Traits, other: Traits) -> str:
    """Of systems that both have; that of two in one system differ is told by `two-numbers`, a system may
    number somebody twice."""
    common = one.identifiers.keys() & other.identifiers.keys()
    if not common:
        return "missing"
    shared = any(one.identifiers[system] & other.identifiers[system] for system in common)
    return "exact" if shared else "other"
