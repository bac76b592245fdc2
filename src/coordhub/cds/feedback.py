"""What became of a card: kept for the ledger of what the cards bought.

https://cds-hooks.hl7.org/2.0/#feedback

What is written in words is not kept: it may say anything of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from coordhub.access.caller import Caller
from coordhub.cds.cards import REASONS, SYSTEM
from coordhub.cds.context import Context
from coordhub.cds.hooks import is_uuid
from coordhub.cds.services import Service
from coordhub.errors import FhirError, Issue
from coordhub.store import cards
from coordhub.store.cards import Feedback

MOST: Final = 100
"""Of one call."""


def read(document: Mapping[str, Any]) -> list[Feedback]:
    """400 with every fault at once."""
    listed = document.get("feedback")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
        raise FhirError(400, Issue("required", f"Send 1 to {MOST} of them.", "feedback"))
    faults: list[Issue] = []
    found: dict[UUID, Feedback] = {}
    for place, one in enumerate(listed):
        at = f"feedback[{place}]"
        stated = one if isinstance(one, Mapping) else {}
        if not is_uuid(stated.get("card")):
            faults.append(Issue("value", "The uuid of the card that it is about.", f"{at}.card"))
        if stated.get("outcome") not in ("accepted", "overridden"):
            faults.append(Issue("value", "accepted or overridden.", f"{at}.outcome"))
        if faults:
            continue
        card, outcome = UUID(stated["card"]), stated["outcome"]
        reason = _reason(stated) if outcome == "overridden" else None
        found.setdefault(card, Feedback(card, outcome, reason))
    if faults:
        raise FhirError(400, *faults)
    return list(found.values())


def _reason(stated: Mapping[str, Any]) -> str | None:
    """Of those that were offered."""
    given = stated.get("overrideReason")
    coding = given.get("reason") if isinstance(given, Mapping) else None
    if not isinstance(coding, Mapping) or coding.get("system", SYSTEM) != SYSTEM:
        return None
    code = coding.get("code")
    return code if isinstance(code, str) and code in REASONS else None


async def keep(context: Context, caller: Caller, service: Service, told: list[Feedback]) -> None:
    """Of the caller's own cards; what is told of others changes nothing, and says nothing."""
    hub = context.hub
    async with hub.engine.pool.acquire() as conn:
        await cards.feed_back(conn, caller.organization, service.id, told, hub.clock())
