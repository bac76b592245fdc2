"""Secrets of subscriptions: what their notifications are signed with.

Kept beside the Subscription and not in it: no read, no history and no export shows them.
"""

from __future__ import annotations

from datetime import datetime

from coordhub.store.engine import Connection


async def valid(conn: Connection, subscription: int, now: datetime) -> list[bytes]:
    """The one in use first; the one before it as long as it signs beside it."""
    rows = await conn.fetch(
        "select secret from subscription_secret where subscription = $1 and (until is null or until > $2)"
        " order by until desc nulls first",
        subscription,
        now,
    )
    return [row[0] for row in rows]


async def replace(
    conn: Connection, subscription: int, secret: bytes, now: datetime, until: datetime
) -> bool:
    """From now on this one; the one before until then, and none older. Whether there was one before.

    In a transaction: who replaces it at the same time comes after.
    """
    await conn.execute("select from subscription where rid = $1 for update", subscription)
    await conn.execute(
        "delete from subscription_secret where subscription = $1 and until is not null",
        subscription,
    )
    status = await conn.execute(
        "update subscription_secret set until = $2 where subscription = $1 and until is null",
        subscription,
        until,
    )
    await conn.execute(
        "insert into subscription_secret (subscription, shard, secret, since)"
        " values ($1::bigint, ($1::bigint & 255)::smallint, $2, $3)",
        subscription,
        secret,
        now,
    )
    return str(status) == "UPDATE 1"
