"""Cards that were shown to who was about to order, and what became of them: added to, never altered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from coordhub.store.engine import Connection


class Shown(NamedTuple):
    """As the table says."""

    id: UUID
    organization: int
    client: str
    service: str
    kind: str
    system: str
    code: str
    question: str
    age_days: int


class Feedback(NamedTuple):
    """outcome: accepted or overridden. reason: of those that were offered, where it was overridden."""

    card: UUID
    outcome: str
    reason: str | None


async def show(conn: Connection, cards: Sequence[Shown], now: datetime) -> None:
    await conn.executemany(
        "insert into card (id, organization, client, service, kind, system, code, question, age_days, at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [(*one, now) for one in cards],
    )


async def feed_back(
    conn: Connection, organization: int, service: str, told: Sequence[Feedback], now: datetime
) -> int:
    """What became of the organization's own cards of this service; how many were not known before.

    What is told of a card for the second time, or of another's, changes nothing.
    """
    rows = await conn.fetch(
        "insert into card_feedback (card, at, outcome, reason)"
        " select c.id, $3, n.outcome, n.reason from unnest($4::uuid[], $5::text[], $6::text[]) n(card, outcome, reason)"
        " join card c on c.id = n.card and c.organization = $1 and c.service = $2"
        " on conflict do nothing returning card",
        organization,
        service,
        now,
        [one.card for one in told],
        [one.outcome for one in told],
        [one.reason for one in told],
    )
    return len(rows)
