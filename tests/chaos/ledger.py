"""What the hub's database and the partners' servers say afterwards, held against each other."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from coordhub.store import deliveries, invariants
from coordhub.store.engine import Connection
from coordhub.store.visibility import HUB

Note = dict[str, Any]


@dataclass(slots=True)
class Verdict:
    """deliveries, attempts, repeats: how many; faults: what is wrong, one text each.

    gone, late, unseen: ids of the deliveries that did not arrive, came after one that follows them, or
    came twice so that their partner could not know.
    """

    referrals: int = 0
    deliveries: int = 0
    arrivals: int = 0
    attempts: int = 0
    repeats: int = 0
    lost: int = 0
    disordered: int = 0
    dead: int = 0
    faults: list[str] = field(default_factory=list)
    every: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)


async def judge(
    conn: Connection, now: Any, accepted: dict[str, str], received: dict[int, list[Note]]
) -> Verdict:
    """Compare what clients were promised and what partners got with what the database says.

    accepted: `Task/id` of the sender by Idempotency-Key. received: the notes of each partner, in
    order of arrival, by the rid of its Organization.
    """
    verdict = Verdict(referrals=len(accepted))
    verdict.attempts = await conn.fetchval("select count(*) from attempt")
    await _one_episode_per_key(conn, accepted, verdict)
    await _everyone_was_asked(conn, received, verdict)
    await _every_status_is_told(conn, received, verdict)
    await _each_delivery_arrived_in_order(conn, received, verdict)
    owed = await deliveries.owed(conn)
    verdict.deliveries, verdict.dead = owed.delivered, owed.dead
    if owed.open or owed.dead or owed.suppressed:
        verdict.faults.append(f"open {owed.open}, dead {owed.dead}, suppressed {owed.suppressed}")
    verdict.faults.extend(await invariants.violations(conn, now))
    return verdict


async def _one_episode_per_key(
    conn: Connection, accepted: dict[str, str], verdict: Verdict
) -> None:
    rows = await conn.fetch(
        "select 'Task/' || r.fhir_id from episode e join resource r on r.rid = e.id"
    )
    episodes = {row[0] for row in rows}
    if len(set(accepted.values())) != len(accepted):
        verdict.faults.append("two keys were answered with one Task")
    for task in sorted(set(accepted.values()) - episodes):
        verdict.lost += 1
        verdict.faults.append(f"{task} was accepted and opened nothing")
    for task in sorted(episodes - set(accepted.values())):
        verdict.faults.append(f"{task} was opened besides what was accepted")


async def _everyone_was_asked(
    conn: Connection, received: dict[int, list[Note]], verdict: Verdict
) -> None:
    """T2 reached whoever has a server, together with its SR2."""
    arrived: set[tuple[int, str, str]] = set()
    for organization, notes in received.items():
        for note in notes:
            resources = note["resources"] if note["applied"] or note["duplicate"] else []
            tasks = [one["sourceId"] for one in resources if one["type"] == "Task"]
            orders = [one["sourceId"] for one in resources if one["type"] == "ServiceRequest"]
            arrived |= {(organization, task, order) for task in tasks for order in orders}
    rows = await conn.fetch(
        "select c.organization, t.fhir_id, s.fhir_id from candidate c"
        " join resource t on t.rid = c.task join resource s on s.rid = c.request"
        " where c.organization = any($1::bigint[])",
        list(received),
    )
    for row in rows:
        if tuple(row) not in arrived:
            verdict.lost += 1
            verdict.faults.append(f"Task/{row[1]} did not arrive with its ServiceRequest")
    unasked = await conn.fetchval(
        "select count(*) from episode e"
        " where not exists (select from candidate c where c.episode = e.id)"
    )
    if unasked:
        verdict.faults.append(f"{unasked} referrals were asked of nobody")


async def _every_status_is_told(
    conn: Connection, received: dict[int, list[Note]], verdict: Verdict
) -> None:
    """Every version that the hub made of a sender's Task reached the sender, in commit order."""
    told: dict[tuple[int, str], list[int]] = defaultdict(list)
    for organization, notes in received.items():
        for note in notes:
            if note["applied"] and note["resources"] and note["resources"][0]["type"] == "Task":
                first = note["resources"][0]
                told[organization, first["sourceId"]].append(int(first["sourceVersion"]))
    rows = await conn.fetch(
        "select e.requester, r.fhir_id, array_agg(c.version order by c.seq)"
        " from episode e join resource r on r.rid = e.id"
        " join change c on c.rid = e.id and c.author = $1"
        " where e.requester = any($2::bigint[]) group by 1, 2",
        HUB,
        list(received),
    )
    for requester, task, versions in rows:
        heard = told[requester, task]
        if heard != versions:
            if set(versions) - set(heard):
                verdict.lost += len(set(versions) - set(heard))
            else:
                verdict.disordered += 1
            verdict.faults.append(f"Task/{task}: committed {versions}, told {heard}")


async def _each_delivery_arrived_in_order(
    conn: Connection, received: dict[int, list[Note]], verdict: Verdict
) -> None:
    """Every delivery is applied once, repeats bear its key, and none comes after its successor."""
    rows = await conn.fetch(
        "select coalesce(d.key, d.id)::text, d.organization, d.episode, d.seq, r.fhir_id, d.version::text"
        " from delivery d join resource r on r.rid = d.rid where d.endpoint <> 0 order by d.seq"
    )
    known = {row[0]: row for row in rows}
    verdict.every = set(known)
    ids: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    for organization, notes in received.items():
        newest: dict[int, int] = {}
        applied: set[str] = set()
        for note in notes:
            verdict.arrivals += 1
            verdict.repeats += bool(note["duplicate"])
            row = known.get(note["deliveryId"])
            if row is None or row[1] != organization:
                verdict.faults.append(f"delivery {note['deliveryId']} is not in the ledger")
                continue
            if row[3] < newest.get(row[2], 0):
                verdict.disordered += 1
                verdict.late.add(row[0])
                verdict.faults.append(f"delivery {row[0]} was sent after one that follows it")
            newest[row[2]] = max(row[3], newest.get(row[2], 0))
            if note["applied"]:
                if row[0] in applied:
                    verdict.unseen.add(row[0])
                    verdict.faults.append(f"delivery {row[0]} was applied twice")
                applied.add(row[0])
            for first in note["resources"][:1]:
                ids[organization, first["sourceId"], first["sourceVersion"]].add(row[0])
                if (first["sourceId"], first["sourceVersion"]) != (row[4], row[5]):
                    verdict.faults.append(f"delivery {row[0]} bears something else")
        for delivery in {row[0] for row in rows if row[1] == organization} - applied:
            verdict.lost += 1
            verdict.gone.add(delivery)
            verdict.faults.append(f"delivery {delivery} did not arrive")
    for (_, source, version), several in ids.items():
        if len(several) > 1:
            verdict.unseen |= several
            verdict.faults.append(f"{source} version {version} came under {len(several)} ids")
