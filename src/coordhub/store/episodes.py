"""Episodes and their candidates: the lock of a referral.

The episode's row is locked before any resource of the referral, by everyone who changes something
about it: that gives one order to all that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from coordhub.r4.datasets import BLIND
from coordhub.store.engine import Connection
from coordhub.store.transact import CandidateRow

NOBODY: Final = 0
"""Organization of a Task of a pool as long as nobody has claimed it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One organization that was asked, or NOBODY yet. All numbers but ordinal, need and wave are rids.

    request: the hub's ServiceRequest. need: ordinal of what it is asked for. reason: code of
    statusReason, "" where there is none of the hub's. blind: it is not told for whom, and never was: it
    is asked beside others, or has lost.
    """

    ordinal: int
    organization: int
    recipient: str
    task: int
    request: int
    status: str
    need: int
    wave: int
    reason: str
    asked_at: datetime
    delivered_at: datetime | None
    seen_at: datetime | None
    accepted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """One thing asked for.

    request: rid of the sender's ServiceRequest. wave: the last that was asked. reason: code of why
    nobody else can be asked, "" while that is not known. suggested: whether somebody has suggested whom
    to ask, who was not asked yet. next_at: when its strategy takes its next step if nothing happens before.
    """

    ordinal: int
    request: int
    kind: str
    strategy: str
    state: str
    wave: int
    reason: str
    opened_at: datetime
    closed_at: datetime | None
    suggested: bool = False
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """What the hub asks a person. task, owner, subject: rids; owner of an Organization or a Patient."""

    task: int
    episode: int | None
    kind: str
    owner: int
    subject: int
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Episode:
    """id: rid of the sender's Task. candidates: in the order they were asked.

    request: of the first need, which is the focus of the sender's Task. sandbox: its sender is of the sandbox, as
    everybody is who may be asked.
    """

    id: int
    requester: int
    request: int
    patient: int | None
    state: str
    opened_at: datetime
    planned_at: datetime | None
    closed_at: datetime | None
    candidates: tuple[Candidate, ...]
    needs: tuple[Need, ...]
    errands: tuple[Errand, ...]
    sandbox: bool = False

    def candidate_of_task(self, rid: int) -> Candidate | None:
        return next((one for one in self.candidates if one.task == rid), None)

    def errand_of_task(self, rid: int) -> Errand | None:
        return next((one for one in self.errands if one.task == rid), None)

    @property
    def shared(self) -> Candidate | None:
        """Who answers on the sender's own Task, as both have agreed; then nobody else is asked."""
        return self.candidate_of_task(self.id)

    def is_of_pool(self, candidate: Candidate | CandidateRow) -> bool:
        """Whether it is asked by a Task without owner, which one of several claims."""
        return self.need_of(candidate).strategy == "pool"

    def need_of(self, candidate: Candidate | CandidateRow) -> Need:
        return next(one for one in self.needs if one.ordinal == candidate.need)


async def lock(conn: Connection, ids: Sequence[int]) -> dict[int, Episode]:
    """Those episodes as they stand, locked for this transaction in the order of their ids."""
    if not ids:
        return {}
    await conn.execute(
        "select id from episode where id = any($1::bigint[]) order by id for update", sorted(ids)
    )
    return await read(conn, ids)


class OfPatient(NamedTuple):
    """A referral of a patient: rids of the sender's Task and of who sent it."""

    id: int
    requester: int


async def of_patient(conn: Connection, patient: int) -> list[OfPatient]:
    """The referrals of this patient, open or not."""
    rows = await conn.fetch(
        "select id, requester from episode where patient = $1 order by id", patient
    )
    return [OfPatient(*row) for row in rows]


async def read(conn: Connection, ids: Sequence[int]) -> dict[int, Episode]:
    """Those episodes with their candidates. For the hub's decisions: whoever answers with it checks who asks."""
    rows = await conn.fetch(_EPISODES, list(ids))
    candidates: dict[int, list[Candidate]] = {}
    needs: dict[int, list[Need]] = {}
    errands: dict[int, list[Errand]] = {}
    wholes: dict[int, list[Any]] = {}
    tests: dict[int, bool] = {}
    for row in rows:
        what, number, *values = tuple(row)
        if what == "candidate":
            candidates.setdefault(number, []).append(Candidate(*values))
        elif what == "need":
            strategy, _, reason = values[8].partition(" ")
            needs.setdefault(number, []).append(
                Need(
                    values[0], values[4], values[2], strategy, values[5], values[7], reason,
                    values[9], values[14], bool(values[1]), values[10],
                )
            )  # fmt: skip
        elif what == "errand":
            values = [values[at] for at in _OF_ERRAND]
            errands.setdefault(number, []).append(Errand(values[0], number, *values[1:]))
        else:
            wholes[number] = [values[at] for at in _OF_EPISODE]
            tests[number] = values[2] is not None
    return {
        number: Episode(
            *[
                number, *values, tuple(candidates.get(number, ())),
                tuple(needs.get(number, ())), tuple(errands.get(number, ())), tests[number],
            ]
        )
        for number, values in sorted(wholes.items())
    }  # fmt: skip


_EPISODES = (
    "select 'candidate' as what, episode, ordinal, organization, recipient, task, request, status, need, wave,"
    " coalesce(reason, ''), asked_at, delivered_at, seen_at, accepted_at, started_at, ended_at,"
    f" coalesce((select bool_and(g.dataset = {BLIND}) from access_grant g"
    "   where g.organization = c.organization and g.rid = c.task), false)"
    " from candidate c where episode = any($1::bigint[])"
    " union all select 'need', episode, ordinal, (select count(*) from prospect p"
    "   where p.episode = n.episode and p.need = n.ordinal and p.verdict = 'in' and p.asked is null"
    """   and p.findings like '%"suggested"%'),"""
    " kind, null, request, state, null, wave,"
    " strategy || ' ' || coalesce(reason, ''), opened_at, next_at, null, null, null, closed_at, null"
    " from need n where episode = any($1::bigint[])"
    " union all select 'errand', episode, null, owner, kind, task, subject, null, null, null, null,"
    " opened_at, null, null, null, null, closed_at, null from errand where episode = any($1::bigint[])"
    " union all select 'episode', id, null, requester, case when exists (select from sandbox s"
    "   where s.organization = requester) then '' end, patient, request, state, null, null, null,"
    " opened_at, planned_at, null, null, null, closed_at, null from episode where id = any($1::bigint[])"
    " order by episode, what, ordinal, task"
)
"""All rows of episodes in one statement, under the columns of candidate."""

_OF_ERRAND = (3, 2, 1, 4, 9, 14)
_OF_EPISODE = (1, 4, 3, 5, 9, 10, 14)
"""Where the columns of the others stand in a row of `_EPISODES`, in the order of their classes."""


async def errands_of(conn: Connection, tasks: Sequence[int]) -> dict[int, Errand]:
    """The errands among these Tasks (rids), of a referral or of none."""
    rows = await conn.fetch(
        "select task, episode, kind, owner, subject, opened_at, closed_at from errand"
        " where task = any($1::bigint[])",
        list(tasks),
    )
    return {row[0]: Errand(*row) for row in rows}
