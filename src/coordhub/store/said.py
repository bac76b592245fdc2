"""What somebody said in the course of a referral, as statements."""

from __future__ import annotations

from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection
from coordhub.store.resources import Version, read_rids
from coordhub.store.visibility import HUB, Viewer


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


async def between(conn: Connection, viewer: Viewer, episode: int, requester: int) -> list[Version]:
    """The Communications of this referral that its requester, or the viewer's organization, wrote, as they
    stand, oldest first; to the requester those of all who are asked. What the hub reminds of is none.
    """
    rows = await conn.fetch(
        "select rid, min(seq) from change where episode = $1 and type = $2 and author <> $3"
        " and ($4::bigint = $5::bigint or author in ($4, $5)) group by rid order by 2",
        episode,
        NUMBER["Communication"],
        HUB,
        viewer.organization,
        requester,
    )
    found = await read_rids(conn, viewer, [row[0] for row in rows])
    return [found[row[0]] for row in rows if row[0] in found and found[row[0]].body is not None]
