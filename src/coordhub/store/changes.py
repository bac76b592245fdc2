"""The outbox, read by the relay: episodes with something to tell, and what that is, in order.

Within an episode `seq` is commit order, because its writers hold the episode's lock. Across
episodes it is not, and nobody asks it to be.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from coordhub.r4 import types
from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Change:
    seq: int
    rid: int
    version: int
    type: str
    op: str
    author: int
    at: datetime | None = None


AROUND: Final = ("CarePlan", "Encounter", "Goal")
"""Types of what is told around a patient, outside of any one referral."""

_UNRELAYED = "relayed_at is null and episode is not null"
_IS_AROUND = f"type in ({', '.join(str(types.NUMBER[name]) for name in (*AROUND, 'Task'))})"
"""Also a Task of none, by which one organization asks another for data."""


class Waiting(NamedTuple):
    """Whether there is anything to claim: of referrals; around patients."""

    referrals: bool
    patients: bool


async def waiting(conn: Connection, now: datetime) -> Waiting:
    """Asked before anything is claimed, so that who has nothing to do opens no transaction.

    A need whose next step is due is of a referral, too.
    """
    row = await conn.fetchrow(
        f"select exists (select from change where {_UNRELAYED})"
        " or exists (select from need where next_at <= $1),"
        f" exists (select from change where {_UNRELAYED} and {_IS_AROUND})",
        now,
    )
    assert row is not None
    return Waiting(*row)


async def claim_episode(conn: Connection, besides: Collection[int] = ()) -> int | None:
    """Lock one episode that has unrelayed changes and that nobody else holds; its id.

    besides: episodes to leave alone for now.
    """
    found: int | None = await conn.fetchval(
        "select id from episode where id in (select episode from change"
        f" where {_UNRELAYED} and episode <> all($1::bigint[])"
        " order by seq limit 200) limit 1 for update skip locked",
        list(besides),
    )
    return found


async def claim_patient(conn: Connection, besides: Collection[int] = ()) -> int | None:
    """Lock one patient about whom something is to be told outside of a referral; its rid.

    besides: patients to leave alone for now.
    """
    found: int | None = await conn.fetchval(
        "select r.rid from resource r where r.rid in (select c.episode from change c"
        f" where {_UNRELAYED} and {_IS_AROUND} and c.episode <> all($1::bigint[])"
        " and not exists (select from episode e where e.id = c.episode) order by c.seq limit 200)"
        " limit 1 for update skip locked",
        list(besides),
    )
    return found


async def unrelayed(conn: Connection, episode: int) -> list[Change]:
    """The changes of an episode (or about a patient) that no delivery was planned for yet, oldest first."""
    rows = await conn.fetch(
        "select seq, rid, version, type, op, author, at from change"
        " where episode = $1 and relayed_at is null order by seq",
        episode,
    )
    return [Change(r[0], r[1], r[2], types.name_of(r[3]), r[4], r[5], r[6]) for r in rows]
