"""A service and what it says of itself, as a HealthcareService.

http://hl7.org/fhir/us/hsds (hsds-HealthcareService), http://hl7.org/fhir/R4/healthcareservice.html

What the hub matches by stands where `referral.offered` reads it; what R4 has no element for is kept in an
extension, and what a person has to know before going there in extraDetails too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from coordhub.directory.hsds import schedules, stated
from coordhub.directory.hsds.places import KEPT
from coordhub.directory.hsds.rows import Row, Tables
from coordhub.directory.hsds.telecom import telecom
from coordhub.referral.hours import TIME_ZONE
from coordhub.referral.offered import CAPACITY, ELIGIBLE, INTERPRETED, USAGE_CONTEXT

Document = dict[str, Any]

PROFILE: Final = "http://hl7.org/fhir/us/hsds/StructureDefinition/hsds-HealthcareService"
STATUSES: Final = ("active", "inactive", "defunct", "temporarily closed")
STATUS: Final = "urn:coordhub:hsds-status"
COST: Final = "urn:coordhub:cost-option"
DOCUMENT: Final = "urn:coordhub:required-document"
UNCLASSIFIED: Final = {
    "system": "urn:coordhub:service-kind",
    "code": "unclassified",
    "display": "Not classified",
}
"""A kind of no need: what has no taxonomy term is found by its name, and offered for nothing."""

AIRS: Final = "http://211hsis.org"
_URI: Final = re.compile(r"(https?://|urn:)\S+")
_UCUM: Final = "http://unitsofmeasure.org"
_OLDEST: Final = 130

_KEPT: Final = (
    "alternate_name", "application_process", "fees_description", "interpretation_services", "accreditations",
    "assured_date", "assurer_email", "alert", "eligibility_description", "wait_time", "last_modified",
)  # fmt: skip
_DETAILS: Final = (
    ("alert", "Note"), ("application_process", "How to apply"), ("fees_description", "Cost"),
    ("wait_time", "Waiting time"), ("accreditations", "Accreditations"),
)  # fmt: skip


class Offer:
    """One service of a feed; `document` makes an entry of it, for all its Locations or for one."""

    def __init__(
        self,
        tables: Tables,
        row: Row,
        feed: str,
        zone: str | None,
        provider: str,
        areas: Sequence[str],
    ) -> None:
        self._tables, self._row, self._feed, self._zone = tables, row, feed, zone
        self._provider, self._areas = provider, areas
        self._common = self._stated()

    def document(self, known_as: str, locations: Sequence[str], at: Row | None = None) -> Document:
        """at: the service_at_location that this entry is of, whose hours and telephones come first."""
        tables, row = self._tables, self._row
        own = tables.of("schedules", at) if at is not None else []
        said = own or tables.of("schedules", row)
        closed = [
            *tables.of("holiday_schedules", row),
            *(tables.of("holiday_schedules", at) if at else ()),
        ]
        opening = schedules.read(tables, said, closed, self._zone)
        found = dict(self._common)
        found["id"] = known_as
        if at is not None and tables.of("phones", at):
            found["telecom"] = [
                *telecom(tables, at),
                *found["telecom"][len(tables.of("phones", row)) :],
            ]
        found["location"] = [{"reference": one} for one in locations]
        found["availableTime"] = opening.weekly
        found["notAvailable"] = opening.closed
        found["availabilityExceptions"] = "\n".join(dict.fromkeys(opening.words))
        zone = [{"url": TIME_ZONE, "valueCode": opening.zone}] if opening.zone else []
        found["extension"] = [*found["extension"], *opening.recurring, *zone]
        return found

    def _stated(self) -> Document:
        tables, row = self._tables, self._row
        category, kinds = self._kinds()
        status = row.text("status") or "active"
        interpreted = row.text("interpretation_services")
        program = tables.rows["programs"].get(row.text("program_id"))
        characteristics: list[Document] = []
        if interpreted:
            [system, code] = INTERPRETED
            characteristics.append(
                {"coding": [{"system": system, "code": code}], "text": interpreted}
            )
        return {
            "resourceType": "HealthcareService",
            "id": "",
            "meta": {"profile": [PROFILE]},
            "extension": self._extensions(status),
            "active": status == "active",
            "providedBy": {"reference": self._provider},
            "category": category,
            "type": kinds,
            "name": row.text("name"),
            "comment": row.text("description"),
            "extraDetails": self._details(),
            "telecom": telecom(tables, row),
            "coverageArea": [{"reference": one} for one in self._areas],
            "eligibility": self._eligibility(),
            "program": [{"text": program.text("name")}] if program is not None else [],
            "characteristic": characteristics,
            "communication": self._languages(),
        }

    def _kinds(self) -> tuple[list[Document], list[Document]]:
        """(category, type): the term above, and the term itself."""
        terms = self._tables.rows["taxonomy_terms"]
        category: list[Document] = []
        kinds: list[Document] = []
        for one in self._tables.attributes(self._row):
            term = terms.get(one.text("taxonomy_term_id"))
            if term is None:
                if one.text("taxonomy_term_id"):
                    self._tables.leave_out(
                        one, "taxonomy_term_id", "names no term of this feed: add it"
                    )
                continue
            concept = self._concept(term)
            above = terms.get(term.text("parent_id"))
            upper = concept if above is None else self._concept(above)
            kinds += [concept] if concept not in kinds else []
            category += [upper] if upper not in category else []
        if not kinds:
            self._tables.leave_out(
                self._row,
                "attributes",
                "has no taxonomy term: it is found by its name and offered for no need; add one",
            )
            return [{"coding": [dict(UNCLASSIFIED)]}], []
        return category[:1], [*kinds, *(one for one in category[1:] if one not in kinds)]

    def _concept(self, term: Row) -> Document:
        taxonomy = self._tables.rows["taxonomies"].get(term.text("taxonomy_id"))
        name = f"{term.text('taxonomy')} {taxonomy.text('name') if taxonomy else ''}".lower()
        uri = taxonomy.text("uri") if taxonomy else ""
        for stated_uri in (term.text("taxonomy"), uri):
            if _URI.fullmatch(stated_uri):
                return _coded(stated_uri, term)
        if "211" in name or "airs" in name:
            return _coded(AIRS, term)
        return _coded(f"urn:hsds:{self._feed}:taxonomy_terms", term)

    def _extensions(self, status: str) -> list[Document]:
        tables, row = self._tables, self._row
        found: list[Document] = [{"url": STATUS, "valueCode": status}]
        kept = [{"url": name, "valueString": row.text(name)} for name in _KEPT if row.text(name)]
        if kept:
            found.append({"url": KEPT, "extension": kept})
        found += [
            {"url": DOCUMENT, "valueString": one.text("document")}
            for one in tables.of("required_documents", row)
            if one.text("document")
        ]
        found += [
            {"url": COST, "extension": self._cost(one)} for one in tables.of("cost_options", row)
        ]
        capacity = [self._capacity(one) for one in tables.of("service_capacities", row)]
        return [*found, *({"url": CAPACITY, "extension": one} for one in capacity if one)]

    def _cost(self, row: Row) -> list[Document]:
        parts: list[Document] = [
            {"url": name, "valueString": row.text(name)}
            for name in ("option", "amount_description")
            if row.text(name)
        ]
        amount = stated.number(self._tables, row, "amount", 0, 1_000_000)
        if amount is not None:
            money: Document = {"value": amount}
            if len(row.text("currency")) == 3:
                money["currency"] = row.text("currency").upper()
            parts.append({"url": "amount", "valueMoney": money})
        period = {
            name: day
            for name, column in (("start", "valid_from"), ("end", "valid_to"))
            if (day := stated.day(self._tables, row, column)) is not None
        }
        return [*parts, {"url": "validity", "valuePeriod": period}] if period else parts

    def _capacity(self, row: Row) -> list[Document]:
        """With its age: what is old is taken for unknown where services are compared."""
        tables = self._tables
        available = stated.whole(tables, row, "available", 0, 1_000_000)
        maximum = stated.whole(tables, row, "maximum", 0, 1_000_000)
        updated = stated.moment(tables, row, "updated")
        unit = next(iter(tables.of("units", row)), None)
        if available is None or updated is None:
            if available is not None:
                tables.leave_out(
                    row, "updated", "is missing, so that nobody knows how old it is: add it"
                )
            return []
        parts: list[Document] = [{"url": "available", "valueInteger": available}]
        if maximum is not None:
            parts.append({"url": "maximum", "valueInteger": maximum})
        name = unit.text("name") if unit is not None else row.text("unit")
        if name:
            parts.append({"url": "unit", "valueString": name})
        return [*parts, {"url": "updated", "valueDateTime": updated}]

    def _eligibility(self) -> list[Document]:
        tables, row = self._tables, self._row
        found: list[Document] = []
        low = stated.whole(tables, row, "minimum_age", 0, _OLDEST)
        high = stated.whole(tables, row, "maximum_age", 0, _OLDEST)
        if low is not None and high is not None and low > high:
            tables.leave_out(row, "maximum_age", "is below minimum_age: correct one of them")
            high = None
        if low is not None or high is not None:
            ends = {
                name: _years(one) for name, one in (("low", low), ("high", high)) if one is not None
            }
            context = {"code": {"system": USAGE_CONTEXT, "code": "age"}, "valueRange": ends}
            found.append({"extension": [{"url": ELIGIBLE, "valueUsageContext": context}]})
        words = [row.text("eligibility_description")]
        words += [one.text("eligibility") for one in tables.of("eligibility", row)]
        return [*found, *({"comment": one} for one in words if one)]

    def _languages(self) -> list[Document]:
        found: list[Document] = []
        for one in self._tables.of("languages", self._row):
            known = stated.language(self._tables, one)
            if known is None:
                continue
            code, name = known
            concept: Document = {"text": name} if name else {}
            if code:
                concept["coding"] = [{"system": "urn:ietf:bcp:47", "code": code}]
            if concept not in found:
                found.append(concept)
        return found

    def _details(self) -> str:
        lines = [
            f"{label}: {self._row.text(name)}" for name, label in _DETAILS if self._row.text(name)
        ]
        documents = [
            one.text("document") for one in self._tables.of("required_documents", self._row)
        ]
        return "\n\n".join([*lines, *(f"Bring: {one}" for one in documents if one)])


def _coded(system: str, term: Row) -> Document:
    return {
        "coding": [
            {"system": system, "code": term.text("code") or term.id, "display": term.text("name")}
        ]
    }


def _years(years: int) -> Document:
    return {"value": Decimal(years), "system": _UCUM, "code": "a"}
