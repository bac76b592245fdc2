"""Mailboxes: whose turn it is to be written to, what one mail told of, and the links in it.

A mail tells of all that waits for an organization at one address: each of these deliveries is then told,
by whichever of them it was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection

MOST: Final = 200
"""Deliveries that one mail tells of."""

KEPT: Final = timedelta(days=30)
"""Links are forgotten so long after they stopped to open anything."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is open. task: rid of the Task that its organization has of it; None: it has none."""

    delivery: UUID
    task: int | None


@dataclass(frozen=True, slots=True)
class Link:
    """hash: SHA-256 of its token."""

    hash: bytes
    organization: int
    task: int
    delivery: UUID


async def is_told(conn: Connection, delivery: UUID) -> bool:
    """Whether a mail told of it that was sent because of another."""
    found: bool = await conn.fetchval(
        "select exists (select from told_by_mail where delivery = $1)", delivery
    )
    return found


async def last_told(conn: Connection, endpoint: int, organization: int) -> datetime | None:
    found: datetime | None = await conn.fetchval(
        "select told_at from mailbox where endpoint = $1 and organization = $2",
        endpoint,
        organization,
    )
    return found


async def take(
    conn: Connection,
    endpoint: int,
    organization: int,
    now: datetime,
    lease: timedelta,
    told_before: datetime,
) -> bool:
    """Hold the mailbox for `lease`; False if another does, or it was written to after `told_before`."""
    done: str = await conn.execute(
        "insert into mailbox (endpoint, organization, lease_until) values ($1, $2, $3)"
        " on conflict (endpoint, organization) do update set lease_until = $3"
        " where (mailbox.lease_until is null or mailbox.lease_until <= $4)"
        "  and (mailbox.told_at is null or mailbox.told_at <= $5)",
        endpoint,
        organization,
        now + lease,
        now,
        told_before,
    )
    return done.endswith(" 1")


async def waiting(conn: Connection, endpoint: int, organization: int) -> list[Waiting]:
    """All that is open for it there, oldest first, with what its organization has of each: the Task itself,
    the one that asks it, or its own referral."""
    rows = await conn.fetch(
        "select d.id, coalesce("
        f"  (select r.rid from resource r where r.rid = d.rid and r.type = {NUMBER['Task']}),"
        "  (select c.task from candidate c where c.episode = d.episode and c.organization = d.organization"
        "   order by c.ordinal desc limit 1),"
        "  (select e.id from episode e where e.id = d.episode and e.requester = d.organization))"
        " from delivery d where d.endpoint = $1 and d.organization = $2"
        "  and d.state in ('queued', 'leased', 'parked') order by d.seq limit $3",
        endpoint,
        organization,
        MOST,
    )
    return [Waiting(*row) for row in rows]


async def issue(
    conn: Connection, links: Sequence[Link], now: datetime, lifetime: timedelta
) -> None:
    """Let these open what they are for, until their time is over."""
    await conn.execute("delete from link where until < $1", now - KEPT)
    await conn.executemany(
        "insert into link (hash, organization, task, delivery, created_at, until)"
        " values ($1, $2, $3, $4, $5, $6)",
        [
            (one.hash, one.organization, one.task, one.delivery, now, now + lifetime)
            for one in links
        ],
    )


async def told(
    conn: Connection,
    endpoint: int,
    organization: int,
    notice: UUID,
    deliveries: Sequence[UUID],
    now: datetime,
) -> None:
    """The mail of `notice` was taken, and told of these besides, which are settled at once."""
    async with conn.transaction():
        await conn.execute(
            "insert into told_by_mail (delivery, notice, at) select d, $2, $3"
            " from unnest($1::uuid[]) d on conflict do nothing",
            list(deliveries),
            notice,
            now,
        )
        await conn.execute(
            "update mailbox set told_at = $3, lease_until = null"
            " where endpoint = $1 and organization = $2",
            endpoint,
            organization,
            now,
        )
    await hurry(conn, deliveries, now)


async def hurry(conn: Connection, deliveries: Sequence[UUID], now: datetime) -> None:
    """Those of them that a mail has told of wait for nothing more.

    For who has told, once that is committed, and for who has put off one: whichever comes later sees both.
    """
    await conn.execute(
        "update delivery d set next_at = $2 where d.id = any($1::uuid[]) and d.next_at > $2"
        " and d.state in ('queued', 'parked')"
        " and exists (select from told_by_mail t where t.delivery = d.id)",
        list(deliveries),
        now,
    )


async def leave(conn: Connection, endpoint: int, organization: int) -> None:
    """Nothing was told; another may try."""
    await conn.execute(
        "update mailbox set lease_until = null where endpoint = $1 and organization = $2",
        endpoint,
        organization,
    )
