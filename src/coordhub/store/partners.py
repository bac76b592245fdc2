"""What was agreed with partners: the profile of Task that an organization speaks."""

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
