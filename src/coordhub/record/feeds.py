"""A feed of the directory, taken in: what has changed is written, what is gone is made inactive.

http://hl7.org/fhir/us/hsds, http://hl7.org/fhir/R4/provenance.html

The hub writes as the directory's steward, in portions, each one commit with its Provenance: which feed,
and when. What a portion is refused for is found by writing its entries one by one, and the rest goes in.
What the feed has said already is not even asked of the record: the digest of each entry tells.

Of victim service providers nothing is taken. What was taken before a feed said that it is one's is made
a nameless, inactive entry, and its past is hidden.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.directory import services
from coordhub.directory.hsds import reading
from coordhub.directory.hsds.entries import Entry, Read, entries, system
from coordhub.directory.hsds.exporting import export
from coordhub.directory.hsds.rows import Fault, Tables
from coordhub.directory.hsds.withheld import Known as Providers
from coordhub.directory.hsds.withheld import digits, folded
from coordhub.directory.unlisted import stripped
from coordhub.errors import FhirError
from coordhub.r4 import document as fhir_json
from coordhub.record import parties, twins
from coordhub.record.commit import apply, commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create, Operation, Update
from coordhub.store import feeds, resources, vsp
from coordhub.store import twins as pairs
from coordhub.store.engine import Connection
from coordhub.store.feeds import Feed, Known
from coordhub.store.visibility import DIRECTORY, EVERYONE, HUB
from coordhub.telemetry import log

Document = dict[str, Any]

AT_ONCE: Final = 100
"""Entries of one commit."""

LEASE: Final = timedelta(minutes=10)
"""How long a feed is held without a portion being written."""

FEW: Final = 20
"""So many entries may be gone at once; more only if they are not half of the feed."""

MOST_FAULTS: Final = 500
"""That are kept of one time."""

_ASSEMBLER: Final = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
            "code": "assembler",
        }
    ]
}
FEED: Final = "urn:coordhub:feed"
NAMELESS: Final = "Not listed"


class BusyError(Exception):
    """Somebody else reads this feed now."""


@dataclass(slots=True)
class Outcome:
    """entries: that the feed has and that could be taken. withheld: services of which nothing is.

    merged: pairs with entries of other feeds. to_look_at: those that a steward has to look at.
    """

    entries: int = 0
    written: int = 0
    unchanged: int = 0
    gone: int = 0
    kept: int = 0
    withheld: int = 0
    merged: int = 0
    to_look_at: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def refused(self) -> int:
        return sum(one.refused for one in self.faults)

    def told(self) -> Document:
        return {
            "entries": self.entries, "written": self.written, "unchanged": self.unchanged, "gone": self.gone,
            "kept": self.kept, "withheld": self.withheld, "faults": len(self.faults),
            "listed": [asdict(one) for one in self.faults[:MOST_FAULTS]],
        }  # fmt: skip


async def take_in(
    hub: Hub,
    feed: Feed,
    files: Mapping[str, bytes],
    *,
    held: bool = False,
    gone_for_sure: bool = False,
) -> Outcome:
    """Bring the directory in step with the files of a feed that is kept.

    held: the caller holds it already. gone_for_sure: make inactive what is gone, however much that is.
    Raises BusyError, and reading.UnreadableError where the files are no HSDS: nothing is changed then.
    """
    async with hub.engine.pool.acquire() as conn:
        if not held and not await feeds.take(conn, feed.name, hub.clock(), LEASE):
            raise BusyError(feed.name)
    came: Document = {"failed": "it was broken off; the log says by what"}
    try:
        tables = await asyncio.to_thread(reading.read, files)
        outcome = await _Taking(hub, feed, tables, gone_for_sure=gone_for_sure).run()
        came = outcome.told()
    except reading.UnreadableError as error:
        came = {"failed": str(error)}
        raise
    finally:
        async with hub.engine.pool.acquire() as conn:
            await feeds.leave(conn, feed.name, hub.clock(), came)
    if outcome.written:
        outcome.merged, outcome.to_look_at = await twins.look(hub)
    log(
        "directory.feed_taken_in", feed=feed.name, entries=outcome.entries, written=outcome.written,
        gone=outcome.gone, kept=outcome.kept, withheld=outcome.withheld, faults=len(outcome.faults),
    )  # fmt: skip
    return outcome


async def providers(hub: Hub) -> Providers:
    """By what the hub knows victim service providers, as its directory says it."""
    async with hub.engine.pool.acquire() as conn:
        found = await resources.read_rids(conn, EVERYONE, sorted(await vsp.marked(conn)))
    names: set[str] = set()
    phones: set[str] = set()
    for version in found.values():
        document = parties.document(version) if version.body is not None else {}
        names |= {
            folded(str(one)) for one in (document.get("name", ""), *document.get("alias", ()))
        }
        phones |= {digits(str(one.get("value", ""))) for one in document.get("telecom", ())}
    return Providers(frozenset(names - {""}), frozenset(phones - {""}))


async def told(hub: Hub, feed: str | None = None) -> dict[str, list[Document]]:
    """The directory as HSDS, all of it or what came from one feed; nothing of victim service providers."""
    async with hub.engine.pool.acquire() as conn:
        apart = await vsp.marked(conn)
        found = await feeds.published(
            conn, EVERYONE, ("Organization", "HealthcareService", "Location")
        )
    entries_of: dict[str, dict[str, Document]] = {
        "Organization": {},
        "HealthcareService": {},
        "Location": {},
    }
    for version in found:
        document = parties.document(version)
        if version.rid in (HUB, DIRECTORY, *apart) or not services.is_met(version.labels):
            continue
        if document.get("name") != NAMELESS:
            entries_of[version.type][version.reference] = document
    offered = entries_of["HealthcareService"].values()
    mine = [one for one in offered if feed is None or _is_of(one, feed)]
    return export(mine, entries_of["Organization"], entries_of["Location"])


def _is_of(document: Document, feed: str) -> bool:
    return any(
        one.get("system") == system(feed, "services") for one in document.get("identifier", ())
    )


class _Taking:
    def __init__(self, hub: Hub, feed: Feed, tables: Tables, *, gone_for_sure: bool) -> None:
        self._hub, self._feed, self._tables = hub, feed, tables
        self._sure = gone_for_sure
        self._merged: dict[str, str] = {}
        self._steward = Caller(None, DIRECTORY, "", EVERYTHING, update_as_create=True)
        self._outcome = Outcome(faults=tables.faults)

    async def run(self) -> Outcome:
        hub, outcome = self._hub, self._outcome
        known_apart = await providers(hub)
        read = await asyncio.to_thread(
            entries, self._tables, self._feed.name, zone=self._feed.zone, known=known_apart
        )
        async with hub.engine.pool.acquire() as conn:
            known = await feeds.entries(conn, self._feed.name)
            self._merged = await _merged(conn, known)
        outcome.entries, outcome.withheld = len(read.entries), read.withheld
        changed: list[tuple[Entry, bytes]] = []
        for one in read.entries:
            digest = _digest(one.document)
            before = known.get(one.key)
            if before is not None and before.digest == digest and not before.gone:
                outcome.unchanged += 1
            else:
                changed.append((one, digest))
        for portion in _portions(changed):
            await self._write(portion)
        await self._end(read, known)
        return outcome

    async def _write(self, portion: Sequence[tuple[Entry, bytes]]) -> None:
        try:
            await self._commit(portion)
        except FhirError as error:
            if len(portion) == 1:
                entry = portion[0][0]
                for issue in error.issues:
                    at = issue.expression or entry.type
                    self._tables.refuse(entry.row, at, issue.diagnostics)
                return
            for one in portion:
                await self._write([one])

    async def _commit(self, portion: Sequence[tuple[Entry, bytes]]) -> None:
        hub = self._hub
        operations: list[Operation] = [
            Update(one.type, one.id, self._as_merged(one)) for one, _ in portion
        ]
        operations.append(self._provenance([f"{one.type}/{one.id}" for one, _ in portion]))
        done = await commit(hub, self._steward, operations, interaction="transaction")
        noted = [
            (one.key, written.rid, digest)
            for (one, digest), written in zip(portion, done.written, strict=False)
        ]
        async with hub.engine.pool.acquire() as conn:
            await feeds.note(conn, self._feed.name, noted)
            await feeds.hold(conn, self._feed.name, hub.clock() + LEASE)
        self._outcome.written += len(portion)

    def _as_merged(self, one: Entry) -> Document:
        """What another entry is offered in place of stays so."""
        into = self._merged.get(one.key)
        return one.document if into is None else twins.merged(one.document, into)

    def _provenance(self, targets: Sequence[str]) -> Create:
        now = instant(self._hub.clock())
        name = self._feed.name
        return Create(
            "Provenance",
            {
                "resourceType": "Provenance",
                "target": [{"reference": one} for one in targets],
                "occurredDateTime": now,
                "recorded": now,
                "agent": [{"type": _ASSEMBLER, "who": {"reference": self._hub.organization}}],
                "entity": [
                    {
                        "role": "source",
                        "what": {
                            "identifier": {"system": FEED, "value": name},
                            "display": f"HSDS feed {name}",
                        },
                    }
                ],
            },
        )

    async def _end(self, read: Read, known: Mapping[str, Known]) -> None:
        """What is there no more, and what is a victim service provider's since."""
        apart = [key for key, one in known.items() if _of_row(key) in read.apart and not one.gone]
        async with (
            self._hub.engine.pool.acquire() as conn
        ):  # those of who is marked say little already
            marked = await vsp.leading(conn, [known[key].rid for key in apart])
        apart = [key for key in apart if known[key].rid not in marked]
        gone = [
            key
            for key, one in known.items()
            if key not in read.stated and not one.gone and _of_row(key) not in read.apart
        ]
        for keys in _portions(apart):
            await self._make_inactive(keys, known, apart=True)
        current = sum(not one.gone for one in known.values())
        if len(gone) > FEW and len(gone) * 2 > current and not self._sure:
            self._outcome.kept = len(gone)
            return
        for keys in _portions(gone):
            await self._make_inactive(keys, known)

    async def _make_inactive(
        self, keys: Sequence[str], known: Mapping[str, Known], *, apart: bool = False
    ) -> None:
        hub = self._hub
        async with hub.engine.transaction() as conn:
            rids = [known[key].rid for key in keys]
            found = await resources.read_rids(conn, viewer.deciding(), rids)
            updates = [
                Update(one.type, one.id, _ended(parties.document(one), apart=apart))
                for one in found.values()
                if one.body is not None
            ]
            if updates:
                operations: list[Operation] = [
                    *updates, self._provenance([f"{one.type}/{one.id}" for one in updates])
                ]  # fmt: skip
                await apply(hub, conn, self._steward, operations, interaction="transaction")
            if apart:
                await vsp.hide_versions_before(conn, rids)
            await twins.loosen(hub, conn, rids)
            await feeds.note_gone(conn, self._feed.name, keys)
        if apart:
            log("directory.unlisted", feed=self._feed.name, count=len(keys))
        else:
            self._outcome.gone += len(keys)


async def _merged(conn: Connection, known: Mapping[str, Known]) -> dict[str, str]:
    """By key, what of these is merged -> the reference of what it is merged into."""
    into = await pairs.merged_into(conn, [one.rid for one in known.values()])
    kept = await resources.read_rids(conn, viewer.deciding(), sorted(set(into.values())))
    return {key: kept[into[one.rid]].reference for key, one in known.items() if one.rid in into}


def _ended(document: Document, *, apart: bool) -> Document:
    """The same, not offered any more; apart: with nothing that tells whose it was."""
    if apart:
        kept = ("resourceType", "id", "meta", "mode", "providedBy", "managingOrganization")
        bare = {name: value for name, value in stripped(document).items() if name in kept}
        document = {**bare, "name": NAMELESS}
    if document["resourceType"] == "Location":
        return {**document, "status": "inactive"}
    return {**document, "active": False}


def _of_row(key: str) -> str:
    """Of the entry of a part, the key of what it is a part of."""
    return "/".join(key.split("/")[:2])


def _digest(document: Document) -> bytes:
    return hashlib.sha256(fhir_json.encode(document)).digest()


def _portions(found: Sequence[Any]) -> list[Sequence[Any]]:
    return [found[first : first + AT_ONCE] for first in range(0, len(found), AT_ONCE)]


def next_time(now: datetime, every: timedelta | None) -> datetime | None:
    return None if every is None else now + every
