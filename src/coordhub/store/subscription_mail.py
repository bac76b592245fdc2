"""When which address was last told by mail of Subscriptions, and the lock of who writes to it."""

from __future__ import annotations

from datetime import datetime, timedelta

from coordhub.store.engine import Connection
from coordhub.store.subscriptions import COLUMNS, REPRESENTED, Subscribed, subscribed


async def take(
    conn: Connection, address: str, now: datetime, lease: timedelta, every: timedelta
) -> datetime | None:
    """Hold the address for `lease`; else when it is free, at the earliest: another writes to it now, or it was
    written to within `every`."""
    done: str = await conn.execute(
        "insert into subscription_mail as m (address, lease_until) values ($1, $2)"
        " on conflict (address) do update set lease_until = $2"
        " where (m.lease_until is null or m.lease_until <= $3) and (m.told_at is null or m.told_at <= $4)",
        address,
        now + lease,
        now,
        now - every,
    )
    if done.endswith(" 1"):
        return None
    free: datetime = await conn.fetchval(
        "select greatest(told_at + $2, lease_until) from subscription_mail where address = $1",
        address,
        every,
    )
    return free


async def leave(conn: Connection, address: str, told_at: datetime | None) -> None:
    """Another may go on; not within the hour, where a mail went."""
    await conn.execute(
        "update subscription_mail set lease_until = null, told_at = coalesce($2, told_at) where address = $1",
        address,
        told_at,
    )


async def forget(conn: Connection, before: datetime) -> None:
    """Who was told last before that; not within a transaction, for the rows are other people's."""
    await conn.execute(
        "delete from subscription_mail where address in (select address from subscription_mail"
        " where told_at <= $1 and lease_until is null for update skip locked)",
        before,
    )


async def waiting(
    conn: Connection, endpoint: str, now: datetime, first: int, most: int
) -> list[Subscribed]:
    """Those with events that were not told yet at this `mailto:`, that of rid `first` before all others."""
    rows = await conn.fetch(
        f"select {COLUMNS} from subscription s where channel = 'email' and state = 'active' and {REPRESENTED}"
        " and config::json->>'endpoint' = $1 and event > sent and (until is null or until > $2)"
        " order by rid <> $3, rid limit $4",
        endpoint,
        now,
        first,
        most,
    )
    return [subscribed(row) for row in rows]


async def put_off(conn: Connection, rid: int, until: datetime) -> None:
    """It is told then, with what comes until then; unless another mail has told of all of it meanwhile."""
    await conn.execute(
        "update subscription set lease_until = null, message = null, trying = null,"
        " next_at = case when event > sent or again_from is not null then $2::timestamptz end where rid = $1",
        rid,
        until,
    )
