"""The calendar of a recipient, as the directory has it.

http://hl7.org/fhir/R4/healthcareservice.html, http://hl7.org/fhir/R4/location.html
"""

from __future__ import annotations

from typing import Any

from coordhub.directory import services
from coordhub.referral import hours
from coordhub.referral.calendar import Calendar
from coordhub.store.engine import Connection

_PLACES = ("location",)
_ORGANIZATION = ("providedBy", "organization", "managingOrganization")


async def calendar_of(conn: Connection, text: str, base: str, default: Calendar) -> Calendar:
    """Of `text` (`Type/id`) as addressed, then of its places, then of its organization; else `default`."""
    found = await services.entry(conn, text, base)
    if found is None:
        return default
    _, document = found
    entries: list[dict[str, Any]] = [document]
    for name in (*_PLACES, *_ORGANIZATION):
        for further in services.references(document.get(name)):
            one = await services.entry(conn, further, base)
            if one is not None:
                entries.append(one[1])
    return hours.calendar_of(entries, default)
