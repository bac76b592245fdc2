"""How many requests of a day a client was given, all processes together."""

from __future__ import annotations

from coordhub.store.engine import Connection

KEPT_DAYS = 35
"""Numbers of former days are kept so long, for who asks what was used."""


async def portion(
    conn: Connection, client: str, day: int, asked: int, per_day: int
) -> tuple[int, int]:
    """So many of the day's as are left, `asked` at most, and how many were given in all.

    day: days since 1970-01-01, UTC. What a process was given and did not use is lost with it: never more than
    the day's number is used, a little less perhaps.
    """
    row = await conn.fetchrow(
        "insert into client_use as u (client, day, given, portion)"
        " values ($1, $2, least($3::bigint, $4::bigint), least($3, $4))"
        " on conflict (client, day) do update set"
        " given = u.given + least($3, greatest($4 - u.given, 0)), portion = least($3, greatest($4 - u.given, 0))"
        " returning given, portion",
        client,
        day,
        asked,
        per_day,
    )
    assert row is not None
    given, got = row
    if given == got:
        await conn.execute(
            "delete from client_use where client = $1 and day < $2", client, day - KEPT_DAYS
        )
    return got, given
