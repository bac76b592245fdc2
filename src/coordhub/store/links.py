"""Links that open once, with an access code, and the visits that they begin.

Every try is counted before it is judged, so that many at once are not more than one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from coordhub.store.engine import Connection

TRIES: Final = 5
"""With one link."""

FAILURES: Final = 10
"""Wrong codes of one organization within WINDOW, whatever the links."""

WINDOW: Final = timedelta(hours=1)


_IS_THERE: Final = (
    "exists (select from resource r where r.rid = organization and r.shard = (organization & 255)::smallint"
    " and r.body is not null)"
)
"""Whom it lets in: nobody, where the organization was deleted."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a link would open: a Task (rid) for an organization (rid, reference)."""

    organization: int
    task: int
    left: int


@dataclass(frozen=True, slots=True)
class Secret:
    salt: bytes
    hash: bytes


async def try_link(conn: Connection, hashed: bytes, now: datetime) -> Opening | None:
    """Count one try; None where it is not known, was used, has run out, or was tried too often."""
    row = await conn.fetchrow(
        "update link set tries = tries + 1"
        f" where hash = $1 and used_at is null and until > $2 and tries < {TRIES} and {_IS_THERE}"
        f" returning organization, task, {TRIES} - tries",
        hashed,
        now,
    )
    return Opening(*row) if row is not None else None


async def try_code(conn: Connection, organization: int, now: datetime) -> Secret | None:
    """Count one try with its access code; None where too many were wrong, or it has none."""
    row = await conn.fetchrow(
        "update access_code set failures = case when counted_from <= $3 then 1 else failures + 1 end,"
        " counted_from = case when counted_from <= $3 then $2 else counted_from end"
        f" where organization = $1 and (failures < {FAILURES} or counted_from <= $3)"
        " returning salt, hash",
        organization,
        now,
        now - WINDOW,
    )
    return Secret(*row) if row is not None else None


async def has_code(conn: Connection, organization: int) -> bool:
    found: bool = await conn.fetchval(
        "select exists (select from access_code where organization = $1)", organization
    )
    return found


async def use(
    conn: Connection, hashed: bytes, visit: bytes, now: datetime, until: datetime
) -> bool:
    """The code was right: the link is used up and a visit begins; False if another was faster."""
    async with conn.transaction():
        row = await conn.fetchrow(
            "update link set used_at = $2 where hash = $1 and used_at is null and until > $2"
            " returning organization, task",
            hashed,
            now,
        )
        if row is None:
            return False
        await conn.execute(
            "update access_code set failures = 0 where organization = $1", row["organization"]
        )
        await conn.execute("delete from visit where until <= $1", now)
        await conn.execute(
            "insert into visit (hash, organization, task, until) values ($1, $2, $3, $4)",
            visit,
            row["organization"],
            row["task"],
            until,
        )
    return True


@dataclass(frozen=True, slots=True)
class Visit:
    organization: int
    task: int


async def visit(conn: Connection, hashed: bytes, now: datetime) -> Visit | None:
    row = await conn.fetchrow(
        f"select organization, task from visit where hash = $1 and until > $2 and {_IS_THERE}",
        hashed,
        now,
    )
    return Visit(*row) if row is not None else None


async def leave(conn: Connection, hashed: bytes) -> None:
    await conn.execute("delete from visit where hash = $1", hashed)


async def set_code(
    conn: Connection, organization: int, salt: bytes, hashed: bytes, now: datetime
) -> None:
    """This is its access code from now on; who came in with the one before is out."""
    await conn.execute(
        "insert into access_code (organization, salt, hash, set_at, counted_from)"
        " values ($1, $2, $3, $4, $4) on conflict (organization) do update"
        " set salt = $2, hash = $3, set_at = $4, failures = 0, counted_from = $4",
        organization,
        salt,
        hashed,
        now,
    )
    await conn.execute("delete from visit where organization = $1", organization)


async def close(conn: Connection, organization: int) -> None:
    """Nobody comes in for it any more: no link opens, no code is right, and who is in is out."""
    for table in ("link", "visit", "access_code"):
        await conn.execute(f"delete from {table} where organization = $1", organization)
