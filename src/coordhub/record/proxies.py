"""The sight of persons on a record: of the patient itself, and of a RelatedPerson that acts for it.

What they may see is `access.proxy`'s to say. It is written as rules in the transaction of the write that
changes it: of the RelatedPerson, or of the Patient whose birthDate it turns on. Believed is a
RelatedPerson of the organization that holds the Patient. A rule opens nothing by itself: only an
operator binds an app to a person (`to_bind`).
"""

from __future__ import annotations

from typing import Any

from coordhub.access import proxy, viewer
from coordhub.r4 import types
from coordhub.r4.sensitivity import ALL, VSP
from coordhub.record import parties
from coordhub.record.hub import Hub
from coordhub.record.work import Draft, Work
from coordhub.store import clients, related, resources
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.transact import Batch, Party, Rule, RuleEnd
from coordhub.store.visibility import HUB, NEVER, OWN_CHART

Document = dict[str, Any]


class CannotBindError(ValueError):
    """There is no such person to act for; the text says what to name."""


async def decide(work: Work) -> None:
    """Give the batch the rules of the RelatedPersons that it writes, and of the Patients it changes."""
    for draft in work.drafts:
        if draft.unchanged:
            continue
        if draft.type == "RelatedPerson":
            patient = draft.patient
            if patient is None and draft.previous is not None:
                patient = draft.previous.patient
            if patient is not None:
                await _decide_one(work, draft.rid, draft.source, draft.document, patient)
            elif draft.previous is not None:
                work.batch.rules_ended.append(RuleEnd(draft.rid))
        elif draft.type == "Patient" and draft.previous is not None and _is_other_age(draft):
            written = {each.rid for each in work.drafts}
            for each in await related.of_patient(work.conn, viewer.deciding(), draft.rid):
                if each.rid not in written:
                    document = parties.document(each)
                    await _decide_one(work, each.rid, each.source, document, draft.rid)


def _is_other_age(draft: Draft) -> bool:
    before = draft.before() or {}
    return draft.document is None or draft.document.get("birthDate") != before.get("birthDate")


async def _decide_one(
    work: Work, person: int, source: int, document: Document | None, patient: int
) -> None:
    holder, record = await _patient(work, patient)
    believed = record if source in (holder, HUB) else None
    work.batch.rules_ended.append(RuleEnd(person))
    work.batch.rules.extend(_rules(work.hub, person, document, patient, believed))


async def _patient(work: Work, rid: int) -> tuple[int | None, Document | None]:
    """Who holds the Patient, and what it says: as this commit writes it, or as it is stored."""
    for draft in work.drafts:
        if draft.rid == rid:
            return draft.source, draft.document
    stored = await resources.read_rids(work.conn, viewer.deciding(), [rid])
    return _held(stored.get(rid))


def _held(found: Version | None) -> tuple[int | None, Document | None]:
    if found is None or found.body is None:
        return None, None
    return found.source, parties.document(found)


def _rules(
    hub: Hub, person: int, document: Document | None, patient: int, record: Document | None
) -> list[Rule]:
    now = hub.clock()
    return [
        Rule(
            person, patient, one.permit, 0 if one.permit else NEVER, one.since, person, "proxy",
            until=one.until, only_labels=one.hides, covers=one.covers,
            types=None if one.types is None else [types.NUMBER[each] for each in one.types],
        )
        for one in proxy.sights(document, record, hub.safeguards.confidential_age, now)
    ]  # fmt: skip


async def to_bind(hub: Hub, conn: Connection, person: str) -> tuple[int, Batch]:
    """rid of the Patient or RelatedPerson (`Type/id`) that an app is to act for, and what it sees by that.

    Refuses with CannotBindError.
    """
    kind, _, fhir_id = person.partition("/")
    found = (
        await resources.read(conn, viewer.deciding(), kind, fhir_id)
        if kind in clients.PERSONS
        else None
    )
    if found is None or found.body is None:
        raise CannotBindError(f"there is no {person} here. Name a Patient/id or RelatedPerson/id.")
    if found.patient is None:
        raise CannotBindError(f"{person} names no Patient of this hub.")
    return found.rid, Batch(
        parties=[Party(found.rid, "person")],
        rules_ended=[RuleEnd(found.rid)],
        rules=await _sight(hub, conn, found, found.patient),
    )


async def _sight(hub: Hub, conn: Connection, found: Version, patient: int) -> list[Rule]:
    if found.type == "Patient":
        now, covers = hub.clock(), ALL & ~VSP
        return [Rule(found.rid, patient, True, OWN_CHART, now, found.rid, "proxy", covers=covers)]
    stored = await resources.read_rids(conn, viewer.deciding(), [patient])
    holder, record = _held(stored.get(patient))
    if record is None or found.source not in (holder, HUB):
        raise CannotBindError(
            f"{found.reference} does not come from the organization that holds its Patient."
        )
    return _rules(hub, found.rid, parties.document(found), patient, record)
