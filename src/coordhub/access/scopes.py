"""SMART scopes for systems: which interactions on which resource types a token allows.

`system/Task.cruds` (v2) and `system/Task.read`, `.write`, `.*` (v1) are understood; a scope with
search parameters, or for `patient/` and `user/`, gives nothing here: what is not understood never
widens.

http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from coordhub.r4 import types

_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]+)\.(\*|read|write|c?r?u?d?s?)")
_LETTERS = "cruds"
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Scopes:
    """text: as stated, for the token. every: letters allowed on all types; by_type: on one type."""

    text: str
    every: frozenset[str]
    by_type: tuple[tuple[str, frozenset[str]], ...]

    def allow(self, resource_type: str, letter: str) -> bool:
        """May the token do `letter` (one of c r u d s) on this type?"""
        if letter in self.every:
            return True
        return any(name == resource_type and letter in letters for name, letters in self.by_type)

    def readable(self) -> frozenset[int] | None:
        """Numbers of the types that may be read; None: all."""
        if "r" in self.every:
            return None
        return frozenset(types.NUMBER[name] for name, letters in self.by_type if "r" in letters)

    def __bool__(self) -> bool:
        """Whether anything is allowed."""
        return bool(self.every) or any(letters for _, letters in self.by_type)

    def stated(self) -> str:
        """What is allowed, in the words of SMART 2."""
        named = [("*", self.every), *self.by_type]
        return " ".join(
            f"system/{name}.{''.join(letter for letter in _LETTERS if letter in letters)}"
            for name, letters in named
            if letters and (name == "*" or not letters <= self.every)
        )

    def meet(self, other: Scopes) -> Scopes:
        """What both allow."""
        by_type = [
            (
                name,
                frozenset(
                    letter
                    for letter in _LETTERS
                    if self.allow(name, letter) and other.allow(name, letter)
                ),
            )
            for name in sorted({name for name, _ in (*self.by_type, *other.by_type)})
        ]
        return Scopes(self.text, self.every & other.every, tuple(by_type))


def parse(text: str) -> Scopes:
    """Read a space separated list; unknown scopes and types are dropped."""
    every: set[str] = set()
    by_type: dict[str, set[str]] = {}
    for word in text.split():
        match = _SCOPE.fullmatch(word)
        if match is None:
            continue
        name, letters = match[1], set(_V1.get(match[2], match[2]))
        if name == "*":
            every |= letters
        elif name in types.NUMBER:
            by_type.setdefault(name, set()).update(letters)
    return Scopes(
        text,
        frozenset(every),
        tuple((name, frozenset(letters)) for name, letters in sorted(by_type.items())),
    )


EVERYTHING = parse("system/*.cruds")
