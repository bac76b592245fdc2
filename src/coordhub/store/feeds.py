"""Feeds of the directory: whose turn it is to be read, and what each row of theirs became."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from coordhub.r4.types import NUMBER
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import DIRECTORY, Viewer, shown, visible


@dataclass(frozen=True, slots=True)
class Feed:
    """every: how often it is read again; None: only when told to. outcome: of the last time."""

    name: str
    source: str
    zone: str | None
    every: timedelta | None
    due_at: datetime | None
    ran_at: datetime | None
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Known:
    """What a row became: the rid of its resource, and SHA-256 of what the feed said last."""

    rid: int
    digest: bytes
    gone: bool


_FEED = "name, source, zone, every, due_at, ran_at, outcome"


def _feed(row: Any) -> Feed:
    name, source, zone, every, due_at, ran_at, outcome = tuple(row)
    told = json.loads(outcome) if isinstance(outcome, str) else outcome
    return Feed(name, source, zone, every, due_at, ran_at, told)


async def all_of(conn: Connection) -> list[Feed]:
    return [
        _feed(row) for row in await conn.fetch(f"select {_FEED} from directory_feed order by name")
    ]


async def by_name(conn: Connection, name: str) -> Feed | None:
    row = await conn.fetchrow(f"select {_FEED} from directory_feed where name = $1", name)
    return None if row is None else _feed(row)


async def keep(
    conn: Connection,
    name: str,
    source: str,
    zone: str | None,
    every: timedelta | None,
    due_at: datetime | None,
) -> None:
    """Remember a feed, or say anew where it is and how often it is read."""
    await conn.execute(
        "insert into directory_feed (name, source, zone, every, due_at) values ($1, $2, $3, $4, $5)"
        " on conflict (name) do update set source = $2, zone = $3, every = $4, due_at = $5",
        name,
        source,
        zone,
        every,
        due_at,
    )


async def take(conn: Connection, name: str, now: datetime, lease: timedelta) -> bool:
    """Whether nobody else reads it; held for `lease` then. Taken again, it is held for longer."""
    done: str = await conn.execute(
        "update directory_feed set lease_until = $3 where name = $1 and (lease_until is null or lease_until <= $2)",
        name,
        now,
        now + lease,
    )
    return done.endswith(" 1")


async def hold(conn: Connection, name: str, until: datetime) -> None:
    """Go on reading it."""
    await conn.execute("update directory_feed set lease_until = $2 where name = $1", name, until)


async def is_due(conn: Connection, now: datetime) -> bool:
    return bool(
        await conn.fetchval(
            "select exists (select from directory_feed"
            " where due_at <= $1 and (lease_until is null or lease_until <= $1))",
            now,
        )
    )


async def due(conn: Connection, now: datetime, lease: timedelta) -> Feed | None:
    """One whose time has come, held for `lease`; its next time is set."""
    row = await conn.fetchrow(
        "update directory_feed set lease_until = $2, due_at = $1 + every where name = ("
        " select name from directory_feed where due_at <= $1 and (lease_until is null or lease_until <= $1)"
        f" order by due_at limit 1 for update skip locked) returning {_FEED}",
        now,
        now + lease,
    )
    return None if row is None else _feed(row)


async def leave(conn: Connection, name: str, now: datetime, outcome: Mapping[str, Any]) -> None:
    await conn.execute(
        "update directory_feed set lease_until = null, ran_at = $2, outcome = $3::jsonb where name = $1",
        name,
        now,
        json.dumps(outcome),
    )


async def entries(conn: Connection, feed: str) -> dict[str, Known]:
    """By key."""
    rows = await conn.fetch(
        "select key, rid, digest, gone from directory_entry where feed = $1", feed
    )
    return {row[0]: Known(*tuple(row)[1:]) for row in rows}


async def note(conn: Connection, feed: str, noted: Sequence[tuple[str, int, bytes]]) -> None:
    """(key, rid, digest) of what was written."""
    await conn.execute(
        "insert into directory_entry (feed, key, rid, digest, gone)"
        " select $1, k, r, d, false from unnest($2::text[], $3::bigint[], $4::bytea[]) n(k, r, d)"
        " on conflict (feed, key) do update set rid = excluded.rid, digest = excluded.digest, gone = false",
        feed,
        [one[0] for one in noted],
        [one[1] for one in noted],
        [one[2] for one in noted],
    )


async def note_gone(conn: Connection, feed: str, keys: Collection[str]) -> None:
    await conn.execute(
        "update directory_entry set gone = true, digest = '' where feed = $1 and key = any($2::text[])",
        feed,
        sorted(keys),
    )


async def published(conn: Connection, viewer: Viewer, kinds: Collection[str]) -> list[Version]:
    """All entries of the directory of these types, in the order in which they were made."""
    condition, arguments = visible(viewer, "r", 2)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 2)} from resource r where r.source = {DIRECTORY}"
        f" and r.type = any($1::smallint[]) and r.body is not null and not r.quarantined and {condition}"
        " order by r.rid",
        [NUMBER[kind] for kind in kinds],
        *arguments,
    )
    return [version_of(row) for row in rows]
