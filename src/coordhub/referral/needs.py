"""One thing asked for, and where it stands: a need and the Tasks that ask somebody to meet it.

http://hl7.org/fhir/R4/servicerequest.html

A referral has one need or several, each with a ServiceRequest of its sender's, and each comes to an
end by itself: met by whoever completed its Task, unmet when nobody is left to be asked, or withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.referral.task_machine import TERMINAL, WON

STATES: Final = ("open", "won", "queued", "met", "unmet", "withdrawn")
"""open: somebody is asked or is to be. won: somebody has taken it on. queued: a person looks for
somebody. met, unmet, withdrawn: it has ended."""

ENDED: Final = frozenset({"met", "unmet", "withdrawn"})

WITHDRAWALS: Final = frozenset(
    {
        "requester-cancelled",
        "consent-withdrawn",
        "no-longer-needed",
        "client-declined",
        "safety",
        "duplicate-service",
    }
)
"""The sender, or the person, does not want it any more, or it is had by another referral: a withdrawal, not
a lack of providers."""

BEATEN: Final = frozenset({"not-selected", "not-wanted", "given-back", "expired", "undeliverable"})
"""Out of the race before the end, so no evidence why it ended."""

PLACE_KEPT: Final = "place-kept"
"""Reason of a Task on hold whose owner keeps a place on its waiting list, while others are asked."""

_ASKED = frozenset({"draft", "requested", "received"})

Output = Mapping[str, Any]
"""One Task.output, as it stands in the document."""


@dataclass(frozen=True, slots=True)
class Child:
    """A T2 as it stands.

    task: its reference, `Task/id`.
    need: key of what it is asked for; children of one need compete.
    reason: code of statusReason, "" when absent or not one of ours.
    business_status: a code of episode.BUSINESS_STATUSES when the child tells more than its status.
    apart: asks a victim service provider, of whose answer nobody learns: not by T1, not by what
    becomes of its siblings, not by what the requester may do.
    offered: accepted where one of several offers is chosen, and not chosen yet: it has won nothing.
    begun: work had begun, whatever came after it.
    """

    task: str
    status: str
    need: str = ""
    reason: str = ""
    business_status: str = ""
    outputs: tuple[Output, ...] = ()
    apart: bool = False
    offered: bool = False
    begun: bool = False

    @property
    def kept(self) -> bool:
        """On the waiting list of its owner, who keeps the place while others are asked: it has won nothing."""
        return self.status == "on-hold" and self.reason == PLACE_KEPT


@dataclass(frozen=True, slots=True)
class Need:
    """What of a need stands in none of its children.

    more: when nobody is asked any more, somebody else is (the strategy says so).
    queued: a person is asked to find a provider.
    reason: code of task_machine.REASONS why nobody could be asked, where nobody was.
    """

    key: str
    more: bool = False
    queued: bool = False
    reason: str = ""


def is_followed(strategy: str, *, suggested: bool, several: bool, apart: bool) -> bool:
    """Whether somebody else is asked or looked for when whoever was asked declines.

    Not where the sender named one alone: it hears so at once, as its referral ends. Of several needs the
    referral goes on, so that somebody is to say what becomes of this one. suggested: whom to ask next is
    known. several: it is not the only need. apart: it asks a victim service provider, and nothing follows.
    """
    return strategy != "direct" or suggested or (several and not apart)


def is_asked(child: Child) -> bool:
    """Whether its owner's answer is waited for, or a choice between offers."""
    return child.status in _ASKED or child.offered


def is_won(child: Child) -> bool:
    """Whether its owner has taken the need on and is not done."""
    won = child.status in WON and child.status not in TERMINAL
    return won and not child.offered and not child.kept


def is_withdrawn(child: Child) -> bool:
    """Whether it ended because what it is asked for is not wanted any more."""
    return child.status == "cancelled" and child.reason in WITHDRAWALS


def is_released(children: Iterable[Child]) -> bool:
    """Whether what these children of one need came to leaves it for somebody else to meet.

    Not while one of them is live, but for a place that is kept; not once it is met, begun and broken
    off, or not wanted any more.
    """
    return not any(
        (child.status not in TERMINAL and not child.kept)
        or child.status in ("completed", "entered-in-error")
        or is_withdrawn(child)
        or child.begun
        for child in children
        if not child.apart
    )


def is_open(need: Need, children: Iterable[Child]) -> bool:
    """Whether the need has not ended, by those of the children that are its own."""
    own = [child for child in children if child.need == need.key and not child.apart]
    if not own:
        return not need.reason
    if any(child.status not in TERMINAL for child in own):
        return True
    if any(child.status == "completed" for child in own):
        return False
    return need.queued or (need.more and is_released(own))


def state(need: Need, children: Sequence[Child], parent: str) -> str:
    """The need's state (STATES). parent: status of T1 after the change.

    What became of a child that is apart shows nowhere: as long as T1 is open, so is its need.
    """
    own = [child for child in children if child.need == need.key]
    told = [child for child in own if not child.apart]
    done = any(child.status == "completed" for child in told)
    withdrawn = any(is_withdrawn(child) for child in told)
    if parent in TERMINAL:
        if done:
            return "met"
        return "withdrawn" if withdrawn or parent in ("cancelled", "entered-in-error") else "unmet"
    if any(is_won(child) for child in told):
        return "won"  # also where another one was done late, after it was cancelled
    if done:
        return "met"
    if need.queued and is_released(told):
        return "queued"
    if is_open(need, children) or len(told) < len(own):
        return "open"
    return "withdrawn" if withdrawn else "unmet"
