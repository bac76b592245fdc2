"""Who hears what is said about a referral.

http://hl7.org/fhir/R4/communication.html
http://hl7.org/fhir/uv/cow (awaiting information)

Two talk: who refers, and who is asked or at work. What a recipient says, the sender hears, and no
other recipient; what the sender says, those hear whom it names or answers, or else who has taken it
on, or else all who are asked; and of what it says about one of several needs only who is asked for that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from coordhub.referral.episode import BUSINESS_STATUS_SYSTEM
from coordhub.referral.task_machine import TERMINAL, WON

QUESTION = "awaiting-information"
ANSWERED = "information-received"

QUESTIONS = frozenset(
    {
        (BUSINESS_STATUS_SYSTEM, QUESTION),
        ("http://hl7.org/fhir/uv/cow/CodeSystem/temp", QUESTION),
    }
)
"""Codes by which a Communication says that its sender cannot go on without an answer."""

DECLINED = frozenset({"rejected", "cancelled", "entered-in-error"})
"""Whoever is out of a referral hears no more of it; whoever has served somebody may be asked about it."""

_UNSAID = frozenset({"preparation", "not-done", "on-hold", "stopped", "unknown"})
"""Statuses of a Communication that was not sent."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One recipient of a referral. status: of the Task that asks it, as the ledger has it. about: whether
    what is said is about what it is asked for."""

    organization: int
    status: str
    about: bool = True


def hearers(
    author: int, requester: int, asked: Sequence[Asked], meant: AbstractSet[int]
) -> frozenset[int]:
    """Organizations that hear what `author` says; none if it has no part in the referral.

    meant: whom it names as recipient, and who said what it answers.
    """
    if author != requester:
        part = any(one.organization == author for one in asked)
        return frozenset({requester}) if part else frozenset()
    named = [one for one in asked if one.organization in meant and one.status not in DECLINED]
    if named:
        return frozenset(one.organization for one in named) - {author}
    live = [one for one in asked if one.about and one.status not in TERMINAL]
    working = [one for one in live if one.status in WON]
    return frozenset(one.organization for one in working or live) - {author}


def is_said(document: Mapping[str, Any]) -> bool:
    """Whether this Communication was sent, and is not only being written."""
    return document.get("status") not in _UNSAID


def is_question(document: Mapping[str, Any]) -> bool:
    """Whether its sender waits for an answer: by topic, reason or category."""
    concepts = [
        document.get("topic"),
        *_listed(document.get("reasonCode")),
        *_listed(document.get("category")),
    ]
    return any(pair in QUESTIONS for pair in _codings(concepts))


def waits_at(status: str) -> str | None:
    """The status of a Task whose owner waits for an answer; None: it stays, or has ended.

    Who has not answered yet stays with the question; whoever has begun pauses.
    """
    return {"requested": "received", "in-progress": "on-hold"}.get(status)


def _listed(element: Any) -> list[Any]:
    return element if isinstance(element, list) else []


def _codings(concepts: Collection[Any]) -> list[tuple[Any, Any]]:
    return [
        (coding.get("system"), coding.get("code"))
        for concept in concepts
        if isinstance(concept, dict)
        for coding in _listed(concept.get("coding"))
        if isinstance(coding, dict)
    ]
