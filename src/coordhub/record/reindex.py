"""The index tables made anew from the bodies, or compared with them, while the hub works.

What is right is neither locked nor written. What is not is locked and made from the body that then
stands, so that an update that comes at the same moment is never undone: whoever comes second sees
what the first one wrote.

A local reference becomes a target where the one who wrote the resource could know what it names
(`resources.known_to`): what came after the reference to it is found by it from then on. The patient
whose record a resource is comes from its references too, and is set with them; but a Provenance that
names no patient may be of the record of what it is about (`record.provenance`), and stays where it is.
What is under the key of a victim service provider keeps the rows that it has (`record.veil`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coordhub.access import viewer
from coordhub.r4 import compartment, types
from coordhub.r4 import document as fhir_json
from coordhub.r4.extract import Extracted, extract
from coordhub.record import persons
from coordhub.record.hub import Hub
from coordhub.store import index, resources, vault
from coordhub.store import reindex as store
from coordhub.store.engine import Connection
from coordhub.store.index import IndexRows
from coordhub.store.reindex import Current, Indexed
from coordhub.store.transact import Batch, transact


@dataclass(frozen=True, slots=True)
class Page:
    """last: rid of the last resource looked at: where to go on after. wrong: rids of what was not right."""

    last: int
    resources: int
    wrong: tuple[int, ...]


async def reindex(
    hub: Hub, *, after: int = 0, size: int = 200, mend: bool = True
) -> AsyncIterator[Page]:
    """Page by page, each done when it is given; without `mend` nothing is written.

    after: rid of the last resource that an earlier run finished with.
    """
    while True:
        async with hub.engine.snapshot() as conn:
            current = await store.page(conn, viewer.deciding(), after, size)
            end = current[-1].rid if len(current) == size else store.LAST
            stored = await store.indexed(conn, after, end)
            wanted = await _wanted(hub, conn, current, stored)
        sealed = {one.rid for one in current if vault.is_sealed(one.body)}
        nobodys = sorted(stored.keys() - wanted.keys() - sealed)
        wrong = [
            one.rid
            for one in current
            if one.rid not in sealed
            and (
                wanted[one.rid].patient != one.patient
                or not stored.get(one.rid, Indexed()).equals(wanted[one.rid].rows)
            )
        ]
        if mend:
            await _mend(hub, wrong)
            if nobodys:
                async with hub.engine.transaction() as conn:
                    await store.clear(conn, nobodys)
        after = current[-1].rid if current else after
        yield Page(after, len(current), (*wrong, *nobodys))
        if end == store.LAST:
            return


async def _mend(hub: Hub, wrong: Sequence[int]) -> None:
    """Together those that nobody is writing, then each other by itself: nothing held waits for anything."""
    if not wrong:
        return
    done = await _rewrite(hub, wrong, wait=False)
    for rid in wrong:
        if rid not in done:
            await _rewrite(hub, [rid], wait=True)


async def _rewrite(hub: Hub, rids: Sequence[int], *, wait: bool) -> set[int]:
    async with hub.engine.transaction() as conn:
        held = await store.hold(conn, viewer.deciding(), rids, wait=wait)
        held = [one for one in held if not vault.is_sealed(one.body)]
        wanted = await _wanted(hub, conn, held)
        await store.clear(conn, [one.rid for one in held])
        await store.assign_patients(conn, {rid: each.patient for rid, each in wanted.items()})
        batch = Batch()
        for each in wanted.values():
            batch.add.update(each.rows)
        await transact(conn, batch, now=hub.clock())
    return {one.rid for one in held}


class Wanted(NamedTuple):
    """patient: rid of the Patient whose record the resource is."""

    patient: int | None
    rows: IndexRows


async def _wanted(
    hub: Hub,
    conn: Connection,
    current: Sequence[Current],
    stored: dict[int, Indexed] | None = None,
) -> dict[int, Wanted]:
    """The index rows of each as its body has them.

    stored: rows to compare with. A reference that leads nowhere by them is then taken to be so: what
    it names came later, which is no fault.
    """
    read: list[tuple[Current, dict[str, Any], Extracted, str | None]] = []
    names: set[tuple[int, str, str]] = set()
    wanted = {one.rid: Wanted(one.patient, IndexRows()) for one in current}
    for one in current:
        if one.body is None or vault.is_sealed(one.body):
            continue
        document = fhir_json.parse(one.body.encode())
        found = extract(document, base=hub.base)
        patient = next(iter(compartment.patient_references(document, base=hub.base)), None)
        read.append((one, document, found, patient))
        for name in (patient, *(each.reference.local for each in found.references)):
            kind, _, fhir_id = (name or "").partition("/")
            if kind in types.NUMBER:
                names.add((one.source, kind, fhir_id))
    known = await resources.known_to(conn, viewer.deciding(), sorted(names)) if names else {}
    by_source: dict[int, dict[str, int]] = {}
    for (source, name), rid in known.items():
        by_source.setdefault(source, {})[name] = rid
    systems = await hub.engine.systems(index.systems_in(found for _, _, found, _ in read))
    for one, document, found, patient in read:
        targets = by_source.get(one.source, {})
        if stored is not None:
            nowhere = _nowhere(stored.get(one.rid), found)
            targets = {name: rid for name, rid in targets.items() if name not in nowhere}
        if one.type == types.NUMBER["Patient"]:
            whose: int | None = one.rid
        elif one.type == types.NUMBER["Provenance"] and patient is None:
            whose = one.patient
        else:
            whose = targets.get(patient or "")
        rows = index.rows_of(
            found, rid=one.rid, source=one.source, patient=whose, systems=systems, targets=targets
        )
        rows.persons = persons.rows(document, one.rid, one.source)
        wanted[one.rid] = Wanted(whose, rows)
    return wanted


def _nowhere(stored: Indexed | None, found: Extracted) -> set[str]:
    uris = {row.uri for row in (stored.rows.get("references", ()) if stored else ()) if row.uri}
    return {
        each.reference.local
        for each in found.references
        if each.reference.local is not None and each.reference.text in uris
    }
