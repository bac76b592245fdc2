"""When somebody counts as not to be reached: how often, on how many days and by how many ways it was tried.

http://hl7.org/fhir/R4/communication.html, http://hl7.org/fhir/R4/valueset-communication-not-done-reason.html

An attempt in vain is a Communication that was `not-done`, as its recipient was unavailable or its number is
wrong: `sent` says when, `medium` by which way. How many are enough is data (deadlines.json).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.r4.interval import parse_instant
from coordhub.referral.calendar import Calendar, Duration

TRIED: Final = "contact-attempted"
"""Business status of a Task whose owner has tried in vain so far."""

NOT_REACHED: Final = "cannot-contact"

NOT_DONE: Final = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason"
_IN_VAIN: Final = frozenset({"recipient-unavailable", "invalid-phone-number"})

OVER: Final = frozenset(
    {
        "", "matched", "in-service", "information-received", "appointment-missed",
        "appointment-cancelled",
    }
)  # fmt: skip
"""What a Task says that `contact-attempted` may follow; what somebody waits for is not said over."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Term:
    """How many attempts are enough, on how many days and by how many ways, all within this time."""

    attempts: int
    days: int
    channels: int
    within: Duration


@dataclass(frozen=True, slots=True)
class Attempt:
    """at: when it was. channels: by which ways; none where that is not said."""

    at: datetime
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tally:
    attempts: int
    days: int
    channels: int

    def is_enough(self, term: Term) -> bool:
        return (
            self.attempts >= term.attempts
            and self.days >= term.days
            and self.channels >= term.channels
        )

    def said(self, term: Term) -> str:
        return (
            f"{self.attempts} of {term.attempts} attempts, on {self.days} of {term.days} days, "
            f"by {self.channels} of {term.channels} ways"
        )


def is_attempt(document: Document) -> bool:
    """Whether this Communication tells that somebody was tried to be reached, in vain."""
    reason = document.get("statusReason")
    return document.get("status") == "not-done" and any(
        coding.get("system") == NOT_DONE and coding.get("code") in _IN_VAIN
        for coding in _codings(reason)
    )


def attempt(document: Document, since: datetime, now: datetime) -> Attempt | None:
    """The attempt that this tells of; None where it does not say when, or not a time from `since` to `now`."""
    said = document.get("sent")
    span = parse_instant(said) if isinstance(said, str) else None
    if span is None or span.low > now or span.high < since:
        return None
    return Attempt(max(span.low, since), frozenset(_ways(document)))


def tally(attempts: Collection[Attempt], term: Term, calendar: Calendar) -> Tally:
    """What counts of these: what was within the term of the last of them; the same told twice is one."""
    last = max((one.at for one in attempts), default=None)
    counted = {
        one for one in attempts if last is not None and calendar.after(one.at, term.within) >= last
    }
    days = {calendar.local(one.at).date() for one in counted}
    ways = frozenset[str]().union(*(one.channels for one in counted))
    return Tally(len(counted), len(days), len(ways))


def _ways(document: Document) -> Iterator[str]:
    """One for each medium: its first code (v3-ParticipationMode), else its words."""
    for concept in document.get("medium") or ():
        if not isinstance(concept, Mapping):
            continue
        code = next((str(one["code"]) for one in _codings(concept) if one.get("code")), "")
        if word := code or str(concept.get("text") or "").strip().casefold():
            yield word


def _codings(concept: object) -> list[Mapping[str, Any]]:
    found = concept.get("coding") if isinstance(concept, Mapping) else None
    return [one for one in found or () if isinstance(one, Mapping)]
