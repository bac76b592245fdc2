"""What part of a patient's record one provision of a Consent is about.

http://hl7.org/fhir/R4/consent-definitions.html#Consent.provision

A `Space` is what a rule of the store can express: a product of dimensions, of which an absent one is
everything. Not all that a Consent can say is such a product, so that of each provision two are known:
the *inner* lies within what was said, the *outer* around it. A permit gives the inner, a denial takes
the outer: what cannot be expressed always errs on the side of showing less.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

from coordhub.r4.interval import BEGINNING, END, Interval

ALWAYS = Interval(BEGINNING, END)

Code = tuple[str, str]
"""System and code."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Space:
    """actors: rids of organizations and persons. types: numbers. labels: bits, of which a resource
    has one. codes: of which it has one. dates: of the care. when: of the looking. None: everything.
    """

    actors: frozenset[int] | None = None
    types: frozenset[int] | None = None
    rids: frozenset[int] | None = None
    labels: int | None = None
    codes: frozenset[Code] | None = None
    purposes: frozenset[str] | None = None
    dates: Interval = ALWAYS
    when: Interval = ALWAYS


EVERYTHING = Space()


def meet(one: Space, other: Space, *, widen: bool) -> Space | None:
    """What is in both; None: nothing.

    "Has a label of these and a label of those" is no Space unless the one set lies in the other. It is
    then what has one of the common labels, or, to widen, what has one of those of `other`.
    """
    actors, types = _common(one.actors, other.actors), _common(one.types, other.types)
    rids, purposes = _common(one.rids, other.rids), _common(one.purposes, other.purposes)
    labels = _labels(one.labels, other.labels, widen)
    codes = _any_of(one.codes, other.codes, widen)
    dates, when = _overlap(one.dates, other.dates), _overlap(one.when, other.when)
    empty = any(part is not None and not part for part in (actors, types, rids, purposes, codes))
    if empty or labels == 0 or dates is None or when is None:
        return None
    return Space(actors, types, rids, labels, codes, purposes, dates, when)


def _common(one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _any_of(
    one: frozenset[T] | None, other: frozenset[T] | None, widen: bool
) -> frozenset[T] | None:
    if one is None or other is None:
        return other if one is None else one
    if one <= other or other <= one or not widen:
        return one & other
    return other


def _labels(one: int | None, other: int | None, widen: bool) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    common = one & other
    return other if widen and common not in (one, other) else common


def _overlap(one: Interval, other: Interval) -> Interval | None:
    low, high = max(one.low, other.low), min(one.high, other.high)
    return Interval(low, high) if low < high else None


@dataclass(frozen=True, slots=True)
class Reach:
    """inner: surely meant; outer: possibly meant; None: nothing. named: the sensitivity classes that
    were named on the way here."""

    inner: Space | None = EVERYTHING
    outer: Space | None = EVERYTHING
    named: int = 0

    def within(self, above: Reach) -> Reach:
        """This, as far as it lies in the provision that it stands in."""
        inner = outer = None
        if self.inner is not None and above.inner is not None:
            inner = meet(above.inner, self.inner, widen=False)
        if self.outer is not None and above.outer is not None:
            outer = meet(above.outer, self.outer, widen=True)
        return Reach(inner, outer, self.named | above.named)


@dataclass(frozen=True, slots=True)
class Actors:
    """Whom a reference means: rids of organizations and persons; complete: and nobody else."""

    rids: AbstractSet[int]
    complete: bool = True
