"""What may be read for a time after its reason is over, and then not through the hub any more.

- whoever has completed a referral, or failed: what the referral named, beside its own Task and the order;
- to whom copies of a result went: the result, with whose it is;
- whoever was a patient's doctor and is not any more: the results it was shown as such.

Each until `Safeguards.read_after` later, which is written down at once (access_grant.lapses), so that nothing
has to run for it to end. Whoever treats the patient keeps its own sight of it, by its own relation: another
referral, the team. A team that somebody has left, or that stands no more, shows that one nothing at once
(record.care_teams).
"""

from __future__ import annotations

from datetime import datetime

from coordhub.record import circle
from coordhub.record.work import Draft, Work
from coordhub.store import episodes
from coordhub.store.transact import Grant, GrantLapse, ShownLapse

DONE = frozenset({"completed", "failed"})
"""Statuses of a Task of which its owner has done its part: it may look at it for a time."""


def until(work: Work) -> datetime:
    return work.now + work.hub.safeguards.read_after


async def decide(work: Work) -> None:
    work.batch.shown_lapses += [
        ShownLapse(one.task, until(work)) for one in work.batch.statuses if one.status in DONE
    ]
    for draft in work.drafts:
        if draft.type == "Patient" and draft.previous is not None and not draft.unchanged:
            await _doctors(work, draft)


def bounded(work: Work, grant: Grant) -> Grant:
    """A grant of what is shared with who is done already: for as long as the rest."""
    if grant.rule != "referral" or grant.until is not None:
        return grant
    moved = {one.task: one.status for one in work.batch.statuses}
    for episode in work.episodes.values():
        one = episode.candidate_of_task(grant.because)
        if one is not None and moved.get(one.task, one.status) in DONE:
            return grant._replace(until=until(work))
    return grant


async def _doctors(work: Work, draft: Draft) -> None:
    """Who is the patient's doctor no more is shown results for a time yet; who has become it again, as before."""
    before, after = draft.before() or {}, draft.document or {}
    if before.get("generalPractitioner") == after.get("generalPractitioner"):
        return
    had = await circle.doctors(work.conn, work.hub.base, before)
    has = await circle.doctors(work.conn, work.hub.base, after)
    if had == has:
        return
    for referral in await episodes.of_patient(work.conn, draft.rid):
        work.batch.grant_lapses += [
            GrantLapse(one, referral.id, None if one in has else until(work))
            for one in sorted(had ^ has)
            if one != referral.requester
        ]
