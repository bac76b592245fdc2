"""What a person is served for, or being referred for, already.

http://hl7.org/fhir/us/sdoh-clinicalcare (program enrollment status)

Evidence is what the organization that asks may see: an enrolment Observation, an open referral of
another. What is sensitive for domestic violence is neither looked for nor found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.r4.interval import parse_instant
from coordhub.referral.matching import Code, Received
from coordhub.referral.same_kind import SDOHCC
from coordhub.referral.wanted import codes, wanted
from coordhub.store import duplicates
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

Document = Mapping[str, Any]

ENROLLED: Final[Mapping[str, str]] = {
    "enrolled": "already-enrolled",
    "not-enrolled-on-waitlist": "on-waiting-list",
}
"""Value of the Observation -> the finding."""

OPEN_REFERRAL: Final = "open-referral"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """evidence: an Observation, or the ServiceRequest of another referral. service: `HealthcareService/id`."""

    code: str
    evidence: Version
    since: datetime | None = None
    service: str | None = None
    program: frozenset[Code] = frozenset()


async def found(
    conn: Connection,
    viewer: Viewer,
    request: Document,
    subject: int,
    *,
    base: str,
    now: datetime,
    itself: int | None = None,
) -> list[Duplicate]:
    """Of the patient `subject`, the newest evidence for each service and of each referral, as viewer sees it.

    itself: rid of the request, where it is stored.
    """
    asked = wanted(request, None, now)
    if asked.theirs or not asked.kinds:
        return []
    enrolments = await duplicates.enrolments(
        conn, viewer, subject, [(SDOHCC, code) for code in (*ENROLLED, "not-enrolled")]
    )
    referrals = await duplicates.open_referrals(conn, viewer, subject, asked.kinds, itself)
    return [
        *_enrolled(enrolments, base),
        *(Duplicate(OPEN_REFERRAL, one.version, one.since) for one in referrals),
    ]


def received(evidence: list[Duplicate]) -> Received:
    """What this says to who matches."""
    return Received(
        services={one.service: one.code for one in evidence if one.service is not None},
        programs={
            program: one.code for one in evidence if one.service is None for program in one.program
        },
        referred=any(one.code == OPEN_REFERRAL for one in evidence),
    )


def _enrolled(versions: list[Version], base: str) -> Iterator[Duplicate]:
    """By service, or else program, what was said last."""
    last: dict[object, tuple[datetime, int, Duplicate | None]] = {}
    for version in versions:
        assert version.body is not None
        document = fhir_json.parse(version.body.encode())
        stated = {
            code for system, code in codes(document.get("valueCodeableConcept")) if system == SDOHCC
        }
        since = _since(document)
        program = frozenset(codes(document.get("code")))
        code = next((ENROLLED[one] for one in sorted(stated) if one in ENROLLED), None)
        for about in _services(document, base) or [None]:
            key = about or program
            at = (since or version.updated, version.rid)
            if key not in last or at > last[key][:2]:
                told = None if code is None else Duplicate(code, version, since, about, program)
                last[key] = (*at, told)
    yield from (told for *_, told in last.values() if told is not None)


def _services(document: Document, base: str) -> list[str | None]:
    named = [
        reference.parse_element(one, base=base)
        for one in document.get("focus") or ()
        if isinstance(one, dict)
    ]
    return [
        one.local
        for one in named
        if one is not None and one.local is not None and one.type == "HealthcareService"
    ]


def _since(document: Document) -> datetime | None:
    """When it began: of a Period its start."""
    period = document.get("effectivePeriod")
    text = document.get("effectiveDateTime") or (
        period.get("start") if isinstance(period, Mapping) else None
    )
    stated = parse_instant(text) if isinstance(text, str) else None
    return None if stated is None else stated.low
