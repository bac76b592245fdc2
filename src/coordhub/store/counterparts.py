"""Under which ids a partner's server has what the hub has: its copies, and originals of ours.

Kept for each organization and Endpoint, so that nobody can say under which id another has something.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from coordhub.r4 import types
from coordhub.store.engine import Connection
from coordhub.store.partners import TERMS, Terms, joined, terms_of
from coordhub.store.visibility import Viewer, visible


class Told(NamedTuple):
    """What a server has. theirs: `Type/id` there. original: it is the original, the hub's the copy.

    seen: its entity tag, None where it told none.
    """

    rid: int
    theirs: str
    original: bool = False
    seen: str | None = None


class Known(NamedTuple):
    """ours: `Type/id` at the hub. address: of the Endpoint, as the directory has it now."""

    rid: int
    ours: str
    theirs: str
    endpoint: int
    address: str
    original: bool
    seen: str | None


@dataclass(frozen=True, slots=True)
class Custom:
    """How it is with the server of an organization.

    own_ids: it gives its own ids to what it is sent. answers_every, originals_every: how often it is
    read; None: never. known: it has something under an id that is not the hub's. each_state: it is sent
    every state of a Task. knows_repeats: by their key. creates_anew: what it has no more is sent as new.
    terms: what it speaks, sends and is sent (store.partners). sandbox: it is of the sandbox.
    """

    own_ids: bool = False
    answers_every: timedelta | None = None
    originals_every: timedelta | None = None
    known: bool = False
    each_state: bool = False
    knows_repeats: bool = True
    creates_anew: bool = False
    terms: Terms = field(default_factory=Terms)
    sandbox: bool = False


async def custom(conn: Connection, organization: int, endpoint: int) -> Custom:
    """Of an organization of the sandbox what was agreed with the one that it stands for."""
    row = await conn.fetchrow(
        "select coalesce(x.ids = 'partner', false), x.answers_every, x.originals_every,"
        " exists (select from counterpart where organization = $1 and endpoint = $2),"
        " coalesce(x.each_state, false), coalesce(x.knows_repeats, true), coalesce(x.creates_anew, false),"
        f" s.organization is not null, {TERMS}"
        f" from (select $1::bigint as organization) one{joined('one.organization')}"
        " left join exchange x on x.organization = coalesce(s.stands_for, $1)",
        organization,
        endpoint,
    )
    assert row is not None
    *custom, sandbox = row[:-6]
    return replace(Custom(*custom), terms=terms_of(row[-6:]), sandbox=sandbox)


async def agree(conn: Connection, organization: int, custom: Custom) -> None:
    """Set what was agreed with an organization about its server."""
    await conn.execute(
        "insert into exchange (organization, ids, answers_every, originals_every, each_state, knows_repeats,"
        " creates_anew) values ($1, $2, $3, $4, $5, $6, $7)"
        " on conflict (organization) do update set ids = excluded.ids,"
        " answers_every = excluded.answers_every, originals_every = excluded.originals_every,"
        " each_state = excluded.each_state, knows_repeats = excluded.knows_repeats,"
        " creates_anew = excluded.creates_anew",
        organization,
        "partner" if custom.own_ids else "hub",
        custom.answers_every,
        custom.originals_every,
        custom.each_state,
        custom.knows_repeats,
        custom.creates_anew,
    )


async def learn(
    conn: Connection, organization: int, endpoint: int, told: Sequence[Told], now: datetime
) -> None:
    """Remember what that server has; an id that it has told of something else before is that no more."""
    if not told:
        return
    latest = {one.theirs: one for one in told}
    rids, theirs, original, seen = (list(column) for column in zip(*latest.values(), strict=True))
    async with conn.transaction():
        await conn.execute(
            "delete from counterpart c using unnest($3::bigint[], $4::text[]) n(rid, theirs)"
            " where c.organization = $1 and c.endpoint = $2 and c.theirs = n.theirs and c.rid <> n.rid",
            organization,
            endpoint,
            rids,
            theirs,
        )
        await conn.execute(
            "insert into counterpart (organization, endpoint, rid, theirs, original, seen, at, shard)"
            " select $1, $2, n.*, $7, (n.rid & 255)::smallint"
            " from unnest($3::bigint[], $4::text[], $5::boolean[], $6::text[]) n(rid, theirs, original, seen)"
            " on conflict (organization, endpoint, rid) do update"
            " set theirs = excluded.theirs, original = counterpart.original or excluded.original,"
            " seen = coalesce(excluded.seen, counterpart.seen), at = excluded.at",
            organization,
            endpoint,
            rids,
            theirs,
            original,
            seen,
            now,
        )


async def names_at(
    conn: Connection, organization: int, endpoint: int, rids: Collection[int]
) -> Mapping[int, str]:
    """Their `Type/id` of each of these resources that they have under one of their own."""
    rows = await conn.fetch(
        "select rid, theirs from counterpart"
        " where organization = $1 and endpoint = $2 and rid = any($3::bigint[])",
        organization,
        endpoint,
        list(rids),
    )
    return {row[0]: row[1] for row in rows}


_KNOWN = (
    "select c.rid, r.type, r.fhir_id, c.theirs, c.endpoint, e.body::jsonb ->> 'address', c.original, c.seen"
    " from counterpart c join resource r on r.rid = c.rid and r.shard = c.shard and r.body is not null"
    " join resource e on e.rid = c.endpoint and e.shard = (c.endpoint & 255)::smallint and e.body is not null"
)


async def meant(conn: Connection, viewer: Viewer, theirs: Collection[str]) -> list[Known]:
    """What the viewer's organization means by ids of its own servers, as far as it may see it."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"{_KNOWN} where c.organization = $1 and c.theirs = any($2::text[]) and {condition}",
        viewer.organization,
        list(theirs),
        *arguments,
    )
    return [_known(row) for row in rows]


async def of(conn: Connection, viewer: Viewer, rid: int) -> list[Known]:
    """Under which ids the viewer's organization has this resource, the one told last first."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"{_KNOWN} where c.organization = $1 and c.rid = $2 and {condition} order by c.at desc",
        viewer.organization,
        rid,
        *arguments,
    )
    return [_known(row) for row in rows]


def _known(row: Any) -> Known:
    rid, number, fhir_id, *rest = row
    return Known(rid, f"{types.name_of(number)}/{fhir_id}", *rest)
