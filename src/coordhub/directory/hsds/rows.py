"""Rows of HSDS tables, by id and by what they are part of, and what was wrong with them.

https://docs.openreferral.org/en/latest/hsds/schema_reference.html

A row of a file of tables, or an object nested in a JSON document: both become the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ENTITIES: Final = frozenset(
    {
        "organizations", "services", "locations", "service_at_locations", "programs", "taxonomies",
        "taxonomy_terms",
    }
)  # fmt: skip
"""Tables whose rows others refer to."""

PARTS: Final = frozenset(
    {
        "phones", "contacts", "schedules", "holiday_schedules", "service_areas", "languages",
        "cost_options", "funding", "required_documents", "attributes", "addresses",
        "accessibility", "organization_identifiers", "service_capacities", "eligibility", "units",
    }
)  # fmt: skip

ALIASES: Final[Mapping[str, str]] = {
    "organization": "organizations", "service": "services", "location": "locations",
    "service_at_location": "service_at_locations", "services_at_location": "service_at_locations",
    "services_at_locations": "service_at_locations", "program": "programs",
    "taxonomy": "taxonomies", "taxonomy_term": "taxonomy_terms", "phone": "phones",
    "contact": "contacts", "schedule": "schedules", "regular_schedule": "schedules",
    "regular_schedules": "schedules", "holiday_schedule": "holiday_schedules",
    "service_area": "service_areas", "language": "languages", "cost_option": "cost_options",
    "required_document": "required_documents", "attribute": "attributes",
    "service_attribute": "attributes", "service_attributes": "attributes",
    "other_attribute": "attributes", "other_attributes": "attributes",
    "service_taxonomy": "attributes", "service_taxonomies": "attributes",
    "services_taxonomy": "attributes", "address": "addresses", "physical_address": "addresses",
    "physical_addresses": "addresses", "postal_address": "addresses",
    "postal_addresses": "addresses", "accessibility_for_disabilities": "accessibility",
    "organization_identifier": "organization_identifiers", "capacities": "service_capacities",
    "service_capacity": "service_capacities", "eligibilities": "eligibility", "unit": "units",
}  # fmt: skip
"""Names that tables have in one version or another."""

IGNORED: Final = frozenset(
    {"metadata", "meta_table_description", "meta_table_descriptions", "urls", "url", "payments_accepted",
     "payment_accepted", "fundings"}
)  # fmt: skip
"""Tables of which nothing is taken: logs of changes, descriptions of columns, how one pays."""

OWNERS: Final[Mapping[str, str]] = {
    "organization_id": "organizations", "service_id": "services", "location_id": "locations",
    "service_at_location_id": "service_at_locations", "contact_id": "contacts",
    "phone_id": "phones",
}  # fmt: skip
"""Columns that say what a row is part of."""

ANY: Final = "*"
"""Owner of attributes, which say by an id only what they are about."""


def table_of(name: str) -> str | None:
    """The table that a file, or a list in a document, of this name holds; None: none of HSDS."""
    plain = name.lower().removesuffix("_list").removesuffix("_full")
    plain = ALIASES.get(plain, plain)
    return plain if plain in ENTITIES or plain in PARTS else None


@dataclass(frozen=True, slots=True)
class Row:
    """row: its number in the file, the first below the head being 2; in JSON, which of its objects."""

    table: str
    id: str
    values: Mapping[str, Any]
    file: str
    row: int

    def text(self, name: str) -> str:
        """ "" where nothing is said."""
        value = self.values.get(name)
        return "" if value is None or isinstance(value, dict | list) else str(value).strip()


@dataclass(frozen=True, slots=True)
class Fault:
    """refused: the whole row is not taken; else only that field. what: what is wrong and what to do."""

    file: str
    row: int
    field: str
    what: str
    refused: bool = True

    def __str__(self) -> str:
        outcome = "refused" if self.refused else "taken without it"
        return f"{self.file}, row {self.row}, {self.field or 'row'}: {self.what} ({outcome})"


@dataclass(slots=True)
class Tables:
    """rows: of ENTITIES by table and id. parts: of PARTS by table, and table and id of the owner."""

    rows: dict[str, dict[str, Row]] = field(
        default_factory=lambda: {name: {} for name in sorted(ENTITIES)}
    )
    parts: dict[tuple[str, str, str], dict[str, Row]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def add(self, row: Row, owners: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> None:
        """A row that is there already goes on where it said nothing; a part belongs to each of the owners."""
        if row.table in ENTITIES:
            if not row.id:
                self.faults.append(
                    Fault(row.file, row.row, "id", "is missing: give each row its id")
                )
                return
            there = self.rows[row.table].get(row.id)
            if there is not None:
                said = {
                    name: value for name, value in row.values.items() if value not in ("", None)
                }
                row = Row(row.table, row.id, {**said, **_said(there)}, there.file, there.row)
            self.rows[row.table][row.id] = row
            return
        for table, owner in owners:
            held = self.parts.setdefault((row.table, table, owner), {})
            held.setdefault(row.id or f"{row.file}:{row.row}", row)

    def of(self, table: str, owner: Row) -> list[Row]:
        """The parts of this kind that the owner has, in the order of the feed."""
        return list(self.parts.get((table, owner.table, owner.id), {}).values())

    def attributes(self, owner: Row) -> list[Row]:
        return [*self.parts.get(("attributes", ANY, owner.id), {}).values()]

    def refuse(self, row: Row, name: str, what: str) -> None:
        self.faults.append(Fault(row.file, row.row, name, what))

    def leave_out(self, row: Row, name: str, what: str) -> None:
        self.faults.append(Fault(row.file, row.row, name, what, refused=False))


def _said(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.values.items() if value not in ("", None)}
