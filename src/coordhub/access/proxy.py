"""What a RelatedPerson may see of the patient it acts for: relationship, age, period.

http://hl7.org/fhir/R4/relatedperson.html, http://terminology.hl7.org/CodeSystem/v3-RoleCode

- Parents and legal representatives of a minor see its record until the 18th birthday; from the age of
  confidentiality on nothing of any sensitivity class.
- Legal representatives of an adult see what is of no sensitivity class.
- Everyone else, and of sensitive content everyone, what a Consent that names the RelatedPerson permits.
- Whatever a Consent says, no proxy ever sees what is labelled with domestic violence, what a victim service
  provider wrote, or the patient's Consents, which say whom it turned to; and one that is inactive, or
  outside of its period, sees nothing.

Pure. Birthdays begin at midnight UTC; of a birthDate without day or month the earliest day counts, and
a patient without birthDate is no minor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from coordhub.r4.interval import BEGINNING, END, parse_instant, parse_period
from coordhub.r4.sensitivity import HIV, PSY, SDV, SEX, SUD, VSP

ROLE_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
PARENTS: Final = frozenset(
    {"PRN", "FTH", "MTH", "NPRN", "NFTH", "NMTH", "ADOPTP", "ADOPTF", "ADOPTM"}
)
REPRESENTATIVES: Final = frozenset({"GUARD", "HPOWATT", "DPOWATT", "POWATT"})
OF_AGE: Final = 18

OF_CHILDREN: Final = SUD | HIV | PSY | SEX
"""Classes that parents see of a child below the age of confidentiality."""

HIDDEN: Final = SDV | VSP
"""Classes that no proxy ever sees."""

HIDDEN_TYPES: Final = ("Consent", "Provenance")
"""Types that no proxy ever sees: they tell of others of whom the record itself may be hidden."""


@dataclass(frozen=True, slots=True)
class Sight:
    """permit: shows what is of no other classes than `covers`. Else nothing is shown that is of one of
    the classes `hides`, or of the `types`; None: nothing at all. until None: while the RelatedPerson stands
    as it is."""

    permit: bool
    since: datetime
    until: datetime | None = None
    covers: int = 0
    hides: int | None = None
    types: tuple[str, ...] | None = None


def sights(
    person: Mapping[str, Any] | None,
    patient: Mapping[str, Any] | None,
    confidential_age: int,
    now: datetime,
) -> Iterator[Sight]:
    """Of a RelatedPerson, as it stands or deleted, towards the Patient; patient None: deleted, or the
    RelatedPerson does not come from who holds the Patient."""
    if person is None or person.get("active") is False:
        yield Sight(False, now)
        return
    period = person.get("period")
    span = parse_period(period) if isinstance(period, Mapping) else None
    low, high = span or (BEGINNING, END)
    if low > now:
        yield Sight(False, now, low)
    if high < END:
        yield Sight(False, max(high, now))
    yield Sight(False, now, hides=HIDDEN)
    yield Sight(False, now, types=HIDDEN_TYPES)
    if patient is None:
        return
    codes = _codes(person)
    since, until = max(low, now), None if high == END else high
    adult = _birthday(patient, OF_AGE)
    if adult is not None and adult > now:
        if codes & (PARENTS | REPRESENTATIVES):
            confidential = _birthday(patient, confidential_age)
            assert confidential is not None
            yield from _permit(since, _first(until, confidential), OF_CHILDREN)
            yield from _permit(since, _first(until, adult), 0)
    elif codes & REPRESENTATIVES:
        yield from _permit(since, until, 0)


def _permit(since: datetime, until: datetime | None, covers: int) -> Iterator[Sight]:
    if until is None or until > since:
        yield Sight(True, since, until, covers)


def _first(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)


def _codes(person: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        str(coding.get("code"))
        for concept in person.get("relationship") or ()
        for coding in concept.get("coding") or ()
        if coding.get("system") == ROLE_CODE
    )


def _birthday(patient: Mapping[str, Any], years: int) -> datetime | None:
    """The first instant of being so old; None if the birthDate is not known."""
    stated = patient.get("birthDate")
    span = parse_instant(stated) if isinstance(stated, str) else None
    if span is None or span.low.year + years > 9999:
        return None
    born = span.low
    day = 28 if (born.month, born.day) == (2, 29) else born.day
    return datetime(born.year + years, born.month, day, tzinfo=UTC)
