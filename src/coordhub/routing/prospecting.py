"""Who could meet a need: whom its sender names, in that order; or whom the directory has, best first.

http://hl7.org/fhir/R4/task-definitions.html#Task.restriction.recipient
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from coordhub.access import viewer
from coordhub.directory import matching, services, teams
from coordhub.insight import duplicates
from coordhub.r4 import document as fhir_json
from coordhub.r4.sensitivity import SDV
from coordhub.record.hub import Hub
from coordhub.referral import candidates, prospects
from coordhub.referral.matching import Prospect, Received
from coordhub.referral.timers import accept_by
from coordhub.referral.wanted import URGENT
from coordhub.routing.asking import Sent
from coordhub.store import partners, resources
from coordhub.store.engine import Connection
from coordhub.store.episodes import Episode, Need
from coordhub.store.needs import Prospect as Stored
from coordhub.store.transact import ProspectRow


async def named(
    hub: Hub, conn: Connection, episode: Episode, need: Need, sent: Sent
) -> list[ProspectRow]:
    """Whom the sender names. Out is who says that it has no place, where there are others to be asked."""
    task, request = sent.documents
    found = candidates.named(task, request, hub.itself)
    if isinstance(found, candidates.Nobody):
        return []
    received = await _received(hub, conn, episode, sent)
    judged: dict[str, Prospect] = {}
    if need.strategy != "direct":
        found_too = await _matched(hub, conn, episode, sent, (), received)
        judged = {one.recipient: one for one in found_too}
    rows = []
    names = list(found.references)
    unasked = await partners.not_asked_for(conn, need.kind)
    if need.strategy == "pool":
        names = [one for text in names for one in await teams.members(conn, text, hub.base)]
    for at, text in enumerate(dict.fromkeys(names)):
        recipient = await services.recipient(conn, text, hub.base)
        findings = [prospects.NAMED]
        if recipient is None:
            findings.append(prospects.UNKNOWN)
        elif recipient.organization.rid in unasked:
            findings.append(prospects.NOT_AGREED)
        elif text in judged:
            findings += [one for one in judged[text].findings if one.criterion == "capacity"]
        findings += received.warnings(text)
        rows.append(
            ProspectRow(
                episode.id, need.ordinal, at,
                recipient.organization.rid if recipient is not None else 0, text,
                "out" if prospects.failed(findings) else "in", 1.0, prospects.written(findings),
            )
        )  # fmt: skip
    return rows


async def matched(
    hub: Hub, conn: Connection, episode: Episode, need: Need, sent: Sent, known: Sequence[Stored]
) -> list[ProspectRow]:
    """Whom the directory has besides, ranked behind the known ones."""
    besides = {
        episode.requester,
        *(one.organization for one in known),
        *await partners.not_asked_for(conn, need.kind),
    }
    received = await _received(hub, conn, episode, sent)
    found = await _matched(hub, conn, episode, sent, besides, received)
    behind = max((one.rank for one in known), default=-1) + 1
    return [
        ProspectRow(
            episode.id, need.ordinal, behind + at, one.organization, one.recipient, one.verdict,
            one.score, prospects.written([prospects.MATCHED, *one.findings]),
        )
        for at, one in enumerate(found)
    ]  # fmt: skip


def may_be_extended(hub: Hub, sent: Sent) -> bool:
    """Whether the sender leaves it to the hub to look for others: it restricts nobody.

    Where violence is spoken of and it has named somebody, whom it trusts is its to say: nobody else is asked.
    """
    task, request = sent.documents
    restriction = task.get("restriction")
    if isinstance(restriction, dict) and restriction.get("recipient"):
        return False
    if not (sent.request.labels | sent.task.labels) & SDV:
        return True
    return isinstance(candidates.named(task, request, hub.itself), candidates.Nobody)


async def _received(hub: Hub, conn: Connection, episode: Episode, sent: Sent) -> Received:
    """What the person has already, as far as who refers may see it; of a sensitive need nothing is looked for."""
    _, request = sent.documents
    if episode.patient is None or (sent.request.labels | sent.task.labels) & SDV:
        return matching.NOTHING
    evidence = await duplicates.found(
        conn, viewer.as_organization(episode.requester), request, episode.patient,
        base=hub.base, now=hub.clock(), itself=sent.request.rid,
    )  # fmt: skip
    return duplicates.received(evidence)


async def _matched(
    hub: Hub,
    conn: Connection,
    episode: Episode,
    sent: Sent,
    besides: Collection[int],
    received: Received,
) -> list[Prospect]:
    task, request = sent.documents
    patient = None
    if episode.patient is not None:
        stored = await resources.read_rids(conn, viewer.deciding(), [episode.patient])
        version = stored.get(episode.patient)
        if version is not None and version.body is not None:
            patient = fhir_json.parse(version.body.encode())
    return await matching.prospects(
        conn, request, patient, sender=episode.requester, now=hub.clock(), subject=episode.patient,
        besides=besides, urgent=task.get("priority") in URGENT, by=accept_by(task), received=received,
        zone=hub.zone,
    )  # fmt: skip
