"""What is told to who is about to order: one card, or none; pure.

https://cds-hooks.hl7.org/2.0/#card-attributes

A card interrupts, so there is one only where asking again brings nothing new: for a result within the window
(warning), or else an order for the same that is under way (info). It says that one thing of the chart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from coordhub.insight.prior_results import Priors
from coordhub.insight.priors import Pending, Result
from coordhub.insight.same_question import LOINC

LONGEST: Final = 139
"""Characters of a summary: fewer than 140."""

SYSTEM: Final = "urn:coordhub:dup-override"
REASONS: Final[Mapping[str, str]] = {
    "treatment-change": "Treatment changed since the last test",
    "result-implausible": "Previous result implausible, or a problem with the specimen",
    "clinical-change": "Acute clinical change",
    "protocol": "Required by protocol",
    "cannot-access": "Cannot open the previous result",
}
"""Why somebody orders all the same."""

SOURCE: Final = {
    "label": "coordhub: known already",
    "topic": {
        "system": "urn:coordhub:cds-topic",
        "code": "duplicate-test",
        "display": "Test done, or ordered, already",
    },
}

Card = dict[str, Any]


def subject(found: Priors) -> Result | Pending | None:
    """What the card is about."""
    new = next((one for one in found.results if one.is_new), None)
    return new or next(iter(found.pending), None)


def card(
    about: Result | Pending,
    found: Priors,
    *,
    uuid: UUID,
    suggestion: UUID,
    order: str | None,
    base: str,
    organization: str,
    patient: str,
) -> Card:
    """order: `ServiceRequest/id` of the draft at the EHR, None if it is no draft any more or has no id.

    organization: `Organization/id` of who is about to order. patient: `Patient/id` at the hub, whose the order
    under way is.
    """
    by = plain(found.holders.get(about.version.rid, ""))
    said: Card = {
        "uuid": str(uuid),
        "source": SOURCE,
        "overrideReasons": [
            {"system": SYSTEM, "code": code, "display": text} for code, text in REASONS.items()
        ],
    }
    title = plain(about.title)
    if isinstance(about, Result):
        what = f"{title} {plain(about.value)}".strip()
        said |= {
            "summary": fitting(f"{what} was resulted {_ago(about.age)}", f" at {by}" if by else ""),
            "indicator": "warning",
            "detail": _detail(about, what, found),
        }
        if order is not None:
            action: Card = {
                "type": "delete",
                "description": f"Remove the order for {title}",
                "resourceId": order,
            }
            said |= _suggesting(suggestion, "Use what is there, remove this order", action)
        return said
    said |= {
        "summary": fitting(
            f"{title} already ordered {_ago(about.age)}",
            f" by {by}" if by else "",
            ", result pending",
        ),
        "indicator": "info",
    }
    copy = {
        "resourceType": "CommunicationRequest",
        "status": "active",
        "subject": {"reference": f"{base}/{patient}"},
        "about": [{"reference": f"{base}/{about.version.reference}"}],
        "recipient": [{"reference": f"{base}/{organization}"}],
    }
    action = {"type": "create", "description": "Ask for a copy of the result", "resource": copy}
    return said | _suggesting(suggestion, "Copy me on the result", action)


def _suggesting(uuid: UUID, label: str, action: Card) -> Card:
    one = {"label": label, "uuid": str(uuid), "isRecommended": True, "actions": [action]}
    return {"selectionBehavior": "at-most-one", "suggestions": [one]}


def _detail(about: Result, what: str, found: Priors) -> str:
    codes = sorted(code for system, code in about.codes if system == LOINC)
    coded = f" (LOINC {marked(codes[0])})" if codes else ""
    status = marked(plain(str(about.document["status"])))
    window = found.question.window
    assert window is not None
    return (
        f"**{marked(what)}**{coded}, taken {about.taken.date().isoformat()}, {status}. "
        f"Usual minimum retest interval: {window.days} days."
    )


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


def fitting(head: str, middle: str, tail: str = "") -> str:
    """Shortened in the middle, which matters least, then at the head."""
    room = LONGEST - len(head) - len(tail)
    if len(middle) > room:
        middle = f"{middle[: room - 1].rstrip()}…" if room > 12 else ""
    room = LONGEST - len(middle) - len(tail)
    if len(head) > room:
        head = f"{head[: room - 1].rstrip()}…"
    return f"{head}{middle}{tail}"


def plain(text: str) -> str:
    """One line of what partners wrote."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def marked(text: str) -> str:
    """The same where Markdown is read."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~])", r"\\\1", text)
