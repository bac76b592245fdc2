"""Cards that were shown to who was about to order, and what became of them: added to, never altered.

`told` reads them for the report of an organization on what they spared it: its own only. An order that makes a
card vain counts as far as that organization sees it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from coordhub.r4 import types
from coordhub.r4.parameters import parameters
from coordhub.store.engine import Connection
from coordhub.store.visibility import HUB, Viewer, visible


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
    patient: int
    window_days: int


class Told(NamedTuple):
    """A card, what became of it, and what was its price then; None where nobody said."""

    card: Shown
    at: datetime
    outcome: str | None
    reason: str | None
    amount: Decimal | None
    currency: str | None


class Feedback(NamedTuple):
    """outcome: accepted or overridden. reason: of those that were offered, where it was overridden."""

    card: UUID
    outcome: str
    reason: str | None


async def show(conn: Connection, cards: Sequence[Shown], now: datetime) -> None:
    await conn.executemany(
        "insert into card (id, organization, client, service, kind, system, code, question, age_days, patient,"
        " window_days, at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
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


async def told(conn: Connection, viewer: Viewer, start: datetime, end: datetime) -> list[Told]:
    """The viewer's organization's own, shown in [start, end), oldest first."""
    rows = await conn.fetch(
        "select c.id, c.organization, c.client, c.service, c.kind, c.system, c.code, c.question, c.age_days,"
        " c.patient, c.window_days, c.at, f.outcome, f.reason, p.amount, p.currency"
        " from card c left join card_feedback f on f.card = c.id"
        " left join lateral (select amount, currency from price p where p.system = c.system and p.code = c.code"
        "  and p.since <= c.at::date order by p.since desc limit 1) p on true"
        " where c.organization = $1 and c.at >= $2 and c.at < $3 order by c.at, c.id",
        viewer.organization,
        start,
        end,
    )
    width = len(Shown._fields)
    return [Told(Shown(*row[:width]), *row[width:]) for row in rows]


class Ordering(NamedTuple):
    """Whether one of these codes (system, code) was ordered for one of these Patients (rids) in (since, until).

    referred: only what was referred counts, from when it was.
    """

    card: UUID
    patients: Collection[int]
    codes: Collection[tuple[str, str]]
    since: datetime
    until: datetime
    referred: bool


async def ordered(conn: Connection, viewer: Viewer, asked: Sequence[Ordering]) -> set[UUID]:
    """Cards after which an order for the same came, by anybody, as far as the viewer sees it."""
    if not asked:
        return set()
    whose = [(one.card, rid) for one in asked for rid in one.patients]
    what = [(one.card, *code) for one in asked for code in one.codes]
    known = parameters("ServiceRequest")
    condition, arguments = visible(viewer, "r", 10)
    rows = await conn.fetch(
        "select distinct w.card"
        " from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::bool[]) w(card, since, until, referred)"
        " join unnest($5::uuid[], $6::bigint[]) p(card, rid) on p.card = w.card"
        " join unnest($7::uuid[], $8::text[], $9::text[]) k(card, uri, code) on k.card = w.card"
        " join code_system s on s.uri = k.uri"
        f" join resource r on r.patient = p.rid and r.type = {types.NUMBER['ServiceRequest']}"
        f" and r.body is not null and r.source <> {HUB}"
        " join idx_token i on i.rid = r.rid and i.shard = r.shard and i.system = s.id and i.code = k.code"
        f" and i.param in ({known['code'].id}, {known['category'].id})"
        " cross join lateral (select (select min(n.opened_at) from need n where n.request = r.rid) as referred,"
        "  coalesce((select min(v.updated) from resource_version v where v.rid = r.rid and v.shard = r.shard),"
        "   r.updated) as created) t"
        " where case when w.referred then t.referred else coalesce(t.referred, t.created) end > w.since"
        " and case when w.referred then t.referred else coalesce(t.referred, t.created) end < w.until"
        " and not exists (select 1 from idx_token t where t.rid = r.rid and t.shard = r.shard"
        f"  and t.param = {known['status'].id} and t.code in ('revoked', 'entered-in-error', 'draft'))"
        f" and {condition}",
        [one.card for one in asked],
        [one.since for one in asked],
        [one.until for one in asked],
        [one.referred for one in asked],
        [card for card, _ in whose],
        [rid for _, rid in whose],
        [card for card, *_ in what],
        [uri for _, uri, _ in what],
        [code for *_, code in what],
        *arguments,
    )
    return {row[0] for row in rows}
