"""By which request changes came, kept only while the hub traces."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from coordhub.store.engine import Connection


async def of_episode(conn: Connection, episode: int) -> list[str]:
    """traceparents of the changes of an episode that are not relayed yet, oldest first."""
    rows = await conn.fetch(
        "select t.parent from change c join trace t on t.rid = c.rid and t.version = c.version"
        " where c.episode = $1 and c.relayed_at is null order by c.seq",
        episode,
    )
    return list(dict.fromkeys(row[0] for row in rows))


async def of_delivery(conn: Connection, delivery: UUID) -> str | None:
    """traceparent of the change because of which something is delivered."""
    found: str | None = await conn.fetchval(
        "select t.parent from delivery d join change c on c.seq = d.change"
        " join trace t on t.rid = c.rid and t.version = c.version where d.id = $1",
        delivery,
    )
    return found


async def forget(conn: Connection, before: datetime) -> None:
    """Those from before this instant."""
    await conn.execute("delete from trace where at < $1", before)
