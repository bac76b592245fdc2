"""Whoever stands in for a recipient that is away: it is sent what the recipient is, and may answer.

A colleague of the same organization is reached at its own Endpoint. Another organization is shown, until
the absence ends, what the recipient was shown of the referral, if the patient's Consents let it be asked
and it is the same kind of recipient: who does not treat never comes to see what one who treats does. What is
sensitive was told to whom it was addressed; a deputy is shown it only by a Consent that says so.
Of victim service providers nobody is told that one is away.
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.directory import deputies
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.record.recipients import dataset_of
from coordhub.store import consents, grants, resources, vsp
from coordhub.store.engine import Connection
from coordhub.store.episodes import Candidate, Episode


async def addressed(
    hub: Hub, conn: Connection, episode: Episode, candidate: Candidate
) -> list[tuple[int, str]]:
    """Organization (rid) and address of whoever is sent what is meant for this candidate, now."""
    at_home = (candidate.organization, candidate.recipient)
    deputy = await deputies.standing_in(conn, candidate.recipient, hub.base, hub.clock())
    if deputy is None:
        return [at_home]
    if deputy.organization == candidate.organization:
        return [(candidate.organization, deputy.address)]
    apart = await vsp.marked(conn)
    if {deputy.organization, candidate.organization} & apart or not await _may(
        hub, conn, episode, candidate, deputy
    ):
        return [at_home]
    await grants.deputize(
        conn, deputy.organization, candidate.organization, candidate.task, deputy.until, hub.clock()
    )
    return [at_home, (deputy.organization, deputy.address)]


async def _may(
    hub: Hub, conn: Connection, episode: Episode, candidate: Candidate, deputy: deputies.Deputy
) -> bool:
    if episode.patient is not None and not await consents.may_be_asked(
        conn, episode.patient, [deputy.organization]
    ):
        return False
    stored = await resources.read_rids(conn, viewer.deciding(), [candidate.request])
    order = stored.get(candidate.request)
    if order is None or order.body is None:
        return False
    request = parties.document(order)
    asked, standing_in = [
        await dataset_of(conn, organization, address, request, hub.base)
        for organization, address in (
            (candidate.organization, candidate.recipient),
            (deputy.organization, deputy.address),
        )
    ]
    return asked == standing_in
