"""Who is concerned by a change: a decision over values.

Never its author. The sender hears of its own Task, which is computed from the answers, and of results;
a candidate hears of the Task that asks it; whoever has an errand hears of that. What is said about the
referral, and its appointments, those hear with whom they were shared.
"""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.store.changes import Change
from coordhub.store.episodes import Episode

SAID = frozenset({"Appointment", "AppointmentResponse", "Communication"})


def concerned(change: Change, episode: Episode, hearing: Sequence[int] = ()) -> tuple[int, ...]:
    """rids of the organizations that are to get this change.

    hearing: with whom it was shared.
    """
    if change.op == "delete":
        return ()
    if change.rid == episode.id:
        recipients: tuple[int, ...] = (episode.requester,)
    elif candidate := episode.candidate_of_task(change.rid):
        recipients = (candidate.organization,)
    elif errand := episode.errand_of_task(change.rid):
        recipients = (errand.owner,)
    elif change.type in SAID:
        recipients = tuple(hearing)
    else:
        recipients = (episode.requester,)
    return tuple(one for one in recipients if one != change.author)
