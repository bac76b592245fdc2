"""Links by which a person says, once, whether it got what it needed.

The token is in the address and nowhere here. A link that is used, or has run out, is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class About:
    """episode: rid of the sender's Task; request: of the order that is asked about."""

    episode: int
    request: int


async def issue(
    conn: Connection, hashed: bytes, about: About, now: datetime, until: datetime
) -> None:
    """Let this ask about the order until then, and none that was made for it before."""
    await conn.execute(
        "with old as (delete from voice_link where request = $3 or until <= $4)"
        " insert into voice_link (hash, episode, request, created_at, until)"
        " values ($1, $2, $3, $4, $5)",
        hashed,
        about.episode,
        about.request,
        now,
        until,
    )


async def use(conn: Connection, hashed: bytes, now: datetime) -> About | None:
    """Use it up; None where there is none (any more)."""
    row = await conn.fetchrow(
        "delete from voice_link where hash = $1 and until > $2 returning episode, request",
        hashed,
        now,
    )
    return None if row is None else About(*row)
