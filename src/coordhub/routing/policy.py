"""Who is concerned by a change: a decision over values.

Never its author. The sender hears of its own Task, which is computed from the answers, and of results;
a candidate hears of the Task that asks it.
"""

from __future__ import annotations

from coordhub.store.changes import Change
from coordhub.store.episodes import Episode


def concerned(change: Change, episode: Episode) -> tuple[int, ...]:
    """rids of the organizations that are to get this change."""
    if change.op == "delete":
        return ()
    if change.rid == episode.id:
        recipients: tuple[int, ...] = (episode.requester,)
    elif candidate := episode.candidate_of_task(change.rid):
        recipients = (candidate.organization,)
    else:
        recipients = (episode.requester,)
    return tuple(one for one in recipients if one != change.author)
