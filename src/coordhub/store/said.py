"""What somebody said in the course of a referral, as statements."""

from __future__ import annotations

from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection
from coordhub.store.resources import Version, read_rids
from coordhub.store.visibility import Viewer


async def communications(
    conn: Connection, viewer: Viewer, episode: int, author: int
) -> list[Version]:
    """The Communications that an organization wrote in this referral, as they stand, oldest first."""
    rows = await conn.fetch(
        "select distinct rid from change where episode = $1 and type = $2 and author = $3 order by rid",
        episode,
        NUMBER["Communication"],
        author,
    )
    found = await read_rids(conn, viewer, [row[0] for row in rows])
    return [found[row[0]] for row in rows if row[0] in found and found[row[0]].body is not None]
