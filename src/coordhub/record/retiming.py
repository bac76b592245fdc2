"""The timers of a referral computed again, by going through the versions of its Tasks as they were written.

What stands in no Task is kept as the rows have it: which timer has fired, and that one was set again
since its owner was heard of or reminded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordhub.directory import calendars
from coordhub.r4 import document as fhir_json
from coordhub.record import owing, parties, visits
from coordhub.record.hub import Hub
from coordhub.record.timing import awaits_visit, may_owe, priority, wanted_of
from coordhub.referral import timers as of
from coordhub.store import projections
from coordhub.store.engine import Connection
from coordhub.store.projections import (
    CandidateState,
    ErrandState,
    NeedState,
    Row,
    TaskVersion,
    TimerState,
)

_SET_AGAIN = frozenset({of.PROGRESS, of.PROGRESS_OVERDUE, of.WAITLIST})


@dataclass(frozen=True, slots=True)
class _Task:
    """who: by whose calendar its deadlines count. wants: by its document, and whether its owner wrote it.

    since: when its owner was asked by it, where that is not from its first version on.
    """

    rid: int
    who: str
    wants: Callable[[dict[str, object], bool], of.Wanted]
    owner: int = 0
    since: datetime | None = None


async def timers(
    hub: Hub,
    conn: Connection,
    episode: int,
    versions: Mapping[int, Sequence[TaskVersion]],
    rows: Sequence[Row],
    found: Sequence[Row],
) -> list[TimerState]:
    """rows: the candidates, errands and needs as their Tasks have them. found: the timers as they stand."""
    known = {(row.subject, row.kind): row for row in found if isinstance(row, TimerState)}
    fired = await projections.fired(conn, episode)
    made: list[TimerState] = []
    for task in await _tasks(hub, conn, episode, versions, rows):
        for timer in await _through(hub, conn, task, versions[task.rid]):
            row = TimerState(
                episode, timer.kind, task.rid, timer.since, timer.due_at, timer.stood_at
            )
            made.append(
                _kept(row, known.get((task.rid, timer.kind)), (task.rid, timer.kind) in fired)
            )
    return made


def _kept(row: TimerState, stands: TimerState | None, fired: bool) -> TimerState:
    if stands is None:
        return row
    again = row.kind in _SET_AGAIN and stands.since > row.since
    return stands if again or (fired and stands.since == row.since) else row


async def _tasks(
    hub: Hub,
    conn: Connection,
    episode: int,
    versions: Mapping[int, Sequence[TaskVersion]],
    rows: Sequence[Row],
) -> list[_Task]:
    kinds = {row.ordinal: row.kind for row in rows if isinstance(row, NeedState)}
    requests = {row.ordinal: row.request for row in rows if isinstance(row, NeedState)}
    strategies = {row.ordinal: row.strategy for row in rows if isinstance(row, NeedState)}
    limits = hub.deadlines

    def sent(document: dict[str, object], heard: bool) -> of.Wanted:
        lengths = limits.lengths(kinds.get(0, ""), priority(document))
        return of.of_referral(str(document["status"]), lengths)

    def asked(
        kind: str, strategy: str, visit: datetime | None, owes: bool
    ) -> Callable[[dict[str, object], bool], of.Wanted]:
        def wants(document: dict[str, object], heard: bool) -> of.Wanted:
            lengths = limits.lengths(kind, priority(document))
            agreed = visit if awaits_visit(document, lengths) else None
            owed = owes and may_owe(document, lengths)
            return wanted_of(lengths, document, strategy, heard=heard, visit=agreed, owes=owed)

        return wants

    def errand(kind: str) -> Callable[[dict[str, object], bool], of.Wanted]:
        return lambda document, heard: of.of_errand(
            str(document["status"]),
            limits.of_errand(kind, priority(document)),
            of.accept_by(document),
        )

    requester = _local(hub, versions[episode][-1], "requester")
    tasks = [_Task(episode, requester, sent)]
    for row in rows:
        if isinstance(row, CandidateState) and not any(one.sealed for one in versions[row.task]):
            orders = {row.request, requests.get(row.need, row.request)}
            visit = await visits.over_at(conn, orders, row.organization)
            owes = row.task != episode and bool(
                await owing.missing(conn, episode, row.organization, row.request)
            )
            wants = asked(kinds.get(row.need, ""), strategies.get(row.need, ""), visit, owes)
            tasks.append(_Task(row.task, row.recipient, wants, row.organization, row.asked_at))
        elif isinstance(row, ErrandState):
            owner = _local(hub, versions[row.task][-1], "owner")
            tasks.append(_Task(row.task, owner, errand(row.kind), row.owner))
    return tasks


async def _through(
    hub: Hub, conn: Connection, task: _Task, versions: Sequence[TaskVersion]
) -> list[of.Timer]:
    default = hub.deadlines.calendar
    there = await calendars.calendar_of(conn, task.who, hub.base, default)
    known: dict[str, of.Timer] = {}
    for version in versions:
        if task.since is not None and version.updated < task.since:
            continue
        heard = version.author == task.owner
        wanted = task.wants(_document(version), heard) if version.body is not None else {}
        change = of.changed(known, wanted, there, version.updated)
        known |= {one.kind: one for one in change.timers}
        known = {kind: one for kind, one in known.items() if kind not in change.gone}
    return list(known.values())


def _document(version: TaskVersion) -> dict[str, object]:
    return fhir_json.parse((version.body or "{}").encode())


def _local(hub: Hub, version: TaskVersion, element: str) -> str:
    return parties.local(_document(version).get(element), hub.base) or ""
