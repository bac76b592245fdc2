"""Who could meet a need, and when its strategy takes its next step, as statements.

A need's own row moves with its Tasks, in the one statement of a write (`store.transact`). What is here
the relay does besides, under the same lock of the referral.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.store.engine import Connection
from coordhub.store.transact import ProspectRow


@dataclass(frozen=True, slots=True)
class Prospect:
    """Who could meet a need. organization: rid. findings: JSON, as `referral.prospects` writes it."""

    need: int
    rank: int
    organization: int
    recipient: str
    verdict: str
    score: float
    findings: str


async def prospects(conn: Connection, episode: int) -> list[Prospect]:
    """Those of all needs of a referral, in their order. For the hub's decisions: they are shown to nobody."""
    rows = await conn.fetch(
        "select need, rank, organization, recipient, verdict, score, findings from prospect"
        " where episode = $1 order by need, rank",
        episode,
    )
    return [Prospect(*row) for row in rows]


async def rank(conn: Connection, rows: Sequence[ProspectRow]) -> None:
    """Write these down, behind those there are."""
    await conn.executemany(
        "insert into prospect (episode, need, rank, organization, recipient, verdict, score, findings, shard)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $1::bigint & 255)",
        rows,
    )


async def rule_out(
    conn: Connection, episode: int, need: int, ranks: Collection[int], findings: str
) -> None:
    """These may not be asked after all."""
    await conn.execute(
        "update prospect set verdict = 'out', findings = $4"
        " where episode = $1 and need = $2 and rank = any($3::smallint[])",
        episode,
        need,
        list(ranks),
        findings,
    )


async def asked(conn: Connection, episode: int, tasks: Iterable[tuple[int, int, int]]) -> None:
    """By which Task (rid) each is asked: need, rank, Task."""
    await conn.executemany(
        "update prospect set asked = $4 where episode = $1 and need = $2 and rank = $3",
        [(episode, *each) for each in tasks],
    )


async def conclude(conn: Connection, episode: int, need: int, reason: str) -> None:
    """Nobody can be asked, for this reason; its state follows when the referral's Task is computed."""
    await conn.execute(
        "update need set reason = $3 where episode = $1 and ordinal = $2", episode, need, reason
    )


async def schedule(conn: Connection, episode: int, need: int, at: datetime | None) -> None:
    """When to take the next step if nothing happens before; None: when something happens."""
    await conn.execute(
        "update need set next_at = $3 where episode = $1 and ordinal = $2"
        " and next_at is distinct from $3",
        episode,
        need,
        at,
    )


_ASKS = (
    "d.rid = c.task and (c.task <> c.episode"
    " or d.organization <> (select e.requester from episode e where e.id = c.episode))"
)
"""Whether delivery `d` is of what asks candidate `c`: of a Task that both share, its sender gets some, too."""


async def unreached(conn: Connection, episode: int) -> list[int]:
    """The Tasks (rids) by which somebody is asked who cannot be reached: dead letters that nobody has seen.

    Not those of a victim service provider: by nothing it is told whether it could be asked.
    """
    rows = await conn.fetch(
        "select c.task from candidate c where c.episode = $1 and c.status = 'requested'"
        " and c.delivered_at is null and c.seen_at is null"
        f" and exists (select from delivery d where d.episode = c.episode and {_ASKS} and d.state = 'dead')"
        f" and not exists (select from delivery d where d.episode = c.episode and {_ASKS}"
        "   and d.state in ('queued', 'leased', 'parked'))"
        " and not exists (select from party p where p.organization = c.organization and p.kind = 'vsp')"
        " order by c.ordinal",
        episode,
    )
    return [row[0] for row in rows]


async def begun(conn: Connection, episode: int, now: datetime) -> None:
    """The steps that were due are being taken."""
    await conn.execute(
        "update need set next_at = null where episode = $1 and next_at <= $2", episode, now
    )


async def claim_due(conn: Connection, now: datetime, besides: Collection[int] = ()) -> int | None:
    """Lock one referral with a need whose next step is due and that nobody else holds; its id.

    besides: referrals to leave alone for now.
    """
    found: int | None = await conn.fetchval(
        "select id from episode where id in (select episode from need where next_at <= $1"
        " and episode <> all($2::bigint[]) order by next_at limit 200) limit 1 for update skip locked",
        now,
        list(besides),
    )
    return found
