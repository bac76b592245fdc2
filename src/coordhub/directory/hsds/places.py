"""Locations: where a service is given, and for which area.

http://hl7.org/fhir/us/hsds (hsds-Location), http://hl7.org/fhir/R4/location.html
http://hl7.org/fhir/R4/extension-location-boundary-geojson.html, https://www.rfc-editor.org/rfc/rfc7946
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import msgspec

from coordhub.directory.hsds import schedules, stated
from coordhub.directory.hsds.rows import Row, Tables
from coordhub.directory.hsds.telecom import telecom
from coordhub.referral.hours import TIME_ZONE
from coordhub.referral.offered import ACCESSIBILITY, PHYSICAL_TYPE
from coordhub.referral.places import BOUNDARY, boundaries_in
from coordhub.referral.wanted import ACCESS

Document = dict[str, Any]

PROFILE: Final = "http://hl7.org/fhir/us/hsds/StructureDefinition/hsds-Location"
KEPT: Final = "urn:coordhub:hsds"
"""Extension that keeps, part by part, what of a row R4 has no element for."""

_WORDS: Final = (
    ("adacomp", re.compile(r"wheelchair|\bada\b|step.?free|ramp", re.I)),
    ("pubtrans", re.compile(r"public trans|\bbus\b|\btrain\b|\bmetro\b|subway", re.I)),
    ("answhb", re.compile(r"hearing|induction loop|\bASL\b|sign language", re.I)),
)  # fmt: skip
"""Codes of AccessibilityCS, by what HSDS says in words only."""

_POSTAL: Final = re.compile(r"\d{5}(-\d{4})?")
_LARGEST_EXTENT: Final = 2 * 1024 * 1024


def place(
    tables: Tables, row: Row, known_as: str, organization: str | None, zone: str | None
) -> Document:
    """organization: reference. zone: the feed's."""
    document: Document = {
        "resourceType": "Location",
        "id": known_as,
        "meta": {"profile": [PROFILE]},
        "status": "active",
        "mode": "instance",
        "name": row.text("name") or row.text("alternate_name"),
        "description": row.text("description"),
        "telecom": telecom(tables, row),
        "address": _address(tables, row),
        "position": _position(tables, row),
    }
    if row.text("name") and row.text("alternate_name"):
        document["alias"] = [row.text("alternate_name")]
    if organization is not None:
        document["managingOrganization"] = {"reference": organization}
    if row.text("location_type") == "virtual":
        document["physicalType"] = {"coding": [{"system": PHYSICAL_TYPE, "code": "vi"}]}
    extensions = list(_accessibility(tables, row))
    kept = [
        {"url": name, "valueString": row.text(name)}
        for name in (
            "location_type",
            "transportation",
            "external_identifier",
            "external_identifier_type",
            "url",
        )
        if row.text(name)
    ]
    if kept:
        extensions.append({"url": KEPT, "extension": kept})
    opening = schedules.read(
        tables, tables.of("schedules", row), tables.of("holiday_schedules", row), zone
    )
    if opening.weekly:
        document["hoursOfOperation"] = [
            {_HOURS.get(name, name): value for name, value in one.items()} for one in opening.weekly
        ]
    extensions += opening.recurring
    if opening.zone is not None:
        extensions.append({"url": TIME_ZONE, "valueCode": opening.zone})
    if opening.words:
        document["availabilityExceptions"] = "\n".join(opening.words)
    document["extension"] = extensions
    return document


_HOURS: Final = {"availableStartTime": "openingTime", "availableEndTime": "closingTime"}


def _address(tables: Tables, row: Row) -> Document:
    """Where it is; of postal addresses only if it says no other."""
    said = tables.of("addresses", row)
    physical = [one for one in said if one.text("address_type") != "postal"]
    for one in [*physical, *said][:1]:
        return {
            "type": "physical" if one in physical else "postal",
            "line": [one.text(name) for name in ("address_1", "address_2") if one.text(name)],
            "city": one.text("city"),
            "district": one.text("region"),
            "state": one.text("state_province"),
            "postalCode": one.text("postal_code"),
            "country": one.text("country"),
        }
    return {}


def _position(tables: Tables, row: Row) -> Document:
    latitude = stated.number(tables, row, "latitude", -90, 90)
    longitude = stated.number(tables, row, "longitude", -180, 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return {}
    return {"latitude": latitude, "longitude": longitude}


def _accessibility(tables: Tables, row: Row) -> list[Document]:
    found = []
    for one in tables.of("accessibility", row):
        words = " ".join(one.text(name) for name in ("description", "details", "accessibility"))
        codings = [
            {"system": ACCESS, "code": code} for code, known in _WORDS if known.search(words)
        ]
        concept: Document = {"text": words.strip()} if words.strip() else {}
        if codings:
            concept["coding"] = codings
        if concept:
            found.append({"url": ACCESSIBILITY, "valueCodeableConcept": concept})
    return found


def area(tables: Tables, row: Row, known_as: str) -> Document:
    """A service area: a boundary where it states one, a postal code, or words."""
    document: Document = {
        "resourceType": "Location",
        "id": known_as,
        "meta": {"profile": [PROFILE]},
        "status": "active",
        "mode": "kind",
        "name": row.text("name") or row.text("description")[:100] or "Service area",
        "description": row.text("description"),
    }
    extent = row.values.get("extent")
    text = msgspec.json.encode(extent).decode() if isinstance(extent, dict) else row.text("extent")
    kind = row.text("extent_type").lower() or ("geojson" if text.startswith("{") else "text")
    if text and kind == "geojson":
        data = base64.b64encode(text.encode()).decode()
        if len(text) > _LARGEST_EXTENT or not boundaries_in(data):
            tables.leave_out(
                row, "extent", "holds no polygon that can be read: give it as GeoJSON (RFC 7946)"
            )
        else:
            attachment = {"contentType": "application/geo+json", "data": data}
            document["extension"] = [{"url": BOUNDARY, "valueAttachment": attachment}]
    elif text and kind in ("topojson", "kml"):
        tables.leave_out(row, "extent", f"is {kind}: give it as GeoJSON (RFC 7946)")
    elif _POSTAL.fullmatch(text or row.text("name")):
        document["address"] = {"postalCode": text or row.text("name")}
    return document
