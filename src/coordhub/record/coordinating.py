"""Who looks after a referral when nobody is left to ask, or nobody does what is due: its coordinator.

http://hl7.org/fhir/us/sdoh-clinicalcare (coordination platform)

The organization that refers, unless the deployment names one that coordinates for all. That one acts on the
sender's Task and order of what it is asked about, and on the patient, and so is shown them for as long as it is
asked, as far as the sender may see them and the patient's Consents let it, by its data set. Where
violence may be spoken of, the sender is asked: no third one learns of it.
"""

from __future__ import annotations

from typing import Final

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.record.hub import Hub
from coordhub.store import consents, resources, vsp
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode

KINDS: Final = frozenset({"find-provider", "not-received", "overdue"})
"""Errands that are the coordinator's."""


async def owner(hub: Hub, conn: Connection, episode: Episode) -> str | None:
    """`Organization/id` of who coordinates for all, if it may be asked about this referral; None: its sender is."""
    if hub.coordinator is None:
        return None
    found = await services.recipient(conn, hub.coordinator, hub.base)
    if found is None or found.organization.rid == episode.requester:
        return None
    known = [episode.id, *(need.request for need in episode.needs)]
    stored = await resources.read_rids(conn, viewer.deciding(), known)
    if any(one.labels & (SDV | VSP) for one in stored.values()):
        return None
    apart = await vsp.marked(conn)
    involved = {
        found.organization.rid,
        episode.requester,
        *(one.organization for one in episode.candidates),
    }
    if apart & involved:
        return None
    me = found.organization.rid
    if episode.patient is not None and me not in await consents.may_be_asked(
        conn, episode.patient, [me]
    ):
        return None
    return hub.coordinator
