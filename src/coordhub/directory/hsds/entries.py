"""What the rows of a feed become in the directory: Organization, Location, HealthcareService.

http://hl7.org/fhir/us/hsds (hsds-Organization, hsds-HealthcareService, hsds-Location)

Each entry has a key and an id that follow from the feed's name and the row's id, so that the same row is
the same entry every night. A service is one HealthcareService with all its Locations; where it has hours,
telephones or people of its own at one of them, that one is an entry by itself.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from coordhub.directory.hsds import offers, places, withheld
from coordhub.directory.hsds.rows import Row, Tables
from coordhub.directory.hsds.telecom import contacts, telecom
from coordhub.directory.hsds.withheld import Known, Withheld, without

Document = dict[str, Any]

ORGANIZATION_PROFILE: Final = "http://hl7.org/fhir/us/hsds/StructureDefinition/hsds-Organization"
DESCRIPTION: Final = (
    "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/org-description"
)
TAX: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "TAX"}]
}
_NAMESPACE: Final = uuid.UUID("8f2d3a06-5f0c-5b5e-9a4e-1f1c7d0e6b21")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

FEED_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def fhir_id(feed: str, key: str) -> str:
    """Of the directory's shard, as the hub's own ids."""
    return f"00{str(uuid.uuid5(_NAMESPACE, f'{feed}/{key}'))[2:]}"


def system(feed: str, table: str) -> str:
    """Of the identifier that an entry has by its row."""
    return f"urn:hsds:{feed}:{table}"


@dataclass(frozen=True, slots=True)
class Entry:
    """key: `table/id` of its row, or of two. document: as it is to be stored."""

    key: str
    document: Document
    row: Row

    @property
    def type(self) -> str:
        return str(self.document["resourceType"])

    @property
    def id(self) -> str:
        return str(self.document["id"])


@dataclass(slots=True)
class Read:
    """entries: organizations first, what others refer to before them. stated: keys of all rows that the feed
    has, also of those that were refused. apart: keys of rows about victim service providers, of which nothing is
    taken. withheld: how many of these are services."""

    entries: list[Entry] = field(default_factory=list)
    stated: set[str] = field(default_factory=set)
    apart: set[str] = field(default_factory=set)
    withheld: int = 0


def entries(
    tables: Tables, feed: str, *, zone: str | None = None, known: Known | None = None
) -> Read:
    """Of all rows but those about victim service providers; faults are left with the tables."""
    kept = withheld.find(tables, known or Known())
    _redact(tables, kept)
    apart = {
        f"{table}/{one}"
        for table, ids in (
            ("services", kept.services),
            ("organizations", kept.organizations),
            ("locations", kept.locations),
        )
        for one in ids
    }
    found = Read(apart=apart, withheld=len(kept.services))
    made = _Making(tables, feed, zone, kept, found)
    made.organizations()
    made.locations()
    made.services()
    return found


def _redact(tables: Tables, kept: Withheld) -> None:
    """Take from all rows what tells of providers that are not taken."""
    if not kept.told:
        return
    gone = {
        "services": kept.services,
        "organizations": kept.organizations,
        "locations": kept.locations,
    }
    for table, rows in tables.rows.items():
        for id_, row in rows.items():
            if id_ not in gone.get(table, ()):
                rows[id_] = without(kept, row)
    for held in tables.parts.values():
        for id_, row in held.items():
            held[id_] = without(kept, row)
    for organization in kept.parting:
        for table in ("contacts", "phones"):
            tables.parts.pop((table, "organizations", organization), None)


class _Making:
    def __init__(
        self, tables: Tables, feed: str, zone: str | None, kept: Withheld, found: Read
    ) -> None:
        self._tables, self._feed, self._zone, self._kept, self._found = (
            tables,
            feed,
            zone,
            kept,
            found,
        )
        self._made: set[str] = set()

    def _reference(self, type_: str, key: str) -> str | None:
        return f"{type_}/{fhir_id(self._feed, key)}" if key in self._made else None

    def _add(self, key: str, document: Document, row: Row, *also: Row) -> None:
        document["identifier"] = [
            *({"system": system(self._feed, one.table), "value": one.id} for one in (row, *also)),
            *document.get("identifier", ()),
        ]
        self._made.add(key)
        self._found.entries.append(Entry(key, compact(document), row))

    def organizations(self) -> None:
        rows = self._tables.rows["organizations"]
        for row in _parents_first(rows, "parent_organization_id"):
            if row.id in self._kept.organizations:
                continue
            key = f"organizations/{row.id}"
            self._found.stated.add(key)
            if not row.text("name"):
                self._tables.refuse(row, "name", "is missing: name the organization")
                continue
            parent = self._reference(
                "Organization", f"organizations/{row.text('parent_organization_id')}"
            )
            document = {
                "resourceType": "Organization",
                "id": fhir_id(self._feed, key),
                "meta": {"profile": [ORGANIZATION_PROFILE]},
                "extension": self._described(row),
                "active": True,
                "name": row.text("name"),
                "alias": [row.text("alternate_name")],
                "telecom": telecom(self._tables, row),
                "partOf": {"reference": parent},
                "contact": contacts(self._tables, row),
                "identifier": list(self._numbers(row)),
            }
            self._add(key, document, row)

    def _described(self, row: Row) -> list[Document]:
        found: list[Document] = []
        if row.text("description"):
            found.append({"url": DESCRIPTION, "valueString": row.text("description")})
        kept = [
            {"url": name, "valueString": row.text(name)}
            for name in ("legal_status", "year_incorporated", "uri", "logo")
            if row.text(name)
        ]
        return [*found, {"url": places.KEPT, "extension": kept}] if kept else found

    def _numbers(self, row: Row) -> Iterator[Document]:
        if row.text("tax_id"):
            yield {"type": TAX, "value": row.text("tax_id")}
        for one in self._tables.of("organization_identifiers", row):
            if one.text("identifier"):
                yield {
                    "type": {"text": one.text("identifier_type")},
                    "value": one.text("identifier"),
                    "assigner": {"display": one.text("identifier_scheme")},
                }

    def locations(self) -> None:
        managed: dict[str, str] = {}
        for one in self._tables.rows["service_at_locations"].values():
            service = self._tables.rows["services"].get(one.text("service_id"))
            if service is not None:
                managed.setdefault(one.text("location_id"), service.text("organization_id"))
        for row in self._tables.rows["locations"].values():
            if row.id in self._kept.locations:
                continue
            key = f"locations/{row.id}"
            self._found.stated.add(key)
            if row.text("location_type") not in ("", "physical", "postal", "virtual"):
                self._tables.leave_out(
                    row, "location_type", "is none of physical, postal, virtual: correct it"
                )
            organization = row.text("organization_id") or managed.get(row.id, "")
            owner = self._reference("Organization", f"organizations/{organization}")
            self._add(
                key,
                places.place(self._tables, row, fhir_id(self._feed, key), owner, self._zone),
                row,
            )

    def services(self) -> None:
        given: dict[str, list[Row]] = {}
        for one in self._tables.rows["service_at_locations"].values():
            if one.text("service_id") not in self._tables.rows["services"]:
                self._tables.refuse(
                    one, "service_id", "names no service of this feed: correct or remove the row"
                )
            elif one.text("service_id") not in self._kept.services:
                given.setdefault(one.text("service_id"), []).append(one)
        for row in self._tables.rows["services"].values():
            if row.id not in self._kept.services:
                self._service(row, given.get(row.id, []))

    def _service(self, row: Row, given: list[Row]) -> None:
        tables = self._tables
        key = f"services/{row.id}"
        self._found.stated.add(key)
        self._found.stated.update(f"{key}/at/{one.id}" for one in given)
        areas = tables.of("service_areas", row)
        self._found.stated.update(f"{key}/area/{one.id}" for one in areas)
        if not row.text("name"):
            tables.refuse(row, "name", "is missing: name the service")
            return
        if row.text("status") and row.text("status") not in offers.STATUSES:
            tables.refuse(row, "status", f"is none of {', '.join(offers.STATUSES)}: correct it")
            return
        provider = self._reference("Organization", f"organizations/{row.text('organization_id')}")
        if provider is None:
            tables.refuse(
                row,
                "organization_id",
                "names no organization of this feed that was taken: correct it",
            )
            return
        covered = []
        for one in areas:
            area_key = f"{key}/area/{one.id}"
            self._add(area_key, places.area(tables, one, fhir_id(self._feed, area_key)), one)
            covered.append(f"Location/{fhir_id(self._feed, area_key)}")
        alone: list[tuple[Row, str]] = []
        together: list[tuple[Row, str]] = []
        for one in given:
            if one.text("location_id") in self._kept.locations:
                continue  # given, but it is not said where
            where = self._reference("Location", f"locations/{one.text('location_id')}")
            if where is None:
                tables.refuse(
                    one, "location_id", "names no location of this feed that was taken: correct it"
                )
                continue
            own = any(tables.of(name, one) for name in ("phones", "schedules", "contacts"))
            (alone if own else together).append((one, where))
        service = offers.Offer(tables, row, self._feed, self._zone, provider, covered)
        for one, where in alone:
            at_key = f"{key}/at/{one.id}"
            self._add(at_key, service.document(fhir_id(self._feed, at_key), [where], one), row, one)
        if together or not alone:
            wheres = [where for _, where in together]
            self._add(key, service.document(fhir_id(self._feed, key), wheres), row)


def _parents_first(rows: dict[str, Row], name: str) -> Iterator[Row]:
    """Also where they stand in a circle, whose last one then has no parent."""
    done: set[str] = set()
    for row in rows.values():
        chain: list[Row] = []
        above: Row | None = row
        while above is not None and above.id not in done:
            done.add(above.id)
            chain.append(above)
            above = rows.get(above.text(name))
        yield from reversed(chain)


def compact(value: Any) -> Any:
    """Without what says nothing, and without characters that FHIR's strings may not have."""
    if isinstance(value, dict):
        found = {name: compact(inner) for name, inner in value.items()}
        kept = {name: inner for name, inner in found.items() if inner not in ("", [], {}, None)}
        return kept if kept.keys() != {"url"} else {}  # an extension that says nothing
    if isinstance(value, list):
        return [one for one in map(compact, value) if one not in ("", [], {}, None)]
    return _CONTROL.sub("", value).strip() if isinstance(value, str) else value
