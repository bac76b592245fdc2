"""Episode, needs, candidates, errands and timers as rows, beside what they are projected from.

Sources are the versions of a referral's Tasks, the change log that says which these are, the grants
that say which organization was asked, and the ledger that says when it was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from coordhub.r4 import types
from coordhub.store import vault
from coordhub.store.engine import Connection
from coordhub.store.visibility import HUB, Viewer, visible


class EpisodeState(NamedTuple):
    id: int
    requester: int
    request: int
    patient: int | None
    state: str
    opened_at: datetime
    planned_at: datetime | None
    closed_at: datetime | None


class NeedState(NamedTuple):
    episode: int
    ordinal: int
    request: int
    kind: str
    strategy: str
    state: str
    wave: int
    reason: str | None
    opened_at: datetime
    next_at: datetime | None
    closed_at: datetime | None


class CandidateState(NamedTuple):
    """Without `seen_at`, which is the reader's doing and stands nowhere else."""

    episode: int
    ordinal: int
    organization: int
    recipient: str
    task: int
    request: int
    status: str
    need: int
    wave: int
    reason: str | None
    asked_at: datetime
    delivered_at: datetime | None
    accepted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


class ErrandState(NamedTuple):
    task: int
    episode: int | None
    kind: str
    owner: int
    subject: int
    opened_at: datetime
    closed_at: datetime | None


class TimerState(NamedTuple):
    """Without `fired_at`, which stands nowhere else: a timer that fires again finds its question answered."""

    episode: int
    kind: str
    subject: int
    since: datetime
    due_at: datetime
    stood_at: datetime | None


Row = EpisodeState | NeedState | CandidateState | ErrandState | TimerState


class TaskVersion(NamedTuple):
    """One version of a Task.

    status: None: deleted, or sealed: under the key of a victim service provider (store.vault).
    """

    rid: int
    version: int
    updated: datetime
    author: int
    source: int
    patient: int | None
    body: str | None
    status: str | None
    sealed: bool


@dataclass(frozen=True, slots=True)
class Told:
    """organizations: whom each Task asks. winners: who has won it, where several were. delivered: when each was
    first acknowledged. opened: the episode's first."""

    organizations: dict[int, int]
    winners: dict[int, int]
    delivered: dict[int, datetime]
    opened: datetime | None


async def episodes(conn: Connection, after: int, limit: int) -> list[int]:
    """The next referrals there are, by the change log or by their rows.

    Without those of whose Tasks anything was expunged: their rows are what is left to tell of them.
    """
    rows = await conn.fetch(
        "select id from (select distinct episode as id from change where episode > $1"
        " union select id from episode where id > $1) e"
        " where not exists (select 1 from expunged x where x.rid = e.id) and not exists ("
        "   select from candidate c join expunged x on x.rid in (c.task, c.request) where c.episode = e.id)"
        " order by id limit $2",
        after,
        limit,
    )
    return [row[0] for row in rows]


async def tasks(conn: Connection, viewer: Viewer, episode: int) -> dict[int, list[TaskVersion]]:
    """All versions of the referral's Tasks, oldest first: the sender's and the hub's."""
    condition, arguments = visible(viewer, "r", 4)
    rows = await conn.fetch(
        "select r.rid, v.version, v.updated, v.author, r.source, r.patient, v.body,"
        " case when v.body like '{%' then v.body::jsonb ->> 'status' end"
        " from (select distinct rid from change where episode = $1 and type = $2) c"
        " join resource r on r.rid = c.rid and (r.rid = $1 or r.source = $3)"
        " cross join lateral (select r.version, r.updated, r.author, r.body union all"
        "  select o.version, o.updated, o.author, o.body from resource_version o"
        "  where o.shard = r.shard and o.rid = r.rid) v"
        f" where {condition} order by r.rid, v.version",
        episode,
        types.NUMBER["Task"],
        HUB,
        *arguments,
    )
    found: dict[int, list[TaskVersion]] = {}
    for row in rows:
        rid, version, updated, author, source, patient, body, status = row
        sealed = vault.is_sealed(body)
        if sealed:
            body = vault.in_use().open(rid, body).body
        found.setdefault(rid, []).append(
            TaskVersion(rid, version, updated, author, source, patient, body, status, sealed)
        )
    return found


async def told(conn: Connection, episode: int, rids: Sequence[int], sender: int) -> Told:
    """What grants, ledger and change log say of the referral and these Tasks of it. sender: its organization."""
    organizations = await conn.fetch(
        "select because, organization from access_grant"
        " where because = any($1::bigint[]) and rid = because and rule = 'party'",
        list(rids),
    )
    winners = await conn.fetch(
        "select rid, organization from access_grant"
        " where rid = any($1::bigint[]) and because = $2 and rule = 'party'",
        list(rids),
        episode,
    )
    delivered = await conn.fetch(
        "select rid, min(settled_at) from delivery d"
        " where episode = $1 and state = 'delivered'"
        # of a Task that both share, when it reached who is asked by it
        " and (rid <> $1 or organization <> $2) group by rid",
        episode,
        sender,
    )
    opened = await conn.fetchval(
        "select min(at) from change where episode = $1 and rid = $1", episode
    )
    return Told(
        {r[0]: r[1] for r in organizations},
        {r[0]: r[1] for r in winners},
        {r[0]: r[1] for r in delivered},
        opened,
    )


async def stored(conn: Connection, episode: int) -> list[Row]:
    """The rows of this referral as they are."""
    found: list[Row] = []
    for made, table, key in _TABLES:
        columns = ", ".join(made._fields)
        rows = await conn.fetch(f"select {columns} from {table} where {key} = $1", episode)
        found.extend(made(*row) for row in rows)
    return found


_TABLES: tuple[tuple[type[Row], str, str], ...] = (
    (EpisodeState, "episode", "id"),
    (NeedState, "need", "episode"),
    (CandidateState, "candidate", "episode"),
    (ErrandState, "errand", "episode"),
    (TimerState, "timer", "episode"),
)


async def write(conn: Connection, episode: int, rows: Sequence[Row]) -> None:
    """Make the rows of this referral these; what only its old rows know stays with them."""
    whole = [row for row in rows if isinstance(row, EpisodeState)]
    asked = [row for row in rows if isinstance(row, CandidateState)]
    timed = [row for row in rows if isinstance(row, TimerState)]
    await conn.execute(
        "delete from episode where id = $1 and id <> all($2::bigint[])",
        episode,
        [row.id for row in whole],
    )
    await conn.executemany(
        "insert into episode (id, requester, request, patient, state, opened_at, planned_at, closed_at, shard)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $1::bigint & 255)"
        " on conflict (id) do update set requester = $2, request = $3, patient = $4, state = $5,"
        " opened_at = $6, planned_at = $7, closed_at = $8",
        whole,
    )
    seen = {
        row[0]: row[1]
        for row in await conn.fetch(
            "delete from candidate where episode = $1 returning task, seen_at", episode
        )
    }
    await conn.executemany(
        "insert into candidate (episode, ordinal, organization, recipient, task, request, status, need, wave,"
        " reason, asked_at, delivered_at, accepted_at, started_at, ended_at, seen_at, shard)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $5::bigint & 255)",
        [(*row, seen.get(row.task)) for row in asked],
    )
    for table, made in (
        ("need", [row for row in rows if isinstance(row, NeedState)]),
        ("errand", [row for row in rows if isinstance(row, ErrandState)]),
    ):
        await conn.execute(f"delete from {table} where episode = $1", episode)
        if made:
            columns = made[0]._fields
            places = ", ".join(f"${at}" for at in range(1, len(columns) + 1))
            await conn.executemany(
                f"insert into {table} ({', '.join(columns)}, shard) values ({places}, $1::bigint & 255)",
                made,
            )
    await conn.execute(
        "delete from timer t where episode = $1 and not exists"
        " (select from unnest($2::bigint[], $3::text[]) n(subject, kind)"
        "   where n.subject = t.subject and n.kind = t.kind)",
        episode,
        [row.subject for row in timed],
        [row.kind for row in timed],
    )
    await conn.executemany(
        "insert into timer (episode, kind, subject, since, due_at, stood_at, shard)"
        " values ($1, $2, $3, $4, $5, $6, $3::bigint & 255)"
        " on conflict (subject, kind) do update set episode = $1, since = $4, due_at = $5, stood_at = $6",
        timed,
    )


async def fired(conn: Connection, episode: int) -> set[tuple[int, str]]:
    """Subject and kind of the referral's timers that have fired."""
    rows = await conn.fetch(
        "select subject, kind from timer where episode = $1 and fired_at is not null", episode
    )
    return {(row[0], row[1]) for row in rows}
