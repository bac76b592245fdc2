"""Episode, candidates and timers computed again from the Tasks, and compared with what is stored.

By the same rules as `record.rules.task` and `store.transact` write them, but from what is written
down, not from what they decided. Two things stand in no resource and are taken from where they do:
which organization was asked, from the grant that let it see the Task (the directory may say something
else by now), and when it was told, from the ledger. `candidate.seen_at` and `timer.fired_at` stand in
their rows only and are kept, as far as the row is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.referral import task_machine as machine
from coordhub.referral import timers
from coordhub.store import episodes, projections, resources
from coordhub.store.engine import Connection
from coordhub.store.projections import (
    CandidateState,
    EpisodeState,
    Row,
    TaskVersion,
    TimerState,
)

_ACCEPTED = frozenset({"accepted", "in-progress", "on-hold", "completed", "failed"})
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Projected:
    """One referral. differences: which columns of which rows are not as the Tasks have them."""

    episode: int
    differences: tuple[str, ...]


async def reproject(hub: Hub, *, after: int = 0, mend: bool = True) -> AsyncIterator[Projected]:
    """Every referral after this one, each compared (and without a difference then) when it is given.

    Each in a transaction of its own, under the lock that all its writers hold.
    """
    while True:
        async with hub.engine.pool.acquire() as conn:
            page = await projections.episodes(conn, after, _PAGE)
        for number in page:
            async with hub.engine.transaction() as conn:
                await episodes.lock(conn, [number])
                found = await projections.stored(conn, number)
                kept = {row.task: row for row in found if isinstance(row, CandidateState)}
                wanted = await _project(hub, conn, number, kept)
                differences = _compare(found, wanted)
                if differences and mend:
                    await projections.write(conn, number, wanted)
            yield Projected(number, differences)
        if len(page) < _PAGE:
            return
        after = page[-1]


async def _project(
    hub: Hub, conn: Connection, episode: int, kept: Mapping[int, CandidateState]
) -> list[Row]:
    """The rows that follow from the Tasks of this referral; none if it has no Task.

    kept: the candidates as they stand, by their Tasks. Of one whose Task is sealed, a victim service
    provider's, the row does not follow the Task: it must not tell what became of it.
    """
    tasks = await projections.tasks(conn, viewer.deciding(), episode)
    told = await projections.told(conn, episode, list(tasks))
    sent = tasks.pop(episode, None)
    if sent is None or sent[-1].body is None or told.opened is None:
        return []
    documents = {rid: _document(versions) for rid, versions in tasks.items()}
    names = {
        rid: parties.local(document.get("focus"), hub.base) or ""
        for rid, document in ((episode, _document(sent)), *documents.items())
    }
    located = await resources.locate(
        conn, viewer.deciding(), [_parts(name) for name in names.values() if name]
    )
    focus = {rid: found.rid for rid, name in names.items() if (found := located.get(_parts(name)))}
    rows: list[Row] = []
    asked = sorted(
        (
            rid
            for rid in tasks
            if rid in told.organizations
            and rid in focus
            and names[rid].startswith("ServiceRequest/")
        ),
        key=lambda rid: (tasks[rid][0].updated, rid >> 8),
    )
    for ordinal, rid in enumerate(asked):
        answers = tasks[rid][1:]
        if any(one.sealed for one in tasks[rid]):
            if rid in kept:
                rows.append(kept[rid]._replace(ordinal=ordinal))
            continue
        rows.append(
            CandidateState(
                episode, ordinal, told.organizations[rid],
                parties.local(documents[rid].get("owner"), hub.base) or "", rid, focus[rid],
                str(tasks[rid][-1].status), tasks[rid][0].updated, told.delivered.get(rid),
                _first(answers, _ACCEPTED), _first(answers, machine.TERMINAL),
            )
        )  # fmt: skip
        due = timers.accept_by(documents[rid])
        if due is not None:
            rows.append(TimerState(episode, "accept-by", rid, due))
    closed = _first(sent, machine.TERMINAL)
    if episode in focus:
        rows.append(
            EpisodeState(
                episode, sent[-1].source, focus[episode], sent[-1].patient,
                "open" if closed is None else "closed", told.opened,
                max((tasks[rid][0].updated for rid in asked), default=None), closed,
            )
        )  # fmt: skip
    return rows


def _document(versions: list[TaskVersion]) -> dict[str, Any]:
    body = versions[-1].body
    return {} if body is None else fhir_json.parse(body.encode())


def _parts(name: str) -> tuple[str, str]:
    kind, _, fhir_id = name.partition("/")
    return kind, fhir_id


def _first(versions: list[TaskVersion], statuses: frozenset[str]) -> datetime | None:
    return next((one.updated for one in versions if one.status in statuses), None)


def _compare(found: list[Row], wanted: list[Row]) -> tuple[str, ...]:
    """`table key: column, column` for each row that differs, is missing or should not be."""
    by_key = {_key(row): row for row in wanted}
    differences = []
    for row in found:
        other = by_key.pop(_key(row), None)
        if other is None:
            differences.append(f"{_key(row)}: not from any Task")
        elif row != other:
            columns = [n for n, a, b in zip(row._fields, row, other, strict=True) if a != b]
            differences.append(f"{_key(row)}: {', '.join(columns)}")
    return (*differences, *(f"{key}: missing" for key in by_key))


def _key(row: Row) -> str:
    match row:
        case EpisodeState():
            return f"episode {row.id}"
        case CandidateState():
            return f"candidate {row.episode}/{row.ordinal}"
        case TimerState():
            return f"timer {row.kind} of {row.subject}"
