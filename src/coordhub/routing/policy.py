"""Who is concerned by a change: a decision over values.

Never its author. The sender hears of its own Task, which is computed from the answers, and with it who shares
that Task, from when it is asked by it; a candidate hears
of the Task that asks it, and of one of a pool all hear until one of them has claimed it; whoever has an
errand hears of that, and the sender of its patient's, as it may answer for it. What is said about the referral, and
its appointments, those hear with whom they were shared. Of a result hears whom it is meant for, and of its
correction or withdrawal whoever was sent it before.
"""

from __future__ import annotations

from collections.abc import Collection

from coordhub.store.changes import Change
from coordhub.store.episodes import Episode

SAID = frozenset({"Appointment", "AppointmentResponse", "Communication"})


def concerned(
    change: Change,
    episode: Episode,
    hearing: Collection[int] = (),
    results: Collection[int] = (),
    holders: Collection[int] = (),
    offered: Collection[int] = (),
) -> tuple[int, ...]:
    """rids of the organizations that are to get this change.

    hearing: with whom it was shared. results: whom a result is meant for. holders: who has a copy of
    what is wrong by this change; they are told, whether they may still see it or not. offered: to whom a Task
    of a pool was, which nobody has claimed before this change.
    """
    if change.rid == episode.id:
        recipients: Collection[int] = (episode.requester,)
        both = episode.shared
        if both is not None and change.at is not None and change.at >= both.asked_at:
            recipients = (episode.requester, both.organization)
    elif candidate := episode.candidate_of_task(change.rid):
        recipients = offered or (candidate.organization,)
    elif errand := episode.errand_of_task(change.rid):
        recipients = (errand.owner,)
        if errand.owner == episode.patient:
            recipients = (errand.owner, episode.requester)
    elif change.type in SAID:
        recipients = tuple(hearing)
    else:
        recipients = (*results, *sorted(holders))
    if change.op == "delete":
        recipients = sorted(holders)
    return tuple(one for one in dict.fromkeys(recipients) if one != change.author)
