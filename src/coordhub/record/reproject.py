"""Episode, needs, candidates, errands and timers computed again from the Tasks, and compared with what is stored.

By the same rules as `record.rules` and `store.transact` write them, but from what is written down,
not from what they decided. Two things stand in no resource and are taken from where they do: which
organization was asked, from the grant that let it see the Task (the directory may say something else
by now), and when it was told, from the ledger. What was decided once by what was known then stands in
the rows only and is kept, as far as the row is there: by which strategy a need is asked for, who was
asked in which wave, why nobody else can be, `candidate.seen_at` and `timer.fired_at`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordhub.access import viewer
from coordhub.r4 import document as fhir_json
from coordhub.record import errands as errands_of
from coordhub.record import parent, parties, requisition, retiming
from coordhub.record.hub import Hub
from coordhub.referral import candidates, needs, prospects, strategies
from coordhub.referral import task_machine as machine
from coordhub.referral.episode import BUSINESS_STATUS_SYSTEM
from coordhub.referral.kinds import kind_of
from coordhub.referral.needs import Child, Need
from coordhub.store import episodes, projections, resources
from coordhub.store import needs as prospecting
from coordhub.store.engine import Connection
from coordhub.store.episodes import NOBODY
from coordhub.store.projections import (
    CandidateState,
    EpisodeState,
    ErrandState,
    NeedState,
    Row,
    TaskVersion,
    TimerState,
    Told,
)
from coordhub.store.resources import Version
from coordhub.store.visibility import HUB

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
    sent = tasks.get(episode)
    told = await projections.told(conn, episode, list(tasks), sent[-1].source if sent else 0)
    tasks.pop(episode, None)
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
    requests = {} if waits else await _requests(hub, conn, sent[-1], focus[episode])
    need_of = await _asked_for(hub, conn, [focus[rid] for rid in asked], requests)
    rows: list[Row] = [*errands]
    children: list[Child] = []
    moments: dict[int, list[datetime]] = {}
    for ordinal, rid in enumerate(asked):
        answers = tasks[rid][1:]
        if any(one.sealed for one in tasks[rid]):
            if rid in kept:
                rows.append(kept[rid]._replace(ordinal=ordinal))
                children.append(Child("", "", str(kept[rid].need), apart=True))
            continue
        need = need_of.get(focus[rid], 0)
        waves = moments.setdefault(need, [])
        if tasks[rid][0].updated not in waves:
            waves.append(tasks[rid][0].updated)
        reason = parent.code_of(documents[rid].get("statusReason"), machine.REASON_SYSTEM)
        # as it was addressed, or claimed: its owner may have handed it on inside its house
        owners = [parties.local(_document([each]).get("owner"), hub.base) for each in tasks[rid]]
        organization = told.organizations[rid] if owners[0] else told.winners.get(rid, NOBODY)
        row = CandidateState(
            episode, ordinal, organization, next((one for one in owners if one), ""),
            rid, focus[rid],
            str(tasks[rid][-1].status), need, kept[rid].wave if rid in kept else len(waves),
            reason if answers and reason else None,
            tasks[rid][0].updated, told.delivered.get(rid), _first(answers, _ACCEPTED),
            _first(answers, _STARTED), _first(answers, machine.TERMINAL),
        )  # fmt: skip
        rows.append(row)
        offered = row.status == "accepted" and any(
            isinstance(each, NeedState)
            and (each.ordinal, each.strategy) == (need, "broadcast-choose")
            and each.state != "won"
            for each in found
        )
        children.append(
            Child(
                "", row.status, str(need), reason, offered=offered,
                begun=row.started_at is not None,
            )
        )  # fmt: skip
    one = None if waits else _shared(hub, sent, told, episode, focus[episode])
    if one is not None:
        rows.append(one)
        started = one.started_at is not None
        children.append(Child("", one.status, str(one.need), one.reason or "", begun=started))
    closed = _first(sent, machine.TERMINAL)
    whole = EpisodeState(
        episode, sent[-1].source, focus.get(episode, 0), sent[-1].patient,
        "open" if closed is None else "closed", told.opened,
        max(
            [*(tasks[rid][0].updated for rid in asked), *([one.asked_at] if one else [])], default=None
        ),
        closed,
    )  # fmt: skip
    if not waits:
        begun = next(
            one.updated
            for one in sent
            if one.body is not None and parties.local(_document([one]).get("focus"), hub.base)
        )
        referral = _Referral(
            whole, str(sent[-1].status), begun, _document(sent), children, found, hub.itself,
            await _suggested(conn, episode, rows), len(requests) > 1,
        )  # fmt: skip
        rows += [
            _need(referral, ordinal, rid, request, rows)
            for ordinal, (rid, request) in enumerate(requests.items())
        ]
    rows.append(whole)
    rows += await retiming.timers(hub, conn, episode, {episode: sent, **tasks}, rows, found)
    return rows


def _shared(
    hub: Hub, sent: list[TaskVersion], told: Told, episode: int, request: int
) -> CandidateState | None:
    """Who is asked by the sender's own Task, from the version on by which the hub made it so."""
    organization = told.organizations.get(episode)
    asking = next(
        (
            at
            for at, one in enumerate(sent)
            if one.author == HUB
            and parent.code_of(_document([one]).get("businessStatus"), BUSINESS_STATUS_SYSTEM)
            == "awaiting-recipient"
        ),
        None,
    )
    if organization is None or asking is None:
        return None
    first, answers, last = sent[asking], sent[asking + 1 :], _document(sent)
    reason = parent.code_of(last.get("statusReason"), machine.REASON_SYSTEM)
    return CandidateState(
        episode, 0, organization, parties.local(_document([first]).get("owner"), hub.base) or "",
        episode, request, str(sent[-1].status), 0, 1, reason if answers and reason else None,
        first.updated, told.delivered.get(episode), _first(answers, _ACCEPTED),
        _first(answers, _STARTED), _first(answers, machine.TERMINAL),
    )  # fmt: skip


async def _requests(
    hub: Hub, conn: Connection, sent: TaskVersion, focus: int
) -> dict[int, dict[str, Any]]:
    """What the sender's Task asks for, by rid, in the order of the needs."""
    task = fhir_json.parse((sent.body or "{}").encode())
    names = [_parts(text) for text, _ in requisition.named(task, hub.base)]
    located = await resources.locate(conn, viewer.deciding(), names)
    rids = [located[name].rid for name in names if name in located]
    stored = await resources.read_rids(conn, viewer.deciding(), [focus, *rids])
    bodies = {
        rid: parties.document(stored[rid]) if stored[rid].body is not None else {}
        for rid in dict.fromkeys([focus, *rids])
        if rid in stored
    }
    first = bodies.get(focus, {})
    return {
        focus: first,
        **{
            rid: body
            for rid, body in bodies.items()
            if rid != focus
            and stored[rid].source == sent.source
            and requisition.belong_together(first, body)
        },
    }


async def _asked_for(
    hub: Hub, conn: Connection, made: Sequence[int], requests: Mapping[int, object]
) -> dict[int, int]:
    """Of each of the hub's ServiceRequests the ordinal of the need that it is based on."""
    stored = await resources.read_rids(conn, viewer.deciding(), made)
    based = {
        rid: [_parts(text) for text in parties.locals_of(_stated(one).get("basedOn"), hub.base)]
        for rid, one in stored.items()
    }
    located = await resources.locate(
        conn, viewer.deciding(), sorted({name for names in based.values() for name in names})
    )
    ordinals = {rid: ordinal for ordinal, rid in enumerate(requests)}
    return {
        rid: ordinals[located[name].rid]
        for rid, names in based.items()
        for name in names
        if name in located and located[name].rid in ordinals
    }


@dataclass(frozen=True, slots=True)
class _Referral:
    """status: of the sender's Task, which is `task`. begun: when what it asks for was here. found: the
    rows as they stand. hub: its references. suggested: needs for which somebody else is.
    several: it has more needs than one.
    """

    row: EpisodeState
    status: str
    begun: datetime
    task: dict[str, Any]
    children: Sequence[Child]
    found: Sequence[Row]
    hub: Collection[str]
    suggested: Collection[int]
    several: bool


async def _suggested(conn: Connection, episode: int, rows: Sequence[Row]) -> set[int]:
    """Ordinals of the needs for which somebody is suggested who was not asked yet."""
    asked = {(row.need, row.recipient) for row in rows if isinstance(row, CandidateState)}
    return {
        one.need
        for one in await prospecting.prospects(conn, episode)
        if one.verdict == "in"
        and (one.need, one.recipient) not in asked
        and prospects.SUGGESTED in prospects.read(one.findings)
    }


def _need(
    of: _Referral, ordinal: int, rid: int, request: dict[str, Any], rows: Sequence[Row]
) -> NeedState:
    """The need as its candidates and errands in `rows` have it. rid, request: of what it asks for."""
    asked = [row for row in rows if isinstance(row, CandidateState) and row.need == ordinal]
    looked_for = [
        row
        for row in rows
        if isinstance(row, ErrandState) and row.kind == "find-provider" and row.subject == rid
    ]
    stood = next(
        (row for row in of.found if isinstance(row, NeedState) and row.ordinal == ordinal), None
    )
    kind, strategy = stood.kind if stood else kind_of(request), stood.strategy if stood else ""
    if not strategy:
        priority = str(of.task.get("priority") or request.get("priority") or "routine")
        named = candidates.named(of.task, request, of.hub)
        names = named.references if isinstance(named, candidates.Named) else ()
        strategy = strategies.in_use().named(kind, priority, names)
    need = NeedState(
        of.row.id, ordinal, rid, kind, strategy, "open", max((row.wave for row in asked), default=0),
        stood.reason if stood else None,
        stood.opened_at if stood and ordinal else of.begun,  # further ones may be added later
        stood.next_at if stood else None, None,
    )  # fmt: skip
    outlook = Need(
        str(ordinal),
        more=not need.reason
        and needs.is_followed(
            strategy,
            suggested=ordinal in of.suggested,
            several=of.several,
            apart=any(child.apart and child.need == str(ordinal) for child in of.children),
        ),
        queued=any(row.closed_at is None for row in looked_for) and not need.reason,
        reason=need.reason or "",
    )
    state = needs.state(outlook, of.children, of.status)
    need = need._replace(state=state, next_at=need.next_at if state == "open" else None)
    if state not in needs.ENDED:
        return need
    if stood is not None and stood.state == state and stood.closed_at is not None:
        return need._replace(closed_at=stood.closed_at)
    ends = [
        *(row.ended_at for row in asked if state != "met" or row.status == "completed"),
        *(row.closed_at for row in looked_for if state != "met"),
    ]
    known = [end for end in ends if end is not None]
    return need._replace(
        closed_at=max(known) if known and len(known) == len(ends) else of.row.closed_at
    )


def _stated(version: Version) -> dict[str, Any]:
    return fhir_json.parse((version.body or "{}").encode())


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
