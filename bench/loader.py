"""Patients by the thousand: a few are written as everyone writes, the others are copies of them.

https://www.postgresql.org/docs/current/sql-copy.html

The first patients go through `record.commit`. Their rows, whatever tables and columns there are, are
copied with other ids, record numbers and instants and sent by COPY: no row is made here that the
write path would not have made for that document, and `differences` looks whether that is so. Only
the audit knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from bench import documents
from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.r4 import document as fhir_json
from coordhub.record import persons
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.store import resources
from coordhub.store.tables import metadata

PATTERNS = 32
"""Patients that are written; each other is a copy of one of them."""

OBSERVATIONS = 100
INDEXES = tuple(name for name in metadata.tables if name.startswith("idx_"))
_TABLES = ("resource", "change", *INDEXES)
_LEFT_TO_POSTGRES = {"change": {"seq", "xid"}}
_STEP = timedelta(seconds=-7)
"""How much later (earlier, that is) each generation of copies was written."""

_Row = list[Any]


@dataclass(frozen=True, slots=True)
class Patient:
    """One that is there. number: what its record number is made of."""

    number: int
    rid: int
    id: str

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The rows of one written patient, by table, with their columns' names."""

    patient: Patient
    rows: dict[str, list[_Row]]
    ids: dict[str, int]


class Loader:
    """Fills the database of `hub` as `caller`'s, further with every call of `grow`."""

    def __init__(self, hub: Hub, caller: Caller) -> None:
        self._hub = hub
        self._caller = caller
        self._columns = {
            table: [
                column.name
                for column in metadata.tables[table].columns
                if column.name not in _LEFT_TO_POSTGRES.get(table, ()) and column.computed is None
            ]
            for table in _TABLES
        }
        self._patterns: list[_Pattern] = []
        self._stride = 0
        self.patients: list[Patient] = []

    async def grow(self, patients: int, granted: Callable[[int], Sequence[int]]) -> None:
        """Until there are so many. granted: rids of organizations that are shown patient n."""
        conn = await asyncpg.connect(self._hub.engine.url)
        try:
            if not self._patterns:
                await self._write(conn)
                await self._grant(conn, self.patients, granted)
            generation = len(self.patients) // PATTERNS
            while len(self.patients) < patients:
                made = await self._copy(conn, generation)
                await self._grant(conn, made, granted)
                generation += 1
            last = max(patient.rid for patient in self.patients) >> 8
            while await conn.fetchval("select nextval('rid_block')") < (last >> 12) + 2:
                pass  # the application's role may take numbers, not set them
            await conn.execute("vacuum analyze")
        finally:
            await conn.close()

    async def _write(self, conn: Any) -> None:
        for number in range(PATTERNS):
            written = await self._commit(_of_patient(number))
            references = {one.reference for one in written}
            first = written[0]
            patient = Patient(number, first.rid, first.id)
            tasks = await self._commit(
                [
                    (documents.task(one.reference, patient.reference, "begun"), None)
                    for one in written
                    if one.type == "ServiceRequest"
                ]
            )
            everything = [*written, *tasks]
            assert len(references) == len(written)
            rids = [one.rid for one in everything]
            rows = {
                table: [
                    list(row)
                    for row in await conn.fetch(
                        f"select {', '.join(columns)} from {table} where rid = any($1)", rids
                    )
                ]
                for table, columns in self._columns.items()
            }
            self._patterns.append(_Pattern(patient, rows, {one.id: one.rid for one in everything}))
            self.patients.append(patient)
        rids = [rid for pattern in self._patterns for rid in pattern.ids.values()]
        self._stride = ((max(rids) >> 8) - (min(rids) >> 8) + 4096) << 8

    async def _commit(self, made: Iterable[tuple[documents.Document, str | None]]) -> Any:
        creates = [
            Create(one["resourceType"], fhir_json.parse(fhir_json.encode(one)), full_url=name)
            for one, name in made
        ]
        return (await commit(self._hub, self._caller, creates, interaction="transaction")).written

    async def _copy(self, conn: Any, generation: int) -> list[Patient]:
        made = []
        rows: dict[str, list[_Row]] = {table: [] for table in _TABLES}
        for position, pattern in enumerate(self._patterns):
            copied = _Copy(pattern, generation, generation * PATTERNS + position, self._stride)
            made.append(copied.patient)
            for table, columns in self._columns.items():
                rows[table].extend(copied.rows(table, columns))
        async with conn.transaction():
            for table, columns in self._columns.items():
                if rows[table]:
                    await conn.copy_records_to_table(table, records=rows[table], columns=columns)
        self.patients += made
        return made

    async def _grant(
        self, conn: Any, patients: Sequence[Patient], granted: Callable[[int], Sequence[int]]
    ) -> None:
        now = datetime.now(UTC)
        rows = [
            (patient.rid & 255, organization, rid, patient.rid, "referral", now)
            for patient in patients
            for organization in granted(patient.number)
            for rid in self._rids_of(patient)
        ]
        columns = ["shard", "organization", "rid", "because", "rule", "since"]
        await conn.copy_records_to_table("access_grant", records=rows, columns=columns)
        await conn.execute(
            "insert into party (organization, kind) select unnest($1::bigint[]), 'treatment'"
            " on conflict (organization) do nothing",
            sorted({row[1] for row in rows}),
        )

    def _rids_of(self, patient: Patient) -> Iterator[int]:
        pattern = self._patterns[patient.number % PATTERNS]
        apart = patient.rid - pattern.patient.rid
        return (rid + apart for rid in pattern.ids.values())


def _of_patient(number: int) -> list[tuple[documents.Document, str | None]]:
    name = "urn:uuid:00000000-0000-4000-8000-000000000001"
    first = number * OBSERVATIONS
    made: list[tuple[documents.Document, str | None]] = [(documents.patient(number), name)]
    made += [(documents.observation(first + n, name), None) for n in range(OBSERVATIONS - 1)]
    last = (
        documents.rare_observation(first, name)
        if number == 0
        else documents.observation(first + OBSERVATIONS - 1, name)
    )
    made.append((last, None))
    made += [(documents.condition(number * 3 + n, name), None) for n in range(3)]
    made.append((documents.order(name), None))
    return made


class _Copy:
    """One patient as it would be, had it been written by itself."""

    def __init__(self, pattern: _Pattern, generation: int, number: int, stride: int) -> None:
        self._pattern = pattern
        self._apart = generation * stride
        self._later = generation * _STEP
        self._generation = generation
        self._marks = (documents.mark(pattern.patient.number), documents.mark(number))
        self._rids = frozenset(pattern.ids.values())
        self._of_patient = pattern.patient.id
        patient = pattern.patient
        self._document = documents.patient(patient.number) | {
            "identifier": documents.patient(number)["identifier"]
        }
        self.patient = Patient(number, patient.rid + self._apart, self._id(patient.id))

    def _id(self, fhir_id: str) -> str:
        """Another UUID of the same shard: its last eight digits count the generations."""
        return f"{fhir_id[:-8]}{int(fhir_id[-8:], 16) ^ (self._generation * 2_654_435_761 & 0xFFFFFFFF):08x}"

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[_Row]:
        at = {name: position for position, name in enumerate(columns)}
        if (
            table == "idx_person"
        ):  # digests of what the copy says, which no text in them can be changed to
            yield from self._persons(columns)
            return
        shifted = [at[name] for name in ("rid", "patient", "target") if name in at]
        instants = [at[name] for name in ("updated",) if name in at]
        instants += [at["at"]] if table == "change" else []
        texts = [at[name] for name in ("code", "value", "exact") if name in at]
        is_of_patient = self._pattern.patient.rid
        for row in self._pattern.rows[table]:
            copied = list(row)
            for position in shifted:
                if copied[position] in self._rids:
                    copied[position] += self._apart
            for position in instants:
                copied[position] += self._later
            if row[at["rid"]] == is_of_patient:
                for position in texts:
                    if isinstance(copied[position], str):
                        copied[position] = self._marked(copied[position])
            if table == "resource":
                copied[at["fhir_id"]] = self._id(row[at["fhir_id"]])
                copied[at["body"]] = self._body(
                    row[at["body"]], row[at["updated"]], row[at["fhir_id"]]
                )
            yield copied

    def _persons(self, columns: Sequence[str]) -> Iterator[_Row]:
        known = self._pattern.rows["idx_person"]
        if not known:
            return
        shard, source = (known[0][columns.index(name)] for name in ("shard", "source"))
        for one in persons.rows(self._document, self.patient.rid, source):
            values = {**one._asdict(), "shard": shard}
            yield [values[name] for name in columns]

    def _marked(self, text: str) -> str:
        before, after = self._marks
        return text.replace(before, after).replace(before.lower(), after.lower())

    def _body(self, body: str, updated: datetime, own: str) -> str:
        body = body.replace(instant(updated), instant(updated + self._later), 1)
        body = self._marked(body.replace(own, self._id(own)))
        body = body.replace(self._of_patient, self.patient.id)
        if '"resourceType":"Task"' in body:  # the only other reference there is
            for known in self._pattern.ids:
                body = body.replace(known, self._id(known))
        return body


async def differences(hub: Hub, caller: Caller, patient: Patient) -> list[str]:
    """Where rows of this patient's resources are not what a POST of the same document makes.

    Each document is written once more, by the write path, and the index rows of both are compared
    but for rid; empty if they are equal. What was written is taken away again.
    """
    found = []
    async with hub.engine.pool.acquire() as conn:
        rows = await conn.fetch(
            "select rid, body from resource where patient = $1 and rid <> $1 order by rid limit 12",
            patient.rid,
        )
        known = [(row[0], fhir_json.parse(row[1].encode())) for row in rows]
        stored = await resources.read_rids(conn, viewer.deciding(), [patient.rid])
        body = stored[patient.rid].body
        assert body is not None
        known.append((patient.rid, fhir_json.parse(body.encode())))
    for rid, document in known:
        plain = {name: value for name, value in document.items() if name not in ("id", "meta")}
        done = await commit(
            hub, caller, [Create(document["resourceType"], plain)], interaction="create"
        )
        again = done.written[0].rid
        async with hub.engine.pool.acquire() as conn:
            found += [
                f"{table} of {document['resourceType']} {rid}"
                for table in INDEXES
                if await _index(conn, table, rid) != await _index(conn, table, again)
            ]
            await conn.execute("delete from resource where rid = $1", again)
            await conn.execute("delete from change where rid = $1", again)
            for table in INDEXES:
                await conn.execute(f"delete from {table} where rid = $1", again)
    return found


async def _index(
    conn: asyncpg.Connection[asyncpg.Record] | Any, table: str, rid: int
) -> list[tuple[Any, ...]]:
    """The rows of one resource without what tells it from its twin."""
    columns = [
        column.name
        for column in metadata.tables[table].columns
        if column.name not in ("rid", "shard", "patient")
    ]
    rows = await conn.fetch(
        f"select {', '.join(columns)}, patient = rid from {table} where rid = $1", rid
    )
    return sorted((tuple(row) for row in rows), key=repr)
