"""How alike two names are: by their letters, by their sound, by what people call each other.

https://www.census.gov/library/working-papers/1990/adrm/rr90-09.html (Jaro-Winkler)
https://www.archives.gov/research/census/soundex (Soundex)
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files

import msgspec

_PREFIX = 4
_PREFIX_WORTH = 0.1


@lru_cache(maxsize=1 << 16)
def jaro_winkler(one: str, other: str) -> float:
    """0 for nothing in common, 1 for the same letters in the same order."""
    if one == other:
        return 1.0 if one else 0.0
    alike = _jaro(*sorted((one, other)))  # which letters meet may depend on who comes first
    common = 0
    for a, b in zip(one[:_PREFIX], other[:_PREFIX], strict=False):
        if a != b:
            break
        common += 1
    return alike + common * _PREFIX_WORTH * (1 - alike)


def _jaro(one: str, other: str) -> float:
    reach = max(len(one), len(other)) // 2 - 1
    taken = [False] * len(other)
    met: list[str] = []
    for at, letter in enumerate(one):
        for there in range(max(0, at - reach), min(len(other), at + reach + 1)):
            if not taken[there] and other[there] == letter:
                taken[there] = True
                met.append(letter)
                break
    if not met:
        return 0.0
    mirrored = [letter for letter, is_met in zip(other, taken, strict=True) if is_met]
    crossed = sum(a != b for a, b in zip(met, mirrored, strict=True)) / 2
    count = len(met)
    return (count / len(one) + count / len(other) + (count - crossed) / count) / 3


_SOUNDS = {
    letter: digit
    for digit, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), start=1)
    for letter in letters
}


@lru_cache(maxsize=1 << 16)
def soundex(name: str) -> str:
    """A letter and three digits; empty for a name without Latin letters."""
    letters = [letter for letter in name if "a" <= letter <= "z"]
    if not letters:
        return ""
    digits: list[int] = []
    last = _SOUNDS.get(letters[0])
    for letter in letters[1:]:
        sound = _SOUNDS.get(letter)
        if sound is not None and sound != last:
            digits.append(sound)
        if letter not in "hw":  # these do not part two of one sound, a vowel does
            last = sound
    return (letters[0].upper() + "".join(map(str, digits)) + "000")[:4]


def are_one_name(one: str, other: str) -> bool:
    """Whether one is a short or familiar form of the other, or both are of a third."""
    return one != other and bool(_roots().get(one, _NONE) & _roots().get(other, _NONE))


def root(given: str) -> str:
    """One name for all that may stand for it, so far as it stands for one only; else the name itself."""
    found = _roots().get(given, _NONE)
    return next(iter(found)) if len(found) == 1 else given


_NONE: frozenset[str] = frozenset()


@cache
def _roots() -> dict[str, frozenset[str]]:
    shipped = files("coordhub.identity").joinpath("nicknames.json").read_bytes()
    groups = msgspec.json.decode(shipped, type=dict[str, list[str]])
    found: dict[str, set[str]] = {}
    for full, others in groups.items():
        for name in (full, *others):
            found.setdefault(name, set()).add(full)
    return {name: frozenset(full) for name, full in found.items()}
