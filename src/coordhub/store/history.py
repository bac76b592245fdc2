"""Versions of one resource, of a type or of everything, newest first, as one statement.

The change log has a row for every version, in the order of the commits that made them: it is the
order of a history and the place where a page of one begins. Who may see a resource now may see its
versions.

http://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.r4 import types
from coordhub.store.engine import Connection
from coordhub.store.resources import OF_BOTH, WIDTH, Version, shard_of_id, version_of
from coordhub.store.visibility import Viewer, shown, visible


@dataclass(frozen=True, slots=True)
class Span:
    """since: not before this instant. at: current at some time of [low, high)."""

    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """versions: of this page. next: mark where the next page begins; None: no more."""

    versions: list[Version]
    next: int | None


ALWAYS = Span()

_INSTANCE = (
    " and r.type = any($4::smallint[]) and r.fhir_id = $5::text and r.shard in ($6::smallint,"
    " (select a.shard from assigned_id a where a.type = ($4::smallint[])[1] and a.fhir_id = $5))"
)
_TYPES = (
    " and ($4::smallint[] is null or c.type = any($4)) and $5::text is null and $6::int is null"
)


async def history(
    conn: Connection,
    viewer: Viewer,
    kinds: Sequence[str] | None,
    fhir_id: str | None,
    *,
    count: int,
    before: int | None = None,
    span: Span = ALWAYS,
) -> Past:
    """At most `count` versions of resources of these types (None: all), or of the one of this id.

    before: `Past.next` of the page before.
    """
    condition, arguments = visible(viewer, "r", 9, OF_BOTH)
    low, high = span.at or (None, None)
    rows = await conn.fetch(
        "select r.rid, r.type, r.fhir_id, c.version, c.op, c.at, c.author, r.source, r.patient,"
        f" case when c.version = r.version then r.body else v.body end, {shown(viewer, 'r', 9, OF_BOTH)}, c.seq"
        " from change c join resource r on r.shard = c.shard and r.rid = c.rid"
        " left join resource_version v"
        " on v.shard = c.shard and v.rid = c.rid and v.version = c.version"
        " where ($1::bigint is null or c.seq < $1)"
        " and ($2::timestamptz is null or c.at >= $2)"
        " and ($7::timestamptz is null or (c.at < $8::timestamptz and not exists (select 1 from change n"
        " where n.rid = c.rid and n.version = c.version + 1 and n.at <= $7)))"
        f"{_TYPES if fhir_id is None else _INSTANCE} and {condition}"
        " order by c.seq desc limit $3::int",
        before,
        span.since,
        count + 1,
        None if kinds is None else [types.NUMBER[kind] for kind in kinds],
        fhir_id,
        None if fhir_id is None else shard_of_id(fhir_id),
        low,
        high,
        *arguments,
    )
    page = rows[:count]
    return Past(
        [version_of(row) for row in page], page[-1][WIDTH] if page and len(rows) > count else None
    )
