"""Several needs of one referral in one sentence, once each has an end or a place on a waiting list.

http://hl7.org/fhir/R4/communication.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.referral import needs as needs_of
from coordhub.referral import screening
from coordhub.referral.needs import Child
from coordhub.referral.task_machine import TERMINAL

WAITLISTED: Final = "waitlisted"

_SAID: Final = {"unmet": "not met", "withdrawn": "withdrawn", WAITLISTED: "on a waiting list"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """title: what was asked for. state: as of the ledger, or WAITLISTED; "" while somebody is still at it."""

    title: str
    state: str


def title(order: Mapping[str, Any]) -> str:
    """What an order asks for, in its words, or in those of its code."""
    code = order.get("code") or {}
    said = [code.get("text"), *(one.get("display") for one in code.get("coding") or ())]
    kinds = [
        known.text
        for concept in order.get("category") or ()
        for one in concept.get("coding") or ()
        if (known := screening.needs().get(str(one.get("code")))) is not None
    ]
    return next((str(one) for one in (*said, *kinds) if one), "A need")


def outcome(title: str, state: str, children: Sequence[Child]) -> Outcome:
    """Of one need, given the Tasks that ask for it."""
    if state in needs_of.ENDED:
        return Outcome(title, state)
    live = [one for one in children if one.status not in TERMINAL]
    waits = [one for one in live if one.status == "on-hold" and one.business_status == WAITLISTED]
    return Outcome(title, WAITLISTED if waits and waits == live else "")


def said(outcomes: Sequence[Outcome]) -> str | None:
    """`2 of 3 met. Homeless: on a waiting list.`; None for one need only, or while something is under way."""
    if len(outcomes) < 2 or any(not one.state for one in outcomes):
        return None
    met = sum(one.state == "met" for one in outcomes)
    rest = "".join(f" {one.title}: {_SAID[one.state]}." for one in outcomes if one.state in _SAID)
    return f"{met} of {len(outcomes)} met.{rest}"
