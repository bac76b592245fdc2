"""A Consent that ends by its own period, or begins to deny: who may no longer see for whom, stops.

http://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.period

Reads and deliveries end by themselves, since they ask each time; what was asked of a recipient ends
here, as when the Consent is withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.record import commit, withdrawal
from coordhub.record.hub import Hub
from coordhub.record.operations import Operation
from coordhub.record.work import Work
from coordhub.routing.firing import Firing
from coordhub.store import consents, resources, timers, vsp
from coordhub.store.engine import Connection


async def follow(firing: Firing) -> None:
    """Stop whoever may no longer see the patient; and set the timer for when this Consent turns next."""
    conn, timer = firing.conn, firing.timer
    following = await consents.turn_rules(conn, timer.subject, timer.due_at, firing.now)
    found = await resources.read_rids(conn, viewer.deciding(), [timer.subject])
    patient = found[timer.subject].patient if timer.subject in found else None
    if patient is not None:
        work = Work(firing.hub, conn, firing.me, firing.now)
        work.apart = await vsp.marked(conn)
        work.episodes = firing.episodes
        work.consenting = frozenset({patient})
        work.permitted = frozenset(
            one.task
            for episode in firing.episodes.values()
            for one in episode.candidates
            if one.ended_at is None
        )
        await withdrawal.follow(work, _as_hub)
    if following is not None:
        await timers.again(conn, timer.id, firing.now, following)


async def _as_hub(
    hub: Hub, conn: Connection, caller: Caller, operations: Sequence[Operation]
) -> None:
    await commit.apply(hub, conn, caller, operations, interaction="transaction")
