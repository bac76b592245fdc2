"""Subscriptions as they stand: what each asks for, how far it was told, and who is told next.

http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

from coordhub.store.clients import MAY_ACT, Bounds
from coordhub.store.engine import Connection

Channel: TypeAlias = Literal["rest-hook", "websocket", "email"]


@dataclass(frozen=True, slots=True)
class Config:
    """What a Subscription asks for.

    topic: its canonical, "" if it is by criteria of R4. queries: searches, one for each type.
    level: how much is told (`empty`, `id-only`, `full-resource`), "" where nothing is but that there is
    something. heartbeat, timeout: seconds, 0 where none is said. most: events in one notification.
    deletions: whether it is told of them, too.
    """

    topic: str
    queries: tuple[str, ...]
    endpoint: str
    headers: tuple[str, ...]
    level: str
    heartbeat: int
    timeout: int
    most: int
    deletions: bool = False

    def as_text(self) -> str:
        return json.dumps(asdict(self))


def config_of(text: str) -> Config:
    read: dict[str, Any] = json.loads(text)
    return Config(**{**read, "queries": tuple(read["queries"]), "headers": tuple(read["headers"])})


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A Subscription as it stands. event: number of its last event, sent: of the last that was told.
    failures: in a row. since: when it was first reached; None: not yet.

    message: of what is being told, the same however often it is tried. trying: number of the last event
    in it, so that a message that is tried again holds what it held. again_from, again_until: numbers that
    were asked for again. bounds: what the client that asks for it may read; None: nobody asks for it.
    """

    rid: int
    organization: int
    state: str
    config: Config
    until: datetime | None
    event: int
    sent: int
    failures: int
    since: datetime | None
    channel: Channel = "rest-hook"
    message: UUID | None = None
    trying: int | None = None
    again_from: int | None = None
    again_until: int | None = None
    bounds: Bounds | None = None

    @property
    def kinds(self) -> list[str]:
        """Types it is told of."""
        return [query.partition("?")[0] for query in self.config.queries]

    @property
    def is_again(self) -> bool:
        """Whether what is told now was told before, and was asked for again."""
        return self.again_from is not None and (self.trying or 0) <= self.sent


REPRESENTED = "exists (select from client k where k.id = s.client and {})".format(
    MAY_ACT.format(permission="s.permission", organization="s.organization")
)
"""Whether the client that asked for it may still act for whom it tells: who stops that stops this, too."""

COLUMNS = (
    "rid, organization, state, config, until, event, sent, failures, since, channel, message, trying,"
    " again_from, again_until, scopes, permission is not null,"
    " (select k.scopes from client k where k.id = s.client),"
    " (select a.patient from app_permission a where a.id = s.permission)"
)
"""Of `subscription s`."""


def subscribed(row: Any) -> Subscribed:
    rid, organization, state, config, *rest, asked, of_app, registered, patient = row
    bounds = None
    if asked is not None and registered is not None:
        bounds = Bounds(asked, registered, of_app, patient)
    found = Subscribed(rid, organization, state, config_of(config), *rest)
    return replace(found, bounds=bounds)


async def of_organization(conn: Connection, organization: int) -> list[Subscribed]:
    rows = await conn.fetch(
        f"select {COLUMNS} from subscription s where organization = $1 order by rid", organization
    )
    return [subscribed(row) for row in rows]


async def standing(conn: Connection, rids: list[int]) -> list[Subscribed]:
    """Those of these that are told of events."""
    rows = await conn.fetch(
        f"select {COLUMNS} from subscription s"
        f" where rid = any($1::bigint[]) and state = 'active' and {REPRESENTED}",
        rids,
    )
    return [subscribed(row) for row in rows]


async def count_others(conn: Connection, organization: int, besides: list[int]) -> int:
    """How many the organization has that are not off, besides these; until the transaction ends nobody else
    who counts them gets on."""
    await conn.execute(
        "select pg_advisory_xact_lock(hashtext('coordhub.subscriptions'), hashtext($1))",
        str(organization),
    )
    found: int = await conn.fetchval(
        "select count(*) from subscription"
        " where organization = $1 and state <> 'off' and rid <> all($2::bigint[])",
        organization,
        besides,
    )
    return found


async def claim(
    conn: Connection, now: datetime, lease: timedelta, new_id: UUID
) -> Subscribed | None:
    """One that is due to be told something, held for `lease`: a handshake, events, a heartbeat, its end.

    new_id: of the message, unless it is one that is tried again.
    """
    row = await conn.fetchrow(
        "update subscription s set lease_until = $1 + $2, message = coalesce(message, $3),"
        " trying = coalesce(trying, case when again_from is null then least(event, sent + (config::json->>'most')::int)"
        "   else least(again_until, again_from + (config::json->>'most')::int - 1) end)"
        " where rid = ("
        f" select s.rid from subscription s where state in ('requested', 'active') and {REPRESENTED}"
        "  and (next_at <= $1 or until <= $1) and (lease_until is null or lease_until <= $1)"
        "  and not exists (select from pause)"
        " order by next_at limit 1 for update skip locked)"
        f" returning {COLUMNS}",
        now,
        lease,
        new_id,
    )
    return None if row is None else subscribed(row)


async def told(
    conn: Connection, held: Subscribed, sent: int, now: datetime, next_at: datetime | None
) -> None:
    """It was told up to event `sent`; what came meanwhile is due at once. next_at: of the next heartbeat."""
    await conn.execute(
        "update subscription set sent = greatest(sent, $2), failures = 0, since = coalesce(since, $3),"
        " lease_until = null, reason = null, message = null, trying = null,"
        " next_at = case when event > $2 or again_from is not null then $3 else $4::timestamptz end where rid = $1",
        held.rid,
        sent,
        now,
        next_at,
    )


async def told_again(conn: Connection, held: Subscribed, now: datetime) -> None:
    """It was told again up to event `held.trying`; what is left of that, and what is new, is due at once."""
    await conn.execute(
        "update subscription set failures = 0, lease_until = null, reason = null, message = null, trying = null,"
        " next_at = $3,"
        " again_from = case when $2 >= again_until then null else $2 + 1 end,"
        " again_until = case when $2 >= again_until then null else again_until end"
        " where rid = $1",
        held.rid,
        held.trying,
        now,
    )


async def tell_again(
    conn: Connection, subscription: int, since: int, until: int, now: datetime
) -> bool:
    """These events (both included, told before) are due again; False while others are, or it is not active.

    A heartbeat that could not be told is not tried again: what comes has another identity.
    """
    status = await conn.execute(
        "update subscription set again_from = $2, again_until = $3, next_at = least(next_at, $4),"
        " message = case when trying > sent then message end, trying = case when trying > sent then trying end"
        " where rid = $1 and state = 'active' and again_from is null and $3 <= sent",
        subscription,
        since,
        until,
        now,
    )
    return str(status) == "UPDATE 1"


async def failed(conn: Connection, held: Subscribed, next_at: datetime, reason: str) -> None:
    """It could not be told; it is tried again then."""
    await conn.execute(
        "update subscription set failures = failures + 1, lease_until = null, next_at = $2, reason = $3"
        " where rid = $1",
        held.rid,
        next_at,
        reason,
    )
