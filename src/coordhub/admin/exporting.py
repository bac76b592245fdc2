"""What the hub holds on a patient, written out on request: a Bundle of type collection.

http://hl7.org/fhir/R4/bundle.html, https://gdpr-info.eu/art-15-gdpr/

For an organization it is what that organization wrote; for a person, what that person may see. Of its
own Patient an organization is also given the accounting of disclosures. Consents are of the chart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import uuid4

import msgspec

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, Operator
from coordhub.r4 import document as fhir_json
from coordhub.record import accounting
from coordhub.record.hub import Hub, instant
from coordhub.store import audit, disclosures, resources, whole_chart
from coordhub.store.disclosures import SIX_YEARS
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.transact import AuditRow
from coordhub.store.visibility import Viewer

MOST_DISCLOSURES: Final = 1_000_000

_PERSONS: Final = frozenset({"Patient", "RelatedPerson"})


async def export(
    hub: Hub,
    by: Operator,
    patient: str,
    whose: str,
    write: Callable[[bytes], object],
    *,
    history: bool,
) -> int:
    """Write the Bundle piece by piece; how many resources (or versions) it holds.

    whose: for whom it is, `Organization/id` or the person's `Patient/id`, `RelatedPerson/id`. The row
    of the audit is committed before what was gathered is whole, so that nothing leaves without it.
    """
    async with (
        hub.engine.pool.acquire() as conn,
        conn.transaction(isolation="repeatable_read"),
    ):
        actor = await _find(conn, whose, ("Organization", *_PERSONS))
        view = viewer.as_organization(actor.rid)
        found = await _find(conn, patient, ("Patient",))
        source = None if actor.type in _PERSONS else actor.rid
        now = hub.clock()
        write(_head(instant(now)))
        count, rids = 0, set()
        rows = whole_chart.chart(conn, view, found.rid, source=source, history=history)
        async for one in rows:
            write(_entry(f"{hub.base}/{one.reference}", one.body or "{}", first=count == 0))
            count += 1
            rids.add(one.rid)
        if not count:
            raise NothingDone(f"{whose} has nothing here about {patient}.")
        if found.source == actor.rid:
            write(
                _entry(
                    f"urn:uuid:{uuid4()}", await _accounting(hub, conn, view, found), first=False
                )
            )
            count += 1
        said = urlencode({"by": by.account, "for": whose, "history": str(history).lower()})
        row = AuditRow(
            None, actor.rid, "export", 0, "Patient", found.id, tuple(sorted(rids)), query=said
        )
        await audit.append(conn, row, now)
    write(b"]}\n")
    return count


async def _accounting(hub: Hub, conn: Connection, view: Viewer, patient: Version) -> str:
    now = hub.clock()
    until = now + timedelta(seconds=1)
    told = await disclosures.of_patient(
        conn, view, patient.rid, now - SIX_YEARS, until, MOST_DISCLOSURES
    )
    body = accounting.parameters(patient.reference, now - SIX_YEARS, until, told, lambda _: None)
    return fhir_json.encode(body).decode()


async def _find(conn: Connection, reference: str, kinds: tuple[str, ...]) -> Version:
    kind, _, fhir_id = reference.partition("/")
    found = await resources.read(conn, viewer.deciding(), kind, fhir_id) if kind in kinds else None
    if found is None or found.deleted:
        raise NothingDone(f"there is no {reference} here. Name it as {' or '.join(kinds)}, /id.")
    return found


def _head(timestamp: str) -> bytes:
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": timestamp}
    return msgspec.json.encode(head)[:-1] + b',"entry":['


def _entry(full_url: str, body: str, *, first: bool) -> bytes:
    entry = {"fullUrl": full_url, "resource": msgspec.Raw(body.encode())}
    return (b"" if first else b",\n") + msgspec.json.encode(entry)
