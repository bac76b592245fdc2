"""What an organization still has at the hub, for the day on which it leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible

ENTRIES = (
    "Endpoint", "HealthcareService", "Location", "Organization", "OrganizationAffiliation",
    "PractitionerRole", "Subscription",
)  # fmt: skip
"""Types by which somebody is reached or found, or asks to be told."""


async def clients_off(conn: Connection, organization: int) -> list[str]:
    """Let none of its clients in any longer; those that this ends."""
    rows = await conn.fetch(
        "update client set active = false where organization = $1 and active returning id",
        organization,
    )
    return sorted(row[0] for row in rows)


async def suppress(conn: Connection, organization: int, reason: str, now: datetime) -> int:
    """What waits to be sent to it is not sent; how much that was. What is on its way goes."""
    done: str = await conn.execute(
        "update delivery set state = 'suppressed', reason = $2, settled_at = $3"
        " where organization = $1 and state in ('queued', 'parked')",
        organization,
        reason,
        now,
    )
    return int(done.rpartition(" ")[2])


async def asked_in(conn: Connection, organization: int) -> list[int]:
    """The open referrals in which it is asked or at work, in the order in which they are locked."""
    rows = await conn.fetch(
        "select distinct c.episode from candidate c join episode e on e.id = c.episode"
        " where c.organization = $1 and c.ended_at is null and e.state = 'open' order by 1",
        organization,
    )
    return [row[0] for row in rows]


async def sent_by(conn: Connection, organization: int) -> list[int]:
    """Its own open referrals."""
    rows = await conn.fetch(
        "select id from episode where requester = $1 and state = 'open' order by id", organization
    )
    return [row[0] for row in rows]


async def own_entries(conn: Connection, viewer: Viewer, organization: int) -> list[Version]:
    """What it wrote of ENTRIES and stands."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from resource r"
        " where r.source = $1 and r.type = any($2::smallint[]) and r.body is not null"
        f" and {condition} order by r.rid",
        organization,
        [NUMBER[name] for name in ENTRIES],
        *arguments,
    )
    return [version_of(row) for row in rows]


async def written_by(conn: Connection, viewer: Viewer, organization: int) -> AsyncIterator[Version]:
    """All that it wrote and stands, in a transaction that is open."""
    condition, arguments = visible(viewer, "r", 2)
    rows = conn.cursor(
        f"select {COLUMNS}, {shown(viewer, 'r', 2)} from resource r"
        f" where r.source = $1 and r.body is not null and {condition} order by r.rid",
        organization,
        *arguments,
        prefetch=100,
    )
    async for row in rows:
        yield version_of(row)
