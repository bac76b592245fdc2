"""Apps that were opened out of a record: what was looked at, good once and for some minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection

_SWEPT = 20


@dataclass(frozen=True, slots=True)
class Opened:
    """client: of the app. organization: rid of who works with it; person: who alone may go on, None: anybody there.

    patient, task: rids of what was looked at.
    """

    digest: bytes
    client: str
    organization: int
    person: str | None
    patient: int | None
    task: int | None


@dataclass(frozen=True, slots=True)
class Launchable:
    """An app that can be opened so. address: where it begins."""

    client: str
    title: str
    address: str


async def keep(conn: Connection, one: Opened, now: datetime, until: datetime) -> None:
    await conn.execute(
        "with old as (delete from app_launch where digest in (select digest from app_launch"
        f"   where expires_at <= $7 limit {_SWEPT} for update skip locked))"
        " insert into app_launch (digest, client, organization, person, patient, task, expires_at)"
        " values ($1, $2, $3, $4, $5, $6, $8)",
        one.digest,
        one.client,
        one.organization,
        one.person,
        one.patient,
        one.task,
        now,
        until,
    )


async def find(conn: Connection, digest: bytes, client: str, now: datetime) -> Opened | None:
    """One that was not used up."""
    row = await conn.fetchrow(
        "select digest, client, organization, person, patient, task from app_launch"
        " where digest = $1 and client = $2 and expires_at > $3",
        digest,
        client,
        now,
    )
    return None if row is None else Opened(*row)


async def use(conn: Connection, digest: bytes) -> bool:
    """Use it up; False where somebody has."""
    used = await conn.fetchval("delete from app_launch where digest = $1 returning digest", digest)
    return used is not None


async def launchable(conn: Connection) -> list[Launchable]:
    """Apps that say where they begin, by title."""
    rows = await conn.fetch(
        "select id, coalesce(title, id), launch_uri from client"
        " where launch_uri is not null and redirect_uris is not null and active order by 2, 1"
    )
    return [Launchable(*row) for row in rows]


async def begin_at(conn: Connection, client: str, address: str) -> None:
    """Say where an app begins."""
    await conn.execute("update client set launch_uri = $2 where id = $1", client, address)
