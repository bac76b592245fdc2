"""The timers of what a commit writes: set, moved or taken away with it, in the same transaction.

Which deadlines a Task has to meet is said by `referral.timers` of its state; here it is told what that
state is. Rules make it visible (a status, a business status, an appointment), and set no timer.

What asks a victim service provider has no timer: that one ran out would tell that it did not answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordhub.access import viewer
from coordhub.directory import calendars
from coordhub.errors import Issue
from coordhub.insight.kits import Expected
from coordhub.record import owing, parties, visits
from coordhub.record.parent import code_of
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.referral import timers as of
from coordhub.referral.data_request import KIND
from coordhub.referral.deadlines import Lengths
from coordhub.store import resources, timers
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.transact import CandidateRow, TimerEnd, TimerRow

Document = dict[str, Any]

ROUTINE = "routine"
_CHOSEN = "broadcast-choose"
_SELECTED = "selected"


@dataclass(frozen=True, slots=True)
class Subject:
    """A Task with deadlines. who: by whose calendar they count, as a reference. kinds: of those it may have.

    One that sender and recipient share is two of these: the whole is its sender's, all else its owner's.
    """

    rid: int
    episode: int | None
    wanted: of.Wanted
    who: str
    kinds: Collection[str] = of.OF_TASKS


async def reconcile(work: Work) -> None:
    """Give the batch the timers that the drafts of this commit want, as they differ from those there are."""
    _of_consents(work)
    subjects = [*await _subjects(work), *await _heard(work)]
    if not subjects:
        return
    made = {draft.rid for draft in work.drafts if draft.previous is None}
    had = [one.rid for one in subjects if one.rid not in made]
    known = await timers.of(work.conn, had) if had else {}
    for one in subjects:
        have = {
            kind: of.Timer(kind, each.since, each.due_at, each.stood_at, each.fired_at)
            for kind, each in known.get(one.rid, {}).items()
            if kind in one.kinds
        }
        default = work.hub.deadlines.calendar
        change = of.changed(have, one.wanted, default, work.now)
        if change.timers:
            there = await calendars.calendar_of(work.conn, one.who, work.hub.base, default)
            change = of.changed(have, one.wanted, there, work.now)
        work.batch.timers.extend(
            TimerRow(
                one.episode,
                each.kind,
                one.rid,
                each.since,
                each.due_at,
                each.stood_at,
                each.fired_at,
            )
            for each in change.timers
        )
        work.batch.timers_ended.extend(TimerEnd(kind, one.rid) for kind in change.gone)


async def _subjects(work: Work) -> list[Subject]:
    written = {
        draft.rid: draft
        for draft in work.drafts
        if draft.type == "Task"
        and draft.document is not None
        and not draft.unchanged
        and not draft.quarantined
    }
    found: list[Subject | None] = []
    for draft in written.values():
        errand = _of_errand(work, draft)
        found += [errand] if errand else [_of_referral(work, draft), await _of_asked(work, draft)]
    return [subject for subject in found if subject is not None]


def _of_errand(work: Work, draft: Draft) -> Subject | None:
    assert draft.document is not None
    if draft.rid in work.batch.errands_closed:  # also one that a rule has looked up
        return Subject(draft.rid, draft.episode, {}, "")
    errand = work.errand_of(draft.rid)
    made = next((row for row in work.batch.errands if row.task == draft.rid), None)
    kind = errand.kind if errand is not None else made.kind if made is not None else None
    owner = errand.owner if errand is not None else made.owner if made is not None else None
    if kind is None or owner in work.apart:
        return None
    lengths = work.hub.deadlines.of_errand(kind, priority(draft.document))
    due = of.accept_by(draft.document)
    wanted = of.of_errand(str(draft.document["status"]), lengths, due)
    who = parties.local(draft.document.get("owner"), work.hub.base) or ""
    # one that is told around its patient is of no referral
    return Subject(draft.rid, None if kind == KIND else draft.episode, wanted, who)


def _of_referral(work: Work, draft: Draft) -> Subject | None:
    assert draft.document is not None
    made = next((row for row in work.batch.episodes if row.id == draft.rid), None)
    if made is None and draft.rid not in work.episodes:
        return None
    kinds = [row.kind for row in work.batch.needs if row.episode == draft.rid]
    if draft.rid in work.episodes:
        kinds = [need.kind for need in work.episodes[draft.rid].needs]
    lengths = work.hub.deadlines.lengths(kinds[0] if kinds else "", priority(draft.document))
    wanted = of.of_referral(str(draft.document["status"]), lengths)
    who = parties.local(draft.document.get("requester"), work.hub.base) or ""
    return Subject(draft.rid, draft.rid, wanted, who, of.OF_REFERRALS)


async def _of_asked(work: Work, draft: Draft) -> Subject | None:
    assert draft.document is not None
    made = next((row for row in work.batch.candidates if row.task == draft.rid), None)
    episode = work.episodes[made.episode] if made is not None else work.episode_of(draft.rid)
    candidate = made or (episode.candidate_of_task(draft.rid) if episode is not None else None)
    if episode is None or candidate is None or candidate.organization in work.apart:
        return None
    heard = draft.author == candidate.organization
    return await _asked(work, episode, candidate, draft.document, heard=heard, answer=draft)


async def _asked(
    work: Work,
    episode: Episode,
    candidate: Candidate | CandidateRow,
    document: Document,
    *,
    heard: bool,
    answer: Draft | None = None,
) -> Subject:
    """answer: by which it says so itself, and is told what is still to come."""
    need = next(one for one in episode.needs if one.ordinal == candidate.need)
    lengths = work.hub.deadlines.lengths(need.kind, priority(document))
    visit = None
    if awaits_visit(document, lengths):
        orders = {need.request, candidate.request}
        visit = await visits.over_at(work.conn, orders, candidate.organization, work)
    owes: list[Expected] = []
    if may_owe(document, lengths) and candidate.task != episode.id:  # which tells of no kit
        owes = await owing.missing(
            work.conn, episode.id, candidate.organization, candidate.request, work
        )
        if answer is not None and heard:
            _tell_owed(answer, owes)
    wanted = wanted_of(lengths, document, need.strategy, heard=heard, visit=visit, owes=bool(owes))
    kinds = of.OF_TASKS - of.OF_REFERRALS
    return Subject(candidate.task, episode.id, wanted, candidate.recipient, kinds)


def awaits_visit(document: Mapping[str, Any], lengths: Lengths) -> bool:
    """Whether it counts when the visit is over that was agreed on."""
    said = code_of(document.get("businessStatus"), pure.BUSINESS_STATUS_SYSTEM)
    return "consult-note" in lengths and said == "appointment-scheduled"


def may_owe(document: Mapping[str, Any], lengths: Lengths) -> bool:
    """Whether it counts what has come back: whoever was asked is done."""
    return "consult-note" in lengths and document.get("status") == "completed"


def _tell_owed(answer: Draft, owes: Sequence[Expected]) -> None:
    for one in owes:
        system, code = one.codes[0]
        answer.warnings.append(
            Issue(
                "incomplete",
                f"Still to come: {one.title} ({system}|{code}). Send it as a DocumentReference or DiagnosticReport "
                "that names the order of this Task; you are reminded when it is due.",
                f"{answer.at}.output" if answer.at else "Task.output",
                "warning",
            )
        )


def wanted_of(
    lengths: Lengths,
    document: Document,
    strategy: str,
    *,
    heard: bool,
    visit: datetime | None = None,
    owes: bool = False,
) -> of.Wanted:
    """What the Task of one who is asked wants. visit: when the one that was agreed on is over. owes: whether
    something is still to come back of what is done.
    """
    status = str(document["status"])
    said = code_of(document.get("businessStatus"), pure.BUSINESS_STATUS_SYSTEM)
    asked = of.Asked(
        status,
        said,
        until=of.accept_by(document),
        heard=heard,
        visit=visit,
        offered=strategy == _CHOSEN and status == "accepted" and said != _SELECTED,
        owes=owes,
    )
    return of.of_asked(asked, lengths)


def priority(document: Mapping[str, Any]) -> str:
    return str(document.get("priority") or ROUTINE)


async def _heard(work: Work) -> list[Subject]:
    """The Tasks of whoever writes something of a referral, and not its Task: it still works on it, or brings
    what it owes."""
    written = {draft.rid for draft in work.drafts}
    author = work.caller.organization
    told = {
        draft.episode
        for draft in work.drafts
        if draft.type != "Task" and draft.author == author and not draft.unchanged
    }
    working = [
        (episode, one)
        for episode in work.episodes.values()
        for one in episode.candidates
        if episode.id in told
        and one.organization == author
        and (one.ended_at is None or one.status == "completed")
        and author not in work.apart
        and one.task not in written
    ]
    if not working:
        return []
    stored = await resources.read_rids(
        work.conn, viewer.deciding(), [one.task for _, one in working]
    )
    return [
        await _asked(work, episode, one, parties.document(stored[one.task]), heard=True)
        for episode, one in working
    ]


def _of_consents(work: Work) -> None:
    """A Consent whose rules begin or end later has a timer for the next time that they do."""
    for draft in work.drafts:
        if draft.type != "Consent" or draft.unchanged:
            continue
        moments = [
            moment
            for rule in work.batch.rules
            if rule.because == draft.rid
            for moment in (rule.since, rule.until)
            if moment is not None and moment > work.now
        ]
        if moments:
            work.batch.timers.append(
                TimerRow(None, of.CONSENT_END, draft.rid, work.now, min(moments))
            )
        elif draft.previous is not None:
            work.batch.timers_ended.append(TimerEnd(of.CONSENT_END, draft.rid))
