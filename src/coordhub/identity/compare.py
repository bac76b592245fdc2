"""At which level each field of two records agrees.

http://hl7.org/fhir/R4/patient.html

Levels go from fine to coarse: a Weights that has no numbers for `swapped` takes those of `close`
(`COARSER`). Which is finest is decided here, what it is worth in `weights`.
"""

from __future__ import annotations

from typing import Final

from coordhub.identity.likeness import are_one_name, jaro_winkler, soundex
from coordhub.identity.normalise import Traits

FIELDS: Final = {
    "birth": ("exact", "swapped", "digit", "year"),
    "family": ("exact", "part", "alike", "sound"),
    "given": ("exact", "nickname", "alike", "initial"),
    "middle": ("exact", "initial"),
    "sex": ("exact",),
    "phone": ("exact",),
    "email": ("exact",),
    "address": ("exact", "close"),
    "member": ("exact",),
    "social": ("exact",),
    "identifier": ("exact",),
}
"""The levels of each field, the best first; below them `other`, and `missing` where a record is silent.

birth swapped: day and month; digit: one of theirs differs; year: one of its digits. family part: a word in
common; alike: by its letters; sound: by its sound. given nickname: of the other, or both of a third; initial: one
is the other's first letter. middle initial: that, or alike by its letters. address close: the area only.
"""

COARSER: Final = {
    "swapped": "close", "digit": "close", "year": "close", "part": "close", "alike": "close", "sound": "close",
    "nickname": "close", "initial": "initial", "exact": "exact", "close": "close", "other": "other",
}  # fmt: skip


def levels(
    one: Traits,
    other: Traits,
    family_alike: float,
    given_alike: float,
    shared: frozenset[tuple[str, str]],
) -> dict[str, str]:
    """By field. shared: phones, e-mails and addresses, as (field, value), that say nothing."""

    def telling(name: str, values: frozenset[str]) -> frozenset[str]:
        if not shared:
            return values
        return frozenset(each for each in values if (name, each) not in shared)

    return {
        "birth": _births(one.birth, other.birth),
        "family": _families(one.families, other.families, family_alike),
        "given": _given(one.given, other.given, given_alike),
        "middle": _middles(one.middles, other.middles, given_alike),
        "sex": _same(_set(one.sex), _set(other.sex)),
        "phone": _same(telling("phone", one.phones), telling("phone", other.phones)),
        "email": _same(telling("email", one.emails), telling("email", other.emails)),
        "address": _addresses(
            telling("address", one.streets),
            telling("address", other.streets),
            one.areas,
            other.areas,
        ),
        "member": _same(one.members, other.members),
        "social": _same(one.socials, other.socials),
        "identifier": _numbers(one, other),
    }


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
        return "swapped"
    if sum(a != b for a, b in zip(one, other, strict=True)) != 1:
        return "other"
    return "digit" if one[:4] == other[:4] else "year"


def _families(ours: frozenset[str], theirs: frozenset[str], least: float) -> str:
    level = _same(ours, theirs)
    if level != "other":
        return level
    pairs = [(a, b) for a in ours for b in theirs]
    if any((" " in a or " " in b) and set(a.split()) & set(b.split()) for a, b in pairs):
        return "part"
    if any(jaro_winkler(a, b) >= least for a, b in pairs):
        return "alike"
    return "sound" if any(soundex(a) and soundex(a) == soundex(b) for a, b in pairs) else "other"


def _given(ours: frozenset[str], theirs: frozenset[str], least: float) -> str:
    level = _same(ours, theirs)
    if level != "other":
        return level
    pairs = [(a, b) for a in ours for b in theirs]
    if any(are_one_name(a, b) for a, b in pairs):
        return "nickname"
    if any(jaro_winkler(a, b) >= least for a, b in pairs):
        return "alike"
    return "initial" if any(_begins(a, b) for a, b in pairs) else "other"


def _middles(ours: frozenset[str], theirs: frozenset[str], least: float) -> str:
    level = _same(ours, theirs)
    if level == "missing" or (level == "exact" and any(len(each) > 1 for each in ours & theirs)):
        return level
    pairs = [(a, b) for a in ours for b in theirs]
    alike = any(_begins(a, b) or jaro_winkler(a, b) >= least for a, b in pairs)
    return "initial" if alike else "other"


def _begins(one: str, other: str) -> bool:
    """Whether one is no more than the other's first letter."""
    return min(len(one), len(other)) == 1 and one[:1] == other[:1]


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
