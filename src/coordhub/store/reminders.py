"""What organizations are to be reminded of, and what they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Reminder:
    """subject: rid of the Task that it refers to. kind: of the timer that has run out."""

    id: int
    episode: int | None
    subject: int
    kind: str


async def add(
    conn: Connection,
    organization: int,
    episode: int | None,
    subject: int,
    waited_for: int,
    kind: str,
    now: datetime,
) -> None:
    """subject: rid of the Task it refers to. waited_for: of the one that the timer is about."""
    await conn.execute(
        "insert into reminder (shard, organization, episode, subject, waited_for, kind, at)"
        " values (($3::bigint & 255)::smallint, $1, $2, $3, $4, $5, $6)",
        organization,
        episode,
        subject,
        waited_for,
        kind,
        now,
    )


async def last_told(conn: Connection, organization: int) -> datetime | None:
    """When this organization was last reminded of anything."""
    found: datetime | None = await conn.fetchval(
        "select max(told_at) from reminder where organization = $1 and communication is not null",
        organization,
    )
    return found


async def waiting(conn: Connection, organization: int) -> list[Reminder]:
    """What it is to be reminded of, oldest first; without what has been done meanwhile."""
    rows = await conn.fetch(
        "select r.id, r.episode, r.subject, r.kind from reminder r"
        " where r.organization = $1 and r.told_at is null and exists"
        " (select from timer t where t.subject = r.waited_for and t.kind = r.kind) order by r.id",
        organization,
    )
    return [Reminder(*row) for row in rows]


async def episodes_waiting(conn: Connection, organization: int) -> list[int]:
    """The referrals that these are about, in the order in which they are locked."""
    rows = await conn.fetch(
        "select distinct episode from reminder where organization = $1 and told_at is null"
        " and episode is not null order by episode",
        organization,
    )
    return [row[0] for row in rows]


async def told(
    conn: Connection,
    organization: int,
    ids: Sequence[int],
    communication: int | None,
    episodes: Sequence[int],
    now: datetime,
) -> None:
    """These were told by this Communication; what else waited of these referrals, or of none, had become
    pointless, as far as its timer is gone."""
    await conn.execute(
        "update reminder r set told_at = $5, communication = case when id = any($2::bigint[]) then $3::bigint end"
        " where organization = $1 and told_at is null and (id = any($2::bigint[])"
        "   or (episode is null or episode = any($4::bigint[])) and not exists"
        "     (select from timer t where t.subject = r.waited_for and t.kind = r.kind))",
        organization,
        list(ids),
        communication,
        list(episodes),
        now,
    )
