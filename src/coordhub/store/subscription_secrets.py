"""Secrets of subscriptions: what their notifications are signed with.

Kept beside the Subscription and not in it: no read, no history and no export shows them; and sealed, so that no dump
of the database does.
"""

from __future__ import annotations

from datetime import datetime

from coordhub.store import sealed
from coordhub.store.engine import Connection


async def valid(conn: Connection, subscription: int, now: datetime) -> list[bytes]:
    """The one in use first; the one before it as long as it signs beside it."""
    rows = await conn.fetch(
        "select id, secret from subscription_secret where subscription = $1 and (until is null or until > $2)"
        " order by until desc nulls first",
        subscription,
        now,
    )
    return [await _opened(conn, number, subscription, stored) for number, stored in rows]


async def seal_anew(conn: Connection) -> int:
    """All that are under a former key, or under none, by the one that seals now; how many cannot be opened."""
    unreadable = 0
    for number, subscription, stored in await conn.fetch(
        "select id, subscription, secret from subscription_secret order by id"
    ):
        try:
            await _opened(conn, number, subscription, stored)
        except sealed.UnreadableError:
            unreadable += 1
    return unreadable


async def _opened(conn: Connection, number: int, subscription: int, stored: bytes) -> bytes:
    box = sealed.in_use()
    opened = box.open(_row(subscription), stored)
    if not opened.is_current:
        await conn.execute(
            "update subscription_secret set secret = $3 where id = $1 and secret = $2",
            number,
            stored,
            box.seal(_row(subscription), opened.secret),
        )
    return opened.secret


def _row(subscription: int) -> str:
    return f"subscription {subscription}"


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
        sealed.in_use().seal(_row(subscription), secret),
        now,
    )
    return str(status) == "UPDATE 1"
