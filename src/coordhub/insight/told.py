"""That an organization was told what a person has already, before it referred: for the ledger of what that bought.

Kept is what it was told of, of whom, and for which kind of service; and, where it says so, whether it left it at
that or went on, and why, in a code. See docs/measures.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from coordhub.insight.duplicates import Duplicate
from coordhub.referral.wanted import codes
from coordhub.store import cards, parties
from coordhub.store.engine import Connection

AGAIN_DAYS: Final = 30
"""So long after having been told, a referral for the same is one too many."""

REASONS: Final = {
    "not-served-any-more": "It is not served there any more",
    "not-enough": "What it has is not enough",
    "for-somebody-else": "It is for somebody else of the household",
    "wants-another": "It wants another service",
    "other": "Another reason",
}
"""Why somebody refers all the same, as it can be chosen."""

Document = Mapping[str, Any]


async def keep(
    conn: Connection,
    organization: int,
    client: str,
    door: str,
    request: Document,
    subject: int,
    evidence: Sequence[Duplicate],
    now: datetime,
) -> UUID | None:
    """Number of the entry; None where none is kept: of no kind, or told to a victim service provider.

    door: where it was told. subject: rid of the Patient.
    """
    coded = sorted(code for name in ("category", "code") for code in codes(request.get(name)))
    if not evidence or not coded or await parties.kind_of(conn, organization) == "vsp":
        return None
    first = evidence[0]
    days = 0 if first.since is None else max(0, (now - first.since).days)
    system, code = coded[0]
    told = cards.Shown(
        uuid4(), organization, client, door, "service", system, code, first.code, days, subject,
        AGAIN_DAYS,
    )  # fmt: skip
    await cards.show(conn, [told], now)
    return told.id
