"""Who stands in for a recipient while it is away, as the directory says.

http://hl7.org/fhir/R4/practitionerrole.html, http://hl7.org/fhir/R4/healthcareservice.html

A PractitionerRole or HealthcareService says by `notAvailable.during` when it is away, and in the same
element by the extension DEPUTY who stands in for it then. Who stands in may be away as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.directory import services
from coordhub.r4 import interval
from coordhub.store.engine import Connection

DEPUTY: Final = "urn:coordhub:deputy"
"""Extension of `notAvailable`: `valueReference` to whoever stands in, an entry of the directory."""

_LONGEST: Final = 3
"""How many may be away one after the other."""


@dataclass(frozen=True, slots=True)
class Deputy:
    """address: `Type/id`. organization: rid of the one behind it. until: when the absence ends; None: not known."""

    address: str
    organization: int
    until: datetime | None


async def standing_in(conn: Connection, text: str, base: str, now: datetime) -> Deputy | None:
    """Who stands in for `text` (`Type/id`) now; None while it is there, or nobody is named."""
    until: datetime | None = None
    seen: list[str] = [text]
    for _ in range(_LONGEST):
        found = await services.entry(conn, seen[-1], base)
        absence = _absence(found[1], now) if found is not None else None
        if absence is None:
            break
        deputy, end = absence
        until = end if until is None or (end is not None and end < until) else until
        if deputy in seen:
            return None
        seen.append(deputy)
    if len(seen) == 1:
        return None
    behind = await services.recipient(conn, seen[-1], base)
    return Deputy(seen[-1], behind.organization.rid, until) if behind is not None else None


def _absence(document: dict[str, Any], now: datetime) -> tuple[str, datetime | None] | None:
    """The deputy that is named for now, and when the absence ends."""
    for one in document.get("notAvailable") or ():
        during = one.get("during")
        span = interval.parse_period(during) if isinstance(during, dict) else None
        if span is not None and not span.low <= now < span.high:
            continue
        for extension in one.get("extension") or ():
            if extension.get("url") == DEPUTY:
                for text in services.references(extension.get("valueReference")):
                    known = span is not None and span.high != interval.END
                    return text, span.high if span is not None and known else None
    return None
