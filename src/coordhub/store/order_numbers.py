"""The numbers that an organization gave to its orders and Tasks, and what it sent under each.

Of a number only its digest is kept, under the key of a victim service provider where it is one's. A
number is taken in the commit of what it was sent with; who comes at the same time waits for that. It
stays as long as what it was given to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from coordhub.r4.types import NUMBER
from coordhub.store import vault
from coordhub.store.engine import Connection


class Numbered(NamedTuple):
    """A number as it is sent. content: SHA-256 of the resource."""

    type: str
    system: str
    value: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Before:
    """What was sent under a number before. place: of the number in what was asked.

    request: SHA-256 of the whole request; outcome: (status, rid, version) of each of its operations.
    """

    place: int
    content: bytes
    request: bytes
    rid: int
    at: datetime
    outcome: list[tuple[int, int, int]]


def _digest(organization: int, one: Numbered) -> str:
    text = json.dumps([one.type, one.system, one.value])
    keys = vault.in_use()
    if keys.has(organization):
        return keys.blind(organization, text)
    return hashlib.sha256(text.encode()).hexdigest()


async def claim(
    conn: Connection, organization: int, numbers: Sequence[Numbered], request: bytes, now: datetime
) -> list[Before]:
    """Take these numbers for this transaction; of those that were taken before, by what.

    What was given to something that is deleted since is free.
    """
    rows = [
        (place, NUMBER[one.type], _digest(organization, one), one.content)
        for place, one in enumerate(numbers)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    # One statement each: what a transaction wrote that was waited for, only the next one sees.
    taken: str = await conn.execute(
        "insert into order_number (organization, type, number, content, request, at)"
        " select $1, n.type, n.number, n.content, $2, $3"
        " from unnest($4::smallint[], $5::text[], $6::bytea[]) n(type, number, content)"
        " order by n.type, n.number on conflict do nothing",
        organization,
        request,
        now,
        *columns[1:],
    )
    if taken == f"INSERT 0 {len(rows)}":
        return []
    await conn.execute(
        "select from order_number where organization = $1 and (type, number) in"
        " (select * from unnest($2::smallint[], $3::text[])) order by type, number for update",
        organization,
        *columns[1:3],
    )
    await conn.execute(
        "update order_number o set content = n.content, request = $2, at = $3, rid = null, outcome = null"
        " from unnest($4::smallint[], $5::text[], $6::bytea[]) n(type, number, content)"
        " where o.organization = $1 and o.type = n.type and o.number = n.number and o.rid is not null"
        "  and not exists (select from resource r where r.rid = o.rid"
        "   and r.shard = (o.rid & 255)::smallint and r.body is not null)",
        organization,
        request,
        now,
        *columns[1:],
    )
    found = await conn.fetch(
        "select w.place, o.content, o.request, o.rid, o.at, o.outcome"
        " from unnest($2::int[], $3::smallint[], $4::text[]) w(place, type, number)"
        " join order_number o on o.organization = $1 and o.type = w.type and o.number = w.number"
        " where o.rid is not null order by 1",
        organization,
        *columns[:3],
    )
    return [
        Before(row[0], row[1], row[2], row[3], row[4], [tuple(one) for one in json.loads(row[5])])
        for row in found
    ]


async def settle(
    conn: Connection,
    organization: int,
    given: Sequence[tuple[Numbered, int]],
    request: bytes,
    outcome: Sequence[tuple[int, int, int]],
    now: datetime,
) -> None:
    """Note to which resources (rid) these numbers were given, and what their request wrote."""
    await conn.execute(
        "insert into order_number (organization, type, number, content, request, at, rid, outcome)"
        " select $1, n.type, n.number, n.content, $2, $3, n.rid, $4::jsonb"
        " from unnest($5::smallint[], $6::text[], $7::bytea[], $8::bigint[]) n(type, number, content, rid)"
        " on conflict (organization, type, number) do update"
        "  set content = excluded.content, request = excluded.request, at = excluded.at,"
        "   rid = excluded.rid, outcome = excluded.outcome",
        organization,
        request,
        now,
        json.dumps(outcome),
        [NUMBER[one.type] for one, _ in given],
        [_digest(organization, one) for one, _ in given],
        [one.content for one, _ in given],
        [rid for _, rid in given],
    )
