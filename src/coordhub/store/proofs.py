"""What changed Endpoints have proved: a row for each that was looked at since it was changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Unproved:
    """endpoint: rid. failures: in a row. reason: of the last; no content."""

    endpoint: int
    failures: int
    next_at: datetime
    reason: str | None


async def is_proved(conn: Connection, endpoint: int, fingerprint: bytes) -> bool:
    found: bool = await conn.fetchval(
        "select exists (select from proof where endpoint = $1 and fingerprint = $2"
        " and proved_at is not null)",
        endpoint,
        fingerprint,
    )
    return found


async def take(
    conn: Connection, endpoint: int, fingerprint: bytes, now: datetime, lease: timedelta
) -> datetime | None:
    """None: ask it now, nobody else does for `lease`. Else when it may be asked again."""
    done: str = await conn.execute(
        "insert into proof (endpoint, fingerprint, next_at) values ($1, $2, $3)"
        " on conflict (endpoint) do update set next_at = $3, fingerprint = $2,"
        "  failures = case when proof.fingerprint = $2 then proof.failures else 0 end,"
        "  reason = case when proof.fingerprint = $2 then proof.reason end, proved_at = null"
        " where proof.fingerprint <> $2 or proof.next_at <= $4",
        endpoint,
        fingerprint,
        now + lease,
        now,
    )
    if done.endswith(" 1"):
        return None
    again: datetime | None = await conn.fetchval(
        "select next_at from proof where endpoint = $1", endpoint
    )
    return again or now + lease


async def proved(conn: Connection, endpoint: int, fingerprint: bytes, now: datetime) -> None:
    """It has answered; what waited for that is due."""
    await conn.execute(
        "update proof set proved_at = $3, failures = 0, reason = null"
        " where endpoint = $1 and fingerprint = $2",
        endpoint,
        fingerprint,
        now,
    )
    await conn.execute(
        "update delivery set next_at = $2 where endpoint = $1 and state = 'parked' and next_at > $2",
        endpoint,
        now,
    )


async def failed(
    conn: Connection, endpoint: int, fingerprint: bytes, again: datetime, reason: str
) -> int:
    """It has not; how often in a row."""
    failures: int | None = await conn.fetchval(
        "update proof set failures = failures + 1, next_at = $3, reason = $4"
        " where endpoint = $1 and fingerprint = $2 returning failures",
        endpoint,
        fingerprint,
        again,
        reason,
    )
    return failures or 0


async def unproved(conn: Connection) -> list[Unproved]:
    rows = await conn.fetch(
        "select endpoint, failures, next_at, reason from proof where proved_at is null order by endpoint"
    )
    return [Unproved(*row) for row in rows]
