"""Telephones, mail and web of a row, and the people named there.

http://hl7.org/fhir/R4/datatypes.html#ContactPoint, http://hl7.org/fhir/us/hsds (org-contactinfo)
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.directory.hsds import stated
from coordhub.directory.hsds.rows import Row, Tables

_SYSTEMS: Final = {
    "fax": "fax", "pager": "pager", "text": "sms", "sms": "sms", "textphone": "sms", "video": "other",
}  # fmt: skip
CONTACT: Final = "http://hl7.org/fhir/us/hsds/StructureDefinition/org-contactinfo"


def telecom(tables: Tables, row: Row) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in tables.of("phones", row):
        number = one.text("number").strip('"').strip()
        if not number:
            tables.leave_out(one, "number", "is missing: give the number, or leave the row out")
            continue
        if one.text("extension"):
            number += f" ext. {one.text('extension')}"
        found.append(
            {
                "system": _SYSTEMS.get(one.text("type").lower(), "phone"),
                "value": number,
                "use": "work",
            }
        )
    if row.text("email"):
        found.append({"system": "email", "value": row.text("email"), "use": "work"})
    if row.table != "locations":  # whose `url` identifies it
        addresses = [stated.address(tables, row, name) for name in ("url", "website")]
        found += [{"system": "url", "value": one, "use": "work"} for one in addresses if one]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def contacts(tables: Tables, row: Row) -> list[dict[str, Any]]:
    """Of an organization."""
    found = []
    for one in tables.of("contacts", row):
        points = telecom(tables, one)
        said = [
            {"url": name, "valueString": one.text(name)}
            for name in ("title", "department", "email")
            if one.text(name)
        ]
        if points and said:
            points[0] = {**points[0], "extension": [{"url": CONTACT, "extension": said}]}
        contact: dict[str, Any] = {"telecom": points} if points else {}
        if one.text("name"):
            contact["name"] = {"text": one.text("name")}
        if contact:
            found.append(contact)
    return found
