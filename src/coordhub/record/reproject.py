"""Episode, needs, candidates, errands and timers computed again from the Tasks, and compared with what is stored.

By the same rules as `record.rules` and `store.transact` write them, but from what is written down,
not from what they decided. Two things stand in no resource and are taken from where they do: which
organization was asked, from the grant that let it see the Task (the directory may say something else
by now), and when it was told, from the ledger. What was decided once by what was known then stands in
the rows only and is kept, as far as the row is there: by which strategy a need is asked for, who was
asked in which wave, why nobody else can be, `candidate.seen_at` and `timer.fired_at`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.record import errands as errands_of
from coordhub.record import parent, parties, retiming
from coordhub.record.hub import Hub
from coordhub.referral import needs
from coordhub.referral import task_machine as machine
from coordhub.referral.needs import Child, Need
from coordhub.store import episodes, projections, resources
from coordhub.store.engine import Connection
from coordhub.store.projections import (
    CandidateState,
    EpisodeState,
    ErrandState,
    NeedState,
    Row,
    TaskVersion,
    TimerState,
)

_ACCEPTED = frozenset({"accepted", "in-progress", "on-hold", "completed", "failed"})
_STARTED = frozenset({"in-progress"})
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
                wanted = await _project(hub, conn, number, found)
                differences = _compare(found, wanted)
                if differences and mend:
                    await projections.write(conn, number, wanted)
            yield Projected(number, differences)
        if len(page) < _PAGE:
            return
        after = page[-1]


async def _project(hub: Hub, conn: Connection, episode: int, found: Sequence[Row]) -> list[Row]:
    """The rows that follow from the Tasks of this referral; none if it has no Task.

    found: the rows as they stand. Of a candidate whose Task is sealed, a victim service provider's,
    the row does not follow the Task: it must not tell what became of it.
    """
    kept = {row.task: row for row in found if isinstance(row, CandidateState)}
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
    focus = {rid: at.rid for rid, name in names.items() if (at := located.get(_parts(name)))}
    waits = not names[episode]  # for its ServiceRequest, which is on its sender's server
    if episode not in focus and not waits:
        return []
    ours = [rid for rid in tasks if rid in told.organizations and rid in focus]
    errands = [
        ErrandState(
            rid, episode, kind, told.organizations[rid], focus[rid], tasks[rid][0].updated,
            _first(tasks[rid], machine.TERMINAL),
        )
        for rid in ours
        if (kind := errands_of.kind_of(documents[rid])) is not None
    ]  # fmt: skip
    asked = sorted(
        {rid for rid in ours if names[rid].startswith("ServiceRequest/")}
        - {errand.task for errand in errands},
        key=lambda rid: (tasks[rid][0].updated, rid >> 8),
    )
    rows: list[Row] = [*errands]
    children: list[Child] = []
    moments: list[datetime] = []
    for ordinal, rid in enumerate(asked):
        answers = tasks[rid][1:]
        if tasks[rid][0].updated not in moments:
            moments.append(tasks[rid][0].updated)
        if any(one.sealed for one in tasks[rid]):
            children.append(Child("", "", "0", apart=True))
            if rid in kept:
                rows.append(kept[rid]._replace(ordinal=ordinal))
            continue
        reason = parent.code_of(documents[rid].get("statusReason"), machine.REASON_SYSTEM)
        row = CandidateState(
            episode, ordinal, told.organizations[rid],
            # as it was addressed: its owner may have handed it on inside its house
            parties.local(_document(tasks[rid][:1]).get("owner"), hub.base) or "",
            rid, focus[rid],
            str(tasks[rid][-1].status), 0, kept[rid].wave if rid in kept else len(moments),
            reason if answers and reason else None,
            tasks[rid][0].updated, told.delivered.get(rid), _first(answers, _ACCEPTED),
            _first(answers, _STARTED), _first(answers, machine.TERMINAL),
        )  # fmt: skip
        rows.append(row)
        children.append(Child("", row.status, "0", reason, begun=row.started_at is not None))
    closed = _first(sent, machine.TERMINAL)
    rows.append(
        EpisodeState(
            episode, sent[-1].source, focus.get(episode, 0), sent[-1].patient,
            "open" if closed is None else "closed", told.opened,
            max((tasks[rid][0].updated for rid in asked), default=None), closed,
        )
    )  # fmt: skip
    if not waits:
        begun = next(
            one.updated
            for one in sent
            if one.body is not None and parties.local(_document([one]).get("focus"), hub.base)
        )
        rows.append(_need(rows, children, str(sent[-1].status), begun, closed, found))
    rows += await retiming.timers(hub, conn, episode, {episode: sent, **tasks}, rows, found)
    return rows


def _need(
    rows: Sequence[Row],
    children: Sequence[Child],
    status: str,
    begun: datetime,
    closed: datetime | None,
    found: Sequence[Row],
) -> NeedState:
    """The need as its candidates in `rows` have it. begun: when its ServiceRequest was here."""
    [episode] = [row for row in rows if isinstance(row, EpisodeState)]
    asked = [row for row in rows if isinstance(row, CandidateState)]
    stood = next((row for row in found if isinstance(row, NeedState) and row.ordinal == 0), None)
    strategy = "broadcast" if len(asked) > 1 else "direct"
    need = NeedState(
        episode.id, 0, episode.request, stood.kind if stood else "",
        stood.strategy if stood else strategy, "open", max((row.wave for row in asked), default=0),
        stood.reason if stood else None, begun, None,
    )  # fmt: skip
    state = needs.state(Need("0", reason=need.reason or ""), children, status)
    need = need._replace(state=state)
    if state not in needs.ENDED:
        return need
    if stood is not None and stood.state == state and stood.closed_at is not None:
        return need._replace(closed_at=stood.closed_at)
    ends = [row.ended_at for row in asked if state != "met" or row.status == "completed"]
    known = [end for end in ends if end is not None]
    return need._replace(closed_at=max(known) if known and len(known) == len(ends) else closed)


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
        case NeedState():
            return f"need {row.episode}/{row.ordinal}"
        case ErrandState():
            return f"errand {row.task}"
        case TimerState():
            return f"timer {row.kind} of {row.subject}"
