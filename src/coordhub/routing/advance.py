"""The next step of each need of a referral, taken by the hub under the referral's lock.

Whom to ask is said by `referral.strategy`; here it is told how things stand, and what it says is
carried out: somebody is asked, or looked for in the directory, or a person is, or it is waited.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from coordhub.access import caller, viewer
from coordhub.directory import services
from coordhub.record import commit, coordinating, errands, for_patient, parties, sharing
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Update
from coordhub.referral import prospects as writing
from coordhub.referral import strategies, strategy, timers
from coordhub.referral import task_machine as machine
from coordhub.referral.needs import Child, is_asked
from coordhub.referral.strategy import Candidacy, View
from coordhub.routing import prospecting
from coordhub.routing.asking import (
    Sent,
    pool_url,
    question_by_its_own,
    question_to,
    question_to_all,
)
from coordhub.store import consents, episodes, grants, needs, resources, vsp
from coordhub.store.engine import Connection
from coordhub.store.episodes import NOBODY, Candidate, Episode, Need
from coordhub.store.needs import Prospect
from coordhub.store.transact import ProspectRow

_LOOKS_BESIDE = frozenset({"waves", "broadcast-choose"})
"""Strategies that have a step to take while somebody is asked."""


@dataclass(slots=True)
class Doing:
    """What the steps of one referral come to.

    requester: `Organization/id` of who referred; coordinator: of who looks after it. members: to whom each
    Task of a pool was offered. asked: need, and ranks, of each T2 among the operations; invitations: by
    fullUrl, whom those of pools are offered to. shares: the sender's own Task asks. concluded, ruled_out: a
    need's or a prospect's row was changed, so that `episode` is as it was before.
    """

    hub: Hub
    conn: Connection
    episode: Episode
    requester: str
    coordinator: str
    apart: frozenset[int]
    prospects: list[Prospect]
    members: dict[int, dict[int, str]] = field(default_factory=dict)
    operations: list[Create | Update] = field(default_factory=list)
    asked: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    invitations: dict[str, tuple[int, ...]] = field(default_factory=dict)
    shares: bool = False
    concluded: bool = False
    ruled_out: bool = False


async def advance(hub: Hub, conn: Connection, episode: Episode) -> Episode | None:
    """Take the steps of each open need, in the caller's transaction, until none has another one to take.

    The referral as it stands then; None where nothing was written of it.
    """
    apart: frozenset[int] | None = None
    moved: Episode | None = None
    while episode.state == "open":
        due = [need for need in episode.needs if need.state == "open" and not need.reason]
        if due and apart is None:
            apart = await vsp.marked(conn)
        due = [need for need in due if _may_move(episode, need, apart or frozenset())]
        if not due or not await _advance(hub, conn, episode, due, apart or frozenset()):
            break
        episode = moved = (await episodes.read(conn, [episode.id]))[episode.id]
    return moved


async def _advance(
    hub: Hub, conn: Connection, episode: Episode, due: Sequence[Need], apart: frozenset[int]
) -> bool:
    """Take the next step of each of these needs; whether anything was written of it."""
    stored = await resources.read_rids(
        conn,
        viewer.deciding(),
        [episode.id, episode.requester, *(need.request for need in episode.needs)],
    )
    orders = frozenset(
        stored[need.request].reference for need in episode.needs if need.request in stored
    )
    if episode.requester not in stored:
        return False
    requester = stored[episode.requester].reference
    coordinator = await coordinating.owner(hub, conn, episode) or requester
    doing = Doing(
        hub, conn, episode, requester, coordinator, apart,
        await needs.prospects(conn, episode.id),
    )  # fmt: skip
    if any(need.strategy == "pool" for need in due):
        doing.members = await grants.members(conn, episode.id)
    for need in due:
        task, request = stored.get(episode.id), stored.get(need.request)
        if task is None or task.body is None or request is None or request.body is None:
            continue
        await _step(doing, need, Sent(task, request, orders))
    if not doing.operations and not doing.concluded:
        return False
    written, _ = await commit.apply(
        hub, conn, caller.hub(hub.organization), doing.operations, interaction="transaction",
        referrals=[episode.id], invitations=doing.invitations, shares=doing.shares, apart=apart,
        held={} if doing.concluded or doing.ruled_out else {episode.id: episode},
    )  # fmt: skip
    tasks = [
        one.rid
        for one, operation in zip(written, doing.operations, strict=True)
        if isinstance(operation, Update)
        or (operation.type == "Task" and operation.document.get("partOf"))
    ]
    await needs.asked(
        conn,
        episode.id,
        [
            (need, rank, task)
            for (need, ranks), task in zip(doing.asked, tasks, strict=True)
            for rank in ranks
        ],
    )
    return True


async def take_up(hub: Hub, conn: Connection, number: int) -> None:
    """Take the steps that are due by themselves: whoever cannot be reached is not waited for; and the next ones."""
    await needs.begun(conn, number, hub.clock())
    tasks = await needs.unreached(conn, number)
    stored = await resources.read_rids(conn, viewer.deciding(), tasks)
    operations = [
        Update(
            "Task",
            task.id,
            {
                **parties.document(task),
                "status": "cancelled",
                "statusReason": machine.concept(machine.REASONS["undeliverable"]),
                "lastModified": instant(hub.clock()),
            },
        )
        for task in stored.values()
    ]
    if operations:
        me = caller.hub(hub.organization)
        await commit.apply(hub, conn, me, operations, interaction="transaction")
    await advance(hub, conn, (await episodes.read(conn, [number]))[number])


def _may_move(episode: Episode, need: Need, apart: frozenset[int]) -> bool:
    """Whether its strategy may have a step to take; seen of the rows, as most changes leave none."""
    if need.strategy in _LOOKS_BESIDE:
        return True
    return not any(is_asked(child) for child in _children(episode, need, apart) if not child.apart)


def _children(episode: Episode, need: Need, apart: frozenset[int]) -> list[Child]:
    return [
        Child(
            str(one.task),
            one.status,
            str(need.ordinal),
            one.reason,
            apart=one.organization in apart,
            offered=one.status == "accepted" and need.strategy == "broadcast-choose",
            begun=one.started_at is not None,
        )
        for one in episode.candidates
        if one.need == need.ordinal
    ]


async def _step(doing: Doing, need: Need, sent: Sent) -> None:
    """Steps of one need, until it is asked for or waited for."""
    hub, conn, episode = doing.hub, doing.conn, doing.episode
    known = [one for one in doing.prospects if one.need == need.ordinal]
    if not known and need.wave == 0:
        known = await _ranked(doing, need, await prospecting.named(hub, conn, episode, need, sent))
    looked = any(writing.MATCHED in writing.read(one.findings) for one in known)
    while True:
        known = await _askable(doing, need, known)
        view = _view(doing, need, sent, known, looked=looked)
        step = strategy.next_step(view, hub.clock())
        if not isinstance(step, strategy.Look):
            break
        looked = True
        rows = await prospecting.matched(hub, conn, episode, need, sent, known)
        known = [*known, *await _ranked(doing, need, rows)]
    until: datetime | None = None
    match step:
        case strategy.Ask(ranks, _):
            await _ask(doing, need, sent, view, [one for one in known if one.rank in ranks])
            until = hub.clock() + view.strategy.every if need.strategy in _LOOKS_BESIDE else None
        case strategy.Wait():
            until = step.until
        case strategy.Choose() if not _is_open(episode, need, "choose"):
            offers = [one for one in known if _offers(view, one.rank)]
            chooser = doing.requester
            if view.strategy.chooser == "patient":
                chooser = await for_patient.whom(conn, episode, "choose") or chooser
            _errand(doing, sent, "choose", chooser, offers)
        case strategy.Queue():
            _errand(doing, sent, "find-provider", doing.coordinator)
        case strategy.Nobody():
            reason = writing.reason([one.findings for one in known])
            tried = need.strategy == "direct" or bool(view.children)
            if tried or reason != "no-provider-available":
                await needs.conclude(conn, episode.id, need.ordinal, reason)
                doing.concluded = True
            else:
                _errand(doing, sent, "find-provider", doing.coordinator)
        case _:
            pass
    if until != need.next_at:
        await needs.schedule(conn, episode.id, need.ordinal, until)


async def _ranked(doing: Doing, need: Need, rows: Sequence[ProspectRow]) -> list[Prospect]:
    await needs.rank(doing.conn, rows)
    return [
        Prospect(
            row.need,
            row.rank,
            row.organization,
            row.recipient,
            row.verdict,
            row.score,
            row.findings,
        )
        for row in rows
    ]


async def _askable(doing: Doing, need: Need, known: Sequence[Prospect]) -> list[Prospect]:
    """Without who has left the directory, or of whom the patient's Consents, or the lack of one, forbid to
    ask it: by what they say now, of whoever may be next.
    """
    patient, tried = doing.episode.patient, _tried(doing, need)
    left = [
        one
        for one in known
        if one.verdict == "in" and Candidacy(one.rank, tried=tried.get(one.recipient, ())).is_left
    ]
    out: dict[int, str] = {}
    for one in left:
        if await services.recipient(doing.conn, one.recipient, doing.hub.base) is None:
            out[one.rank] = writing.written([writing.UNKNOWN])
    left = [one for one in left if one.rank not in out]
    if patient is not None and left:
        organizations = sorted({one.organization for one in left})
        allowed = await consents.may_be_asked(doing.conn, patient, organizations)
        missing = writing.written([writing.CONSENT_MISSING])
        out |= {one.rank: missing for one in left if one.organization not in allowed}
    for findings in dict.fromkeys(out.values()):
        ranks = {rank for rank, why in out.items() if why == findings}
        doing.ruled_out = True
        await needs.rule_out(doing.conn, doing.episode.id, need.ordinal, ranks, findings)
    return [
        replace(one, verdict="out", findings=out[one.rank]) if one.rank in out else one
        for one in known
    ]


def _tried(doing: Doing, need: Need) -> dict[str, tuple[Child, ...]]:
    """The Tasks that asked each recipient for this need, the latest last."""
    episode = doing.episode
    asked = [one for one in episode.candidates if one.need == need.ordinal]
    tried: dict[str, tuple[Child, ...]] = {}
    for candidate, child in zip(asked, _children(episode, need, doing.apart), strict=True):
        for recipient, theirs in _asked_by(doing, need, candidate, child):
            tried[recipient] = (*tried.get(recipient, ()), theirs)
    return tried


def _asked_by(
    doing: Doing, need: Need, candidate: Candidate, child: Child
) -> list[tuple[str, Child]]:
    """Whom a Task has asked, with what became of it for each: of a pool, whoever did not claim it was not selected."""
    members = doing.members.get(candidate.task)
    if members is None or candidate.organization in doing.apart:
        return [(candidate.recipient, child)]
    beaten = child
    if child.status in machine.TERMINAL or child.kept:
        beaten = replace(child, status="cancelled", reason="not-selected", begun=False)
    return [
        (
            one.recipient,
            child if candidate.organization in (NOBODY, one.organization) else beaten,
        )
        for one in doing.prospects
        if one.need == need.ordinal and one.organization in members
    ]


def _view(doing: Doing, need: Need, sent: Sent, known: Sequence[Prospect], *, looked: bool) -> View:
    episode = doing.episode
    task, request = sent.documents
    priority = str(task.get("priority") or request.get("priority") or "routine")
    asked = [one for one in episode.candidates if one.need == need.ordinal]
    tried = _tried(doing, need)
    return View(
        strategies.in_use().of(need.kind, priority, need.strategy),
        need.opened_at,
        tuple(
            Candidacy(
                one.rank,
                one.organization in doing.apart,
                writing.SUGGESTED in writing.read(one.findings),
                tried.get(one.recipient, ()),
                gone=one.verdict != "in",
            )
            for one in known
            if one.verdict == "in" or one.recipient in tried
        ),
        need.wave,
        max((one.asked_at for one in asked), default=None),
        not looked and need.strategy != "direct" and prospecting.may_be_extended(doing.hub, sent),
        _is_open(episode, need, "find-provider"),
        timers.accept_by(task),
        len(episode.needs) > 1,
    )


def _is_open(episode: Episode, need: Need, kind: str) -> bool:
    """Whether a person has this errand about the need."""
    return any(
        one.kind == kind and one.subject == need.request and one.closed_at is None
        for one in episode.errands
    )


def _offers(view: View, rank: int) -> bool:
    return any(
        each.rank == rank and any(child.offered for child in each.tried) for each in view.prospects
    )


async def _ask(
    doing: Doing, need: Need, sent: Sent, view: View, chosen: Sequence[Prospect]
) -> None:
    if need.strategy == "pool":
        members = [one for one in chosen if one.organization not in doing.apart]
        if members:
            key = str(need.ordinal)
            offered = {one.recipient: one.organization for one in members}
            doing.operations += await question_to_all(doing.hub, doing.conn, sent, key, offered)
            doing.invitations[pool_url(key)] = tuple({one.organization for one in members})
            doing.asked.append((need.ordinal, tuple(one.rank for one in members)))
        chosen = [one for one in chosen if one.organization in doing.apart]
        if not chosen:
            return
    if len(chosen) == 1 and await sharing.is_to_be(
        doing.conn, doing.episode, need, chosen[0].organization, chosen[0].recipient, doing.hub.base
    ):
        doing.operations.append(question_by_its_own(doing.hub, sent, chosen[0].recipient))
        doing.asked.append((need.ordinal, (chosen[0].rank,)))
        doing.shares = True
        return
    competing = sum(one.organization not in doing.apart for one in chosen)
    waiting = sum(is_asked(child) and not child.apart for child in view.children)
    made = await question_to(
        doing.hub, doing.conn, sent, str(need.ordinal),
        {one.recipient: one.organization for one in chosen},
        blind=competing + waiting > 1,
    )  # fmt: skip
    doing.operations += made
    doing.asked += [(need.ordinal, (one.rank,)) for one in chosen]


def _errand(
    doing: Doing, sent: Sent, kind: str, owner: str, offers: Sequence[Prospect] = ()
) -> None:
    """A person is asked: whoever referred, or coordinates, by its Organization; or the patient."""
    made = errands.document(
        kind=kind,
        owner=owner,
        subject=sent.request.reference,
        requester=doing.hub.organization,
        now=doing.hub.clock(),
        reason=machine.REASONS["no-provider-available"] if kind == "find-provider" else None,
        inputs=[
            {"type": errands.concept("offer"), "valueReference": {"reference": one.recipient}}
            for one in offers
        ],
        referral=sent.task.reference,
    )
    doing.operations.append(Create("Task", made))
