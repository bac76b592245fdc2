"""The next step of a need: whom to ask, until when to wait, or that a person has to look.

A decision over values, the same whoever takes it and whenever. What a victim service provider answers
has no part in it: it is asked with the first who are, and neither awaited nor replaced.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.referral.needs import Child, is_asked, is_released, is_won
from coordhub.referral.strategies import Strategy


@dataclass(frozen=True, slots=True)
class Candidacy:
    """One who could meet the need. rank: its place in the order; tried: its Tasks, the latest last.

    suggested: by a person, after the others. Whoever must not be asked (not the kind, no consent, no
    place) is not among them; gone: who was asked, and must not be any more.
    """

    rank: int
    apart: bool = False
    suggested: bool = False
    tried: tuple[Child, ...] = ()
    gone: bool = False

    @property
    def is_left(self) -> bool:
        """Not asked yet; or only not selected, as somebody else was then."""
        return not self.tried or (
            not self.apart
            and not self.gone
            and self.tried[-1].status == "cancelled"
            and self.tried[-1].reason == "not-selected"
        )


@dataclass(frozen=True, slots=True)
class View:
    """A need as its strategy looks at it.

    prospects: in their order. wave: the last that was asked, 0 if nobody was, and asked_at when.
    extendable: others may be looked for in the directory. queued: a person is looking. until: when the
    sender wants nobody to be asked any more. several: it is not the only need of its referral.
    """

    strategy: Strategy
    opened_at: datetime
    prospects: tuple[Candidacy, ...] = ()
    wave: int = 0
    asked_at: datetime | None = None
    extendable: bool = False
    queued: bool = False
    until: datetime | None = None
    several: bool = False

    @property
    def children(self) -> tuple[Child, ...]:
        return tuple(child for each in self.prospects for child in each.tried)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask these together, by their ranks."""

    ranks: tuple[int, ...]
    wave: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody has to answer. until: look again then, if nothing happens before."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Choose:
    """There are offers, and a person has to choose."""


@dataclass(frozen=True, slots=True)
class Look:
    """Look in the directory for others, then take the next step."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Nobody is left: a person has to find somebody."""


@dataclass(frozen=True, slots=True)
class Nobody:
    """There is nobody to ask and there was nobody: the need ends unmet, with the reason why nobody may be."""


@dataclass(frozen=True, slots=True)
class End:
    """It has ended, or is taken: nothing is to be done."""


Step = Ask | Wait | Choose | Look | Queue | Nobody | End


def next_step(view: View, now: datetime) -> Step:
    """What the hub does for this need now."""
    told = [child for child in view.children if not child.apart]
    if any(is_won(child) or child.status == "completed" for child in told):
        return End()
    waiting = [child for child in told if is_asked(child)]
    if waiting:
        return _beside(view, waiting, now)
    if not is_released(told):
        return End()
    if view.queued:
        return Wait()
    batch = _batch(view)
    if view.strategy.name == "direct" and told and not batch:
        if view.several:
            return _left(view, told)
        return Nobody()  # whom was suggested may not be asked
    if told and _is_enough(view, now):
        return _left(view, told)
    if batch:
        return Ask(batch, view.wave + 1)
    if view.strategy.name == "direct":
        return End() if view.prospects else Nobody()
    if view.extendable and (told or not view.prospects):
        return Look()
    if told:
        return _left(view, told)
    return End() if view.prospects else Nobody()


def _left(view: View, told: Sequence[Child]) -> Step:
    """When nobody else is asked: a person looks, unless a place on a waiting list is kept.

    Beside one that is apart nobody is called: it may have taken the need on, and nobody is told whether.
    """
    if any(child.kept for child in told):
        return Wait()
    return Nobody() if any(child.apart for child in view.children) else Queue()


def _is_enough(view: View, now: datetime) -> bool:
    """Whether it was tried long enough, so that nobody else is asked, but whom a person suggests."""
    if any(each.suggested and each.is_left for each in view.prospects):
        return False
    ends = [view.opened_at + view.strategy.days, *([view.until] if view.until else [])]
    return view.wave >= view.strategy.hops or now >= min(ends)


def _beside(view: View, waiting: Sequence[Child], now: datetime) -> Step:
    """While somebody is asked: another wave, or the choice between offers."""
    if view.asked_at is None:
        return Wait()
    due = view.asked_at + view.strategy.every
    if view.strategy.name == "broadcast-choose":
        if not any(child.offered for child in waiting):
            return Wait()
        return Choose() if now >= due or all(child.offered for child in waiting) else Wait(due)
    if view.strategy.name != "waves" or view.wave >= view.strategy.hops:
        return Wait()
    batch = _batch(view)
    if not batch:
        return Wait()
    return Ask(batch, view.wave + 1) if now >= due else Wait(due)


def _batch(view: View) -> tuple[int, ...]:
    """Ranks of who is asked next."""
    left = [each for each in view.prospects if each.is_left]
    left = [each for each in left if each.suggested] or left
    told = [each.rank for each in left if not each.apart]
    along = [each.rank for each in left if each.apart]
    match view.strategy.name:
        case "direct" | "sequential":
            size = 1
        case "waves":
            sizes = view.strategy.waves
            size = sizes[min(view.wave, len(sizes) - 1)]
        case _:
            size = view.strategy.at_once
    return tuple(sorted((*told[:size], *along)))
