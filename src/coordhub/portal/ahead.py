"""What may follow in a referral: what waits for whom, who is asked next, and whether another can be asked instead.

docs/referrals.md (Who is asked, and when)

Nothing is said here of a referral in which a victim service provider is asked: nothing that follows depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import viewer
from coordhub.portal import listed, occurrences, unhelped
from coordhub.portal.sheets import words
from coordhub.portal.unhelped import Unmet
from coordhub.record import errands, parties
from coordhub.referral.task_machine import TERMINAL
from coordhub.store import episodes, needs, resources, vsp
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.resources import Version

MOST: Final = 3
"""Of those who are asked next, that are named."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ahead:
    """errands: what the organization is asked to do, each with the id of its Task. after: names of who is asked next.

    alone: somebody is asked, after whom nobody is by itself. instead: what another could be asked for instead.
    """

    errands: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    alone: bool = False
    instead: tuple[Unmet, ...] = ()


async def ahead(conn: Connection, organization: int, task: Version) -> Ahead:
    episode = (await episodes.read(conn, [task.rid])).get(task.rid)
    if episode is None or episode.requester != organization:
        return Ahead()
    view = viewer.as_organization(organization)
    own = [one for one in episode.errands if one.owner == organization and one.closed_at is None]
    stored = await resources.read_rids(conn, view, [one.task for one in own])
    open_ones = tuple(
        (errands.KINDS[one.kind], stored[one.task].id)
        for one in own
        if one.task in stored and one.kind in errands.KINDS
    )
    apart = await vsp.marked(conn)
    if episode.state != "open" or any(one.organization in apart for one in episode.candidates):
        return Ahead(open_ones)
    waiting = {one.ordinal for one in episode.needs if one.state == "open"}
    following = [
        one
        for one in await needs.prospects(conn, episode.id)
        if one.need in waiting and one.verdict == "in" and one.organization not in apart
        and one.organization not in {each.organization for each in episode.candidates}
    ]  # fmt: skip
    known = await listed.shown(conn, view, {one.recipient for one in following[:MOST]})
    names = tuple(
        occurrences.name_in(known[one.recipient])
        for one in following[:MOST]
        if one.recipient in known
    )
    alone = not following and any(
        one.state == "open" and one.strategy == "direct" for one in episode.needs
    )
    return Ahead(open_ones, names, alone, await _instead(conn, organization, episode))


async def _instead(conn: Connection, organization: int, episode: Episode) -> tuple[Unmet, ...]:
    """What is asked for, as long as nobody has begun: of one need, as its Task ends with that."""
    asked: Sequence[int] = [one.request for one in episode.needs]
    begun = any(one.started_at is not None for one in episode.candidates)
    live = [one for one in episode.candidates if one.status not in TERMINAL]
    if begun or len(asked) != 1 or not live:
        return ()
    found = await resources.read_rids(conn, viewer.as_organization(organization), asked)
    orders = [parties.document(one) for one in found.values() if one.body is not None]
    return tuple(Unmet(words(one.get("code")), unhelped.kind_of(one)) for one in orders)
