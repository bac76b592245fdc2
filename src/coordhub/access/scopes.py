"""SMART scopes: which interactions on which resources a token allows.

`system/Task.cruds` (v2) and `system/Task.read`, `.write`, `.*` (v1) are understood, and of v2 search
parameters that narrow a type: `system/Observation.rs?category=laboratory`. Of these, tokens and
references can be (`granular`): what each row, and each document that is written, can be held against.

`user/` is for what whoever signed in to an app may do, `patient/` for that much of it as is in one
patient's chart: such a scope allows something once it is known in whose (`in_chart`). A text is read for
the levels that its holder may have; what is not understood, or of another level, never widens.

http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import unquote

from coordhub.r4 import types
from coordhub.r4.search_criteria import Criterion, read_condition
from coordhub.r4.search_text import Invalid, NotServed, Unknown
from coordhub.r4.search_values import ReferenceValue, TokenValue
from coordhub.store.clients import Bounds
from coordhub.store.visibility import Chart

_SCOPE = re.compile(
    r"(system|user|patient)/(\*|[A-Z][A-Za-z]+)\.(\*|read|write|c?r?u?d?s?)(?:\?(.+))?", re.DOTALL
)
_LETTERS = "cruds"
SYSTEM: Final = frozenset({"system"})
APP: Final = frozenset({"user", "patient"})
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}

MOST_NARROWED: Final = 10
"""Scopes with search parameters in one token, or of one client."""
MOST_PARAMETERS: Final = 5
MOST_VALUES: Final = 50

Narrowing: TypeAlias = Criterion | Chart
"""What must hold of a resource."""


@dataclass(frozen=True, slots=True)
class Only:
    """A search parameter, text as it was stated, that what a scope is for must meet."""

    text: str
    criterion: Narrowing = field(compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """type: None stands for every one. letters: of c r u d s. only: what must hold, all of it.

    level: system, user or patient.
    """

    type: str | None
    letters: frozenset[str]
    only: tuple[Only, ...] = ()
    level: str = "system"

    def is_for(self, resource_type: str) -> bool:
        """Whether it allows something of the type. The audit is in no chart, and no part of it is."""
        if self.type is None:
            return not self.only or resource_type != "AuditEvent"
        return self.type == resource_type

    def covers(self, other: Grant) -> bool:
        """Whether this allows all that the other does."""
        return (
            self.level == other.level
            and self.type in (None, other.type)
            and self.letters >= other.letters
            and set(self.only) <= set(other.only)
        )

    def meet(self, other: Grant) -> Grant | None:
        letters = self.letters & other.letters
        if self.level != other.level or not letters:
            return None
        if None not in (self.type, other.type) and self.type != other.type:
            return None
        only = sorted({*self.only, *other.only}, key=lambda one: one.text)
        return Grant(self.type or other.type, letters, tuple(only), self.level)

    def stated(self) -> str:
        letters = "".join(letter for letter in _LETTERS if letter in self.letters)
        query = "&".join(one.text for one in self.only)
        return f"{self.level}/{self.type or '*'}.{letters}{'?' if query else ''}{query}"


Ways = tuple[tuple[Narrowing, ...], ...]
"""Of which one must hold, each a conjunction. None: no condition."""

Looks: TypeAlias = tuple[frozenset[int] | None, tuple[tuple[int | None, Ways], ...]]
"""What `Scopes.looking` gives."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """text: as stated, for the token. grants: what any of them allows is allowed."""

    text: str
    grants: tuple[Grant, ...]
    _allowed: dict[tuple[str, str], bool] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _looked: dict[str, Looks] = field(default_factory=dict, init=False, repr=False, compare=False)

    def allow(self, resource_type: str, letter: str) -> bool:
        """May the token do `letter` (one of c r u d s) on this type, or on some of it?"""
        asked = resource_type, letter
        known = self._allowed.get(asked)
        if known is None:
            known = self._allowed[asked] = any(
                letter in grant.letters and grant.is_for(resource_type) for grant in self.grants
            )
        return known

    def within(self, resource_type: str, letter: str) -> Ways | None:
        """What a resource of the type must meet for `letter`; None: nothing; empty: none is allowed."""
        found = [
            grant
            for grant in self.grants
            if letter in grant.letters and grant.is_for(resource_type)
        ]
        if any(not grant.only for grant in found):
            return None
        return tuple(tuple(one.criterion for one in grant.only) for grant in found)

    def looking(self, letters: str = "r") -> Looks:
        """For all of `letters` together: numbers of the types that are allowed whole (None: all), and of those
        allowed in part the number (None: any) and the ways."""
        known = self._looked.get(letters)
        if known is None:
            known = self._looked[letters] = self._looking(letters)
        return known

    def _looking(self, letters: str) -> Looks:
        found = [Grant(one.type, frozenset(letters), one.only, one.level) for one in self.grants
                 if letters[0] in one.letters]  # fmt: skip
        for letter in letters[1:]:
            found = [
                met
                for one in found
                for grant in self.grants
                if letter in grant.letters
                and (met := one.meet(Grant(grant.type, one.letters, grant.only, grant.level))) is not None
            ]  # fmt: skip
        if any(grant.type is None and not grant.only for grant in found):
            return None, ()
        whole = {grant.type for grant in found if not grant.only}
        parts: dict[str | None, dict[tuple[Only, ...], None]] = {}
        for grant in found:
            if grant.type not in whole:
                parts.setdefault(grant.type, {})[grant.only] = None
        return (
            frozenset(types.NUMBER[name] for name in whole if name is not None),
            tuple(
                (
                    None if name is None else types.NUMBER[name],
                    tuple(tuple(one.criterion for one in only) for only in each),
                )
                for name, each in sorted(parts.items(), key=lambda part: part[0] or "")
            ),
        )

    def in_chart(self, patient: int | None) -> Scopes:
        """The same where `patient/` is about this patient (rid); about none, it allows nothing."""
        within = () if patient is None else (Only("", Chart(patient)),)
        return Scopes(
            self.text,
            tuple(
                one if one.level != "patient" else replace(one, only=(*within, *one.only))
                for one in self.grants
                if one.level != "patient" or within
            ),
        )

    @property
    def is_granular(self) -> bool:
        return any(grant.only for grant in self.grants)

    @property
    def level(self) -> str:
        """Of the scope that would have to be asked for, where one is missing."""
        return self.grants[0].level if self.grants else "system"

    def __bool__(self) -> bool:
        """Whether anything is allowed."""
        return bool(self.grants)

    def stated(self) -> str:
        """What is allowed, in the words of SMART 2."""
        return " ".join(grant.stated() for grant in self.grants)

    def meet(self, other: Scopes) -> Scopes:
        """What both allow."""
        met = (one.meet(another) for one in self.grants for another in other.grants)
        return Scopes(self.text, _simplified(grant for grant in met if grant is not None))


def _simplified(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """One for each type and condition, and none that another covers."""
    letters: dict[tuple[str, str | None, tuple[Only, ...]], frozenset[str]] = {}
    for grant in grants:
        key = grant.level, grant.type, grant.only
        letters[key] = letters.get(key, frozenset()) | grant.letters
    found = [Grant(name, each, only, level) for (level, name, only), each in letters.items()]
    found.sort(key=lambda grant: (grant.level, grant.type or "", [one.text for one in grant.only]))
    return tuple(
        grant
        for grant in found
        if not any(other is not grant and other.covers(grant) for other in found)
    )


@lru_cache(1000)
def parse(text: str, levels: frozenset[str] = SYSTEM) -> Scopes:
    """Read a space separated list; what is unknown, or cannot narrow here, is dropped."""
    return Scopes(text, _simplified(grant for grant, _ in _read(text, levels) if grant is not None))


def faults(text: str, levels: frozenset[str] = SYSTEM) -> list[str]:
    """What is wrong with its scopes that have search parameters, each named as it was stated."""
    return [fault for _, fault in _read(text, levels) if fault is not None]


def _read(text: str, levels: frozenset[str]) -> Iterator[tuple[Grant | None, str | None]]:
    """Each scope that is understood, or what is wrong with it."""
    narrowed = 0
    for word in text.split():
        match = _SCOPE.fullmatch(word)
        if match is None or match[1] not in levels or match[2] not in ("*", *types.NUMBER):
            continue
        level, name = match[1], None if match[2] == "*" else match[2]
        letters, query = frozenset(_V1.get(match[3], match[3])), match[4]
        if not letters:
            continue
        if query is None:
            yield Grant(name, letters, (), level), None
            continue
        narrowed += 1
        try:
            if narrowed > MOST_NARROWED:
                raise _CannotNarrow(f"at most {MOST_NARROWED} scopes may have search parameters")
            only = _granular(name, match[3], query)
        except _CannotNarrow as reason:
            yield None, f"{word[:200]}: {reason}"
        else:
            yield Grant(name, letters, only, level), None


class _CannotNarrow(Exception):
    pass


def _granular(name: str | None, letters: str, query: str) -> tuple[Only, ...]:
    if name is None or name == "AuditEvent":
        raise _CannotNarrow(f"{name or '*'} takes no search parameters")
    if letters in _V1:
        raise _CannotNarrow("search parameters come after letters of cruds")
    pairs = [part.partition("=") for part in query.split("&")]
    if len(pairs) > MOST_PARAMETERS:
        raise _CannotNarrow(f"at most {MOST_PARAMETERS} search parameters")
    only = {
        Only(f"{code}={value}", _criterion(name, unquote(code), unquote(value)))
        for code, _, value in pairs
    }
    return tuple(sorted(only, key=lambda one: one.text))


def _criterion(name: str, code: str, value: str) -> Criterion:
    """A parameter that a row can be held against: a token, or a reference to `Type/id`."""
    if not value.isprintable() or not code.isprintable():
        raise _CannotNarrow("what is written there cannot be read")
    try:
        read = read_condition(name, code, value, base=None, now=None)
    except (Unknown, NotServed, Invalid):
        raise _CannotNarrow(
            f"{name} cannot be narrowed by {code[:64]}, or not by that value"
        ) from None
    if (
        not isinstance(read, Criterion)
        or read.modifier is not None
        or code.startswith("_")
        or not read.parameter.indexed
        or len(read.values) > MOST_VALUES
        or not all(
            isinstance(one, TokenValue)
            or (isinstance(one, ReferenceValue) and one.id is not None and len(one.types) == 1)
            for one in read.values
        )
    ):
        raise _CannotNarrow(
            f"{name} is narrowed by tokens and by references to Type/id, not so by {code[:64]}"
        )
    return read


EVERYTHING = parse("system/*.cruds")


def within(bounds: Bounds) -> Scopes:
    """What a client may do now that once had a token."""
    return effective(bounds.asked, bounds.registered, of_app=bounds.of_app, patient=bounds.patient)


@lru_cache(1000)
def effective(
    asked: str, registered: str, *, of_app: bool = False, patient: int | None = None
) -> Scopes:
    """What a token allows now: what it was given for (`asked`), as far as its client is registered for that.

    of_app: a person lets an app act by it; patient: in whose chart (rid), if in one.
    """
    levels = APP if of_app else SYSTEM
    return parse(asked, levels).meet(parse(registered, levels)).in_chart(patient)
