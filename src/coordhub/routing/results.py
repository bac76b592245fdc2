"""A result on its way: whom it is meant for, what is sent beside it, and how a copy is called back.

http://hl7.org/fhir/R4/http.html#delete, http://hl7.org/fhir/R4/valueset-observation-status.html

What was told and is wrong is told to whoever was sent any version of it (the ledger says who), also
where the grant has ended since. Who may still see it gets the corrected version; who may not is told
`DELETE Type/id` and nothing else: that its copy does not count, and not what is true instead. The
same where it was deleted, or turned out to be of somebody else; and of a Task that was offered to several,
where another has claimed it. What waits to be sent and was corrected
meanwhile is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from coordhub.access import viewer
from coordhub.record import circle, parties
from coordhub.record.hub import Hub
from coordhub.referral import results as pure
from coordhub.routing import policy, resolve
from coordhub.store import grants, resources, results
from coordhub.store.changes import Change
from coordhub.store.deliveries import INBOX, Claimed, Planned
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode
from coordhub.store.resources import Version
from coordhub.store.results import Routed

DENIED = "the recipient may not see it: nothing that the patient said covers it"
SAME = "another recipient is reached at the same Endpoint"


async def planned(
    hub: Hub, conn: Connection, episode: Episode, change: Change, new_id: Callable[[], UUID]
) -> list[Planned]:
    """The deliveries of a change of a result: one for each whom it is meant for or who has a copy."""
    meant = await results.shown_to(conn, change.rid, pure.TYPES)
    meant |= dict.fromkeys(await circle.asking(conn, hub.base, episode, change.rid), True)
    called_back = await _called_back(conn, episode, change)
    told = policy.concerned(change, episode, results=meant, holders=called_back)
    may = {one: meant.get(one, False) or one in called_back for one in told}
    return await _rows(hub, conn, episode, change.seq, (change.rid, change.version), may, new_id)


async def named_by(
    hub: Hub,
    conn: Connection,
    episode: Episode,
    change: Change,
    named: Sequence[Routed],
    new_id: Callable[[], UUID],
) -> list[Planned]:
    """The deliveries of the results that this change of a Task said were of its referral."""
    rows: list[Planned] = []
    for found in named:
        meant = await results.shown_to(conn, found.rid, pure.TYPES)
        meant |= dict.fromkeys(await circle.asking(conn, hub.base, episode, found.rid), True)
        may = {one: sees for one, sees in meant.items() if one != found.author}
        version = (found.rid, found.version)
        rows += await _rows(hub, conn, episode, change.seq, version, may, new_id)
    return rows


async def _rows(
    hub: Hub,
    conn: Connection,
    episode: Episode,
    seq: int,
    version: tuple[int, int],
    may: dict[int, bool],
    new_id: Callable[[], UUID],
) -> list[Planned]:
    rows: list[Planned] = []
    reached: set[int] = set()
    addresses = await circle.of(conn, hub.base, episode) if may else {}
    addresses |= {one.organization: one.recipient for one in episode.candidates}
    for organization, allowed in sorted(may.items(), key=lambda one: not one[1]):
        address = addresses.get(organization)
        if address is None:
            found = await resources.read_rids(
                conn, viewer.as_organization(organization), [organization]
            )
            address = found[organization].reference if organization in found else ""
        endpoint = await resolve.endpoint_of(conn, address, hub.base, hub.clock())
        withheld = None if allowed else DENIED
        if allowed and endpoint in reached:
            withheld = SAME
        if allowed and endpoint != INBOX:
            reached.add(endpoint)
        rid, number = version
        rows.append(
            Planned(
                new_id(), rid & 255, seq, episode.id, organization, endpoint, rid, number, withheld
            )
        )
    return rows


async def _called_back(conn: Connection, episode: Episode, change: Change) -> frozenset[int]:
    """Who has a copy of what this change says is wrong."""
    found = await resources.read_written(conn, viewer.deciding(), [(change.rid, change.version)])
    stated = found.get((change.rid, change.version))
    if stated is None:
        return frozenset()
    holders = await results.holders(conn, change.rid, episode.id)
    if pure.is_correction(_document(stated)):
        return holders
    return holders & await results.taken_from(conn, change.rid)


async def is_overtaken(conn: Connection, sent: Version) -> bool:
    """Whether a later version says that this one is wrong, so that it is not sent any more."""
    if sent.type == "Task":
        return False
    current = await resources.read_rids(conn, viewer.deciding(), [sent.rid])
    newest = current.get(sent.rid)
    if newest is None or newest.version == sent.version:
        return False
    return pure.is_correction(_document(newest))


async def calls_back(conn: Connection, held: Claimed) -> Version | None:
    """The version of a delivery that its recipient may not see, if it makes its copy of it invalid."""
    found = await resources.read_written(conn, viewer.deciding(), [(held.rid, held.version)])
    stated = found.get((held.rid, held.version))
    if stated is None:
        return None
    if stated.type == "Task":
        taken = await grants.is_taken(conn, held.organization, held.rid)
        return (
            stated if taken and held.organization in await results.sent_to(conn, held.rid) else None
        )
    wrong = pure.is_correction(_document(stated)) or held.organization in (
        await results.taken_from(conn, held.rid)
    )
    if wrong and held.organization in await results.sent_to(conn, held.rid):
        return stated
    return None


def _document(version: Version) -> dict[str, object] | None:
    return None if version.body is None else parties.document(version)
