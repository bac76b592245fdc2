"""Episodes and their candidates: the lock of a referral.

The episode's row is locked before any resource of the referral, by everyone who changes something
about it: that gives one order to all that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordhub.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Candidate:
    """One organization that was asked. All numbers are rids."""

    ordinal: int
    organization: int
    recipient: str
    task: int
    request: int
    status: str
    asked_at: datetime
    delivered_at: datetime | None
    seen_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Episode:
    """id: rid of the sender's Task. candidates: in the order they were asked."""

    id: int
    requester: int
    request: int
    patient: int | None
    state: str
    opened_at: datetime
    planned_at: datetime | None
    closed_at: datetime | None
    candidates: tuple[Candidate, ...]

    def candidate_of_task(self, rid: int) -> Candidate | None:
        return next((one for one in self.candidates if one.task == rid), None)


async def lock(conn: Connection, ids: Sequence[int]) -> dict[int, Episode]:
    """Those episodes as they stand, locked for this transaction in the order of their ids."""
    if not ids:
        return {}
    await conn.execute(
        "select id from episode where id = any($1::bigint[]) order by id for update", sorted(ids)
    )
    return await read(conn, ids)


async def read(conn: Connection, ids: Sequence[int]) -> dict[int, Episode]:
    """Those episodes with their candidates. For the hub's decisions: whoever answers with it checks who asks."""
    rows = await conn.fetch(
        "select e.id, e.requester, e.request, e.patient, e.state, e.opened_at, e.planned_at, e.closed_at,"
        " c.ordinal, c.organization, c.recipient, c.task, c.request, c.status, c.asked_at, c.delivered_at,"
        " c.seen_at, c.accepted_at, c.ended_at"
        " from episode e left join candidate c on c.episode = e.id"
        " where e.id = any($1::bigint[]) order by e.id, c.ordinal",
        list(ids),
    )
    episodes: dict[int, list[Any]] = {}
    candidates: dict[int, list[Candidate]] = {}
    for row in rows:
        values = tuple(row)
        episodes[values[0]] = list(values[:8])
        if values[8] is not None:
            candidates.setdefault(values[0], []).append(Candidate(*values[8:]))
    return {
        number: Episode(*[*values, tuple(candidates.get(number, []))])
        for number, values in episodes.items()
    }
