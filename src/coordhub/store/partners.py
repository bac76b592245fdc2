"""What was agreed with partners: the profile of Task that an organization speaks, how fast it is sent to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from coordhub.store.engine import Connection

UNAGREED: Final = "r4"
"""What is spoken with whom nothing was agreed."""


async def profiles_of(conn: Connection, organizations: Iterable[int]) -> dict[int, str]:
    """Name of the profile by organization (rid), of those with whom one was agreed."""
    rows = await conn.fetch(
        "select organization, profile from partner where organization = any($1::bigint[])",
        sorted(set(organizations)),
    )
    return {row[0]: row[1] for row in rows}


async def profile_of(conn: Connection, organization: int) -> str:
    return (await profiles_of(conn, [organization])).get(organization, UNAGREED)


async def agree(conn: Connection, organization: int, profile: str, now: datetime) -> None:
    """From now on it speaks this profile."""
    await conn.execute(
        "insert into partner (organization, profile, since) values ($1, $2, $3)"
        " on conflict (organization) do update set profile = excluded.profile, since = excluded.since",
        organization,
        profile,
        now,
    )


async def agree_on_pace(
    conn: Connection, organization: int, per_second: float, at_once: int, now: datetime
) -> None:
    """From now on it is sent so many deliveries a second at most, so many of them at the same time."""
    await conn.execute(
        "insert into pace (organization, per_second, at_once, level, at)"
        " values ($1, $2::float8, $3, greatest($2, 1), $4) on conflict (organization) do update"
        " set per_second = excluded.per_second, at_once = excluded.at_once",
        organization,
        per_second,
        at_once,
        now,
    )


async def set_no_pace(conn: Connection, organization: int) -> None:
    """No rate is agreed with it any more."""
    await conn.execute("delete from pace where organization = $1", organization)
