"""Who can help: what is wanted against what a service offers, criterion by criterion, and in which order.

http://hl7.org/fhir/R4/healthcareservice.html
http://hl7.org/fhir/us/sdoh-clinicalcare (capacity status)

Each criterion is met, failed or unknown, with a code that says why. What failed rules a service out;
what is not known does not: such a service stays, flagged to be confirmed with it. A score, whose
weights are data (weights.json), orders who is left. Nothing that the law protects is part of the score:
sex and age only rule out where a service is restricted to some.

A finding holds codes, and nothing of the person's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final, Literal

from coordhub.referral.calendar import Calendar
from coordhub.referral.places import Place, Point, distance_km, within
from coordhub.referral.weights import Weights

Code = tuple[str, str]
"""(system, code)"""

Outcome = Literal["met", "failed", "unknown"]
Verdict = Literal["in", "out"]

NO_CAPACITY: Final = "no-capacity"


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion and how it came out. Codes only."""

    criterion: str
    outcome: Outcome
    code: str


@dataclass(frozen=True, slots=True)
class Received:
    """What the person has already, as far as who asks may see it: code of the finding.

    services: by `HealthcareService/id`. programs: by code of the program. referred: another referral for
    the same is open.
    """

    services: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[Code, str] = field(default_factory=dict)
    referred: bool = False

    def warnings(self, recipient: str, kinds: Iterable[Code] = ()) -> tuple[Finding, ...]:
        """Of one recipient; kinds: codes of its programs. Who refers may have a reason to go on."""
        code = self.services.get(recipient)
        if code is None and self.programs:
            code = next((self.programs[one] for one in kinds if one in self.programs), None)
        if code is None and self.referred:
            code = "open-referral"
        return () if code is None else _found("duplicate", "unknown", code)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a referral asks for, and what of the person bears on who can give it.

    kinds: any of these codes is what is asked for. theirs: it is what victim service providers are for.
    domains: of SDOH Clinical Care. languages: as preferred. born, gender: None, "": not known. facts: codes
    known of the person. access: codes of what the place must have. by: when it has to be open before; None:
    whenever. urgent: needed at once.
    """

    kinds: frozenset[Code]
    now: datetime
    domains: frozenset[str] = frozenset()
    theirs: bool = False
    place: Place = field(default_factory=Place)
    languages: tuple[str, ...] = ()
    interpreter: bool = False
    born: date | None = None
    gender: str = ""
    facts: frozenset[Code] = frozenset()
    access: frozenset[str] = frozenset()
    by: datetime | None = None
    urgent: bool = False
    received: Received = Received()


@dataclass(frozen=True, slots=True)
class Years:
    """Ages that are served, both ends included; None: open."""

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a service says of its capacity, and since when."""

    status: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """How this organization answered so far.

    waited: from being asked to the acceptance, together. lately: how often it was asked in these days.
    """

    answered: int = 0
    accepted: int = 0
    waited: timedelta = timedelta()
    lately: int = 0


@dataclass(frozen=True, slots=True)
class Offered:
    """A service as the directory has it.

    apart: of a victim service provider. kinds: empty: it does not say. areas: None: it does not say.
    at: where it is given. hours: None: it does not say. by_appointment: nobody is served who just comes.
    languages: None: it does not say. refers_by: codes of the ways it takes referrals; empty: it does not
    say.
    """

    recipient: str
    organization: int
    active: bool = True
    apart: bool = False
    kinds: frozenset[Code] = frozenset()
    areas: tuple[Place, ...] | None = None
    virtual: bool = False
    at: tuple[Point, ...] = ()
    hours: Calendar | None = None
    by_appointment: bool = False
    years: Years | None = None
    genders: frozenset[str] = frozenset()
    conditions: frozenset[Code] = frozenset()
    languages: frozenset[str] | None = None
    interpreters: bool = False
    access: frozenset[str] = frozenset()
    refers_by: frozenset[str] = frozenset()
    capacity: Capacity | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the hub knows of a service beside the directory's text.

    active: whether its organization is. agreed: whether it takes referrals of the sender; None: of
    anyone. away: since when nothing reaches it. consent: permitted, denied or unsaid by the patient.
    refused: the last time that it refused for want of capacity.
    """

    active: bool = True
    agreed: bool | None = None
    away: datetime | None = None
    consent: str = "permitted"
    refused: datetime | None = None
    record: Record = Record()


Offer = tuple[Offered, Known]


@dataclass(frozen=True, slots=True)
class Prospect:
    """Who could serve a need. organization: rid. recipient: `HealthcareService/id`. score: 0 to 1."""

    organization: int
    recipient: str
    verdict: Verdict
    score: float
    findings: tuple[Finding, ...] = ()

    @property
    def confirm(self) -> bool:
        """Whether something about it has to be asked."""
        return any(one.outcome == "unknown" for one in self.findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Codes of why it is out."""
        return tuple(one.code for one in self.findings if one.outcome == "failed")


def ranked(wanted: Wanted, offers: Iterable[Offer], weights: Weights) -> list[Prospect]:
    """Who is in, best first, then who is out; the same whatever the order of `offers`.

    A victim service provider is no match for what others give: then it is not among them at all.
    """
    found = [
        judge(wanted, offered, known, weights)
        for offered, known in offers
        if not offered.apart or _theirs(wanted, offered)
    ]
    return sorted(found, key=lambda one: (one.verdict != "in", -one.score, one.recipient))


def judge(wanted: Wanted, offered: Offered, known: Known, weights: Weights) -> Prospect:
    findings = tuple(one for check in _CHECKS for one in check(wanted, offered, known, weights))
    out = any(one.outcome == "failed" for one in findings)
    return Prospect(
        offered.organization,
        offered.recipient,
        "out" if out else "in",
        _score(wanted, offered, known, findings, weights),
        findings,
    )


def _theirs(wanted: Wanted, offered: Offered) -> bool:
    return wanted.theirs and bool(wanted.kinds & offered.kinds)


# ---- the criteria: each gives its findings, none where it does not apply

Findings = tuple[Finding, ...]


@cache
def _found(criterion: str, outcome: Outcome, code: str) -> tuple[Finding]:
    return (Finding(criterion, outcome, code),)


def _kind(wanted: Wanted, offered: Offered, _: Known, __: Weights) -> Findings:
    if not offered.kinds:
        return _found("kind", "unknown", "kind-not-stated")
    if wanted.kinds.isdisjoint(offered.kinds):
        return _found("kind", "failed", "wrong-service")
    return _found("kind", "met", "same-kind")


def _active(_: Wanted, offered: Offered, known: Known, __: Weights) -> Findings:
    active = offered.active and known.active
    return () if active else _found("active", "failed", "inactive")


def _area(wanted: Wanted, offered: Offered, _: Known, __: Weights) -> Findings:
    if offered.areas is None:
        return _found("area", "unknown", "area-not-stated")
    uncertain = False
    for area in offered.areas:
        inside = within(wanted.place, area, widely=offered.virtual)
        if inside:
            return _found("area", "met", "served-from-afar" if offered.virtual else "in-area")
        uncertain = uncertain or inside is None
    if not uncertain:
        return _found("area", "failed", "out-of-area")
    stated = wanted.place.says_something
    return _found("area", "unknown", "area-uncertain" if stated else "address-not-known")


def _eligibility(wanted: Wanted, offered: Offered, _: Known, __: Weights) -> Findings:
    return (
        *(_age(wanted, offered.years) if offered.years is not None else ()),
        *(_sex(wanted, offered) if offered.genders else ()),
        *(_conditions(wanted, offered) if offered.conditions else ()),
    )


def _age(wanted: Wanted, years: Years) -> Findings:
    if wanted.born is None:
        return _found("age", "unknown", "age-not-known")
    today, born = wanted.now.date(), wanted.born
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if years.least is not None and age < years.least:
        return _found("age", "failed", "below-minimum-age")
    if years.most is not None and age > years.most:
        return _found("age", "failed", "above-maximum-age")
    return _found("age", "met", "age-served")


def _sex(wanted: Wanted, offered: Offered) -> Findings:
    if not wanted.gender or wanted.gender == "unknown":
        return _found("sex", "unknown", "sex-not-known")
    if wanted.gender in offered.genders:
        return _found("sex", "met", "sex-served")
    return _found("sex", "failed", "sex-not-served")


def _conditions(wanted: Wanted, offered: Offered) -> Findings:
    if offered.conditions <= wanted.facts:
        return _found("eligibility", "met", "eligible")
    return _found("eligibility", "unknown", "eligibility-not-known")


def _language(wanted: Wanted, offered: Offered, _: Known, __: Weights) -> Findings:
    if not wanted.languages:
        return _found("language", "unknown", "language-not-known") if wanted.interpreter else ()
    if offered.languages is not None and any(
        _speaks(offered.languages, one) for one in wanted.languages
    ):
        return _found("language", "met", "spoken")
    if offered.interpreters:
        return _found("language", "met", "interpreted")
    if offered.languages is None:
        return _found("language", "unknown", "language-not-stated")
    return _found("language", "failed", "language-not-offered")


def _speaks(offered: Collection[str], language: str) -> bool:
    """`es-MX` is understood where `es` is spoken, and `es` where `es-US` is."""
    if language in offered:
        return True
    primary = language.partition("-")[0]
    return any(one.partition("-")[0] == primary for one in offered)


def _hours(wanted: Wanted, offered: Offered, _: Known, weights: Weights) -> Findings:
    """In the service's own time zone: open in time, by when it is needed."""
    end = wanted.by
    if wanted.urgent:
        soon = wanted.now + timedelta(hours=weights.urgent_hours)
        end = min(end, soon) if end is not None else soon
    if end is None:
        return ()
    if offered.hours is None:
        return _found("hours", "unknown", "hours-not-stated")
    if offered.hours.opening(wanted.now) >= max(end, wanted.now + timedelta(seconds=1)):
        return _found("hours", "failed", "closed")
    if wanted.urgent and offered.by_appointment:
        return _found("hours", "unknown", "by-appointment")
    return _found("hours", "met", "open")


def _access(wanted: Wanted, offered: Offered, _: Known, __: Weights) -> Findings:
    if not wanted.access:
        return ()
    if wanted.access <= offered.access:
        return _found("access", "met", "accessible")
    return _found("access", "unknown", "access-not-stated")


def _capacity(wanted: Wanted, offered: Offered, known: Known, weights: Weights) -> Findings:
    """What was said last counts: by the service, or by its refusal; until that is too old."""
    if offered.apart:
        return ()
    stated = offered.capacity
    if known.refused is not None and (stated is None or stated.since <= known.refused):
        if wanted.now - known.refused < timedelta(hours=weights.rejection_hours):
            return _found("capacity", "failed", "no-capacity-refused")
        return _found("capacity", "unknown", "capacity-out-of-date")
    if stated is None or stated.status not in weights.capacity:
        return _found("capacity", "unknown", "capacity-not-stated")
    if wanted.now - stated.since > _lasts(wanted, weights):
        return _found("capacity", "unknown", "capacity-out-of-date")
    if stated.status == NO_CAPACITY:
        return _found("capacity", "failed", NO_CAPACITY)
    if stated.status == "capacity":
        return _found("capacity", "met", "capacity")
    return _found("capacity", "unknown", stated.status)


def _lasts(wanted: Wanted, weights: Weights) -> timedelta:
    """How long a service's own word on its capacity counts."""
    by_kind = weights.capacity_hours_by_kind
    hours = [by_kind[one] for one in wanted.domains if one in by_kind]
    return timedelta(hours=min(hours, default=weights.capacity_hours))


def _sender(_: Wanted, offered: Offered, known: Known, __: Weights) -> Findings:
    found: Findings = ()
    if known.agreed is False:
        found = _found("agreement", "failed", "no-agreement")
    elif known.agreed:
        found = _found("agreement", "met", "agreed")
    if offered.refers_by and _BY_WIRE.isdisjoint(offered.refers_by):
        found = (*found, *_found("referral-method", "failed", "not-electronically"))
    return found


_BY_WIRE: Final = frozenset({"elec", "semail"})


def _patient(_: Wanted, __: Offered, known: Known, ___: Weights) -> Findings:
    if known.consent == "permitted":
        return ()
    if known.consent == "denied":
        return _found("consent", "failed", "patient-declined")
    return _found("consent", "failed", "consent-missing")


def _reachable(wanted: Wanted, offered: Offered, known: Known, weights: Weights) -> Findings:
    if known.away is None or offered.apart:
        return ()
    most = weights.unreachable_minutes_urgent if wanted.urgent else weights.unreachable_minutes
    if wanted.now - known.away > timedelta(minutes=most):
        return _found("reachable", "failed", "unreachable")
    return ()


def _duplicate(wanted: Wanted, offered: Offered, _: Known, __: Weights) -> Findings:
    if offered.apart:
        return ()
    return wanted.received.warnings(offered.recipient, offered.kinds)


_CHECKS: Final = (
    _kind, _active, _area, _eligibility, _language, _hours, _access, _capacity, _sender, _patient,
    _reachable, _duplicate,
)  # fmt: skip

CRITERIA: Final[Mapping[str, str]] = {
    "kind": "Kind of service",
    "active": "In operation",
    "area": "Service area",
    "age": "Age",
    "sex": "Sex",
    "eligibility": "Other conditions",
    "language": "Language",
    "hours": "Opening hours",
    "access": "Accessibility",
    "capacity": "Capacity",
    "agreement": "Takes referrals of the sender",
    "referral-method": "Takes referrals electronically",
    "consent": "The patient's consent",
    "reachable": "Reachable now",
    "duplicate": "Served or referred already",
}
"""Finding.criterion -> what it is about."""


# ---- the score


def _score(
    wanted: Wanted, offered: Offered, known: Known, findings: Findings, weights: Weights
) -> float:
    """The weighted mean of the parts, 0 to 1."""
    score = total = 0.0
    for name, value in _parts(wanted, offered, known, findings, weights):
        weight = weights.weights.get(name, 0.0)
        score += weight * value
        total += weight
    return round(score / total, 6) if total else 0.0


def _parts(
    wanted: Wanted, offered: Offered, known: Known, findings: Findings, weights: Weights
) -> Iterator[tuple[str, float]]:
    unknown = 0
    for one in findings:
        unknown += one.outcome == "unknown"
        if one.criterion == "language":
            yield "language", weights.language.get(one.code, weights.language["unknown"])
        elif one.criterion == "capacity":
            yield "capacity", _worth(one, weights)
    yield "certainty", 1 - unknown / len(findings)
    if offered.apart:  # no distance, no statistics
        return
    here = wanted.place.point
    if here is not None and offered.at and not offered.virtual:
        nearest = min(distance_km(here, one) for one in offered.at)
        yield "distance", weights.half_distance_km / (weights.half_distance_km + nearest)
    record = known.record
    if record.answered >= weights.record_least:  # few answers weigh as much as what is expected
        expected = weights.record_expected * weights.record_least
        rate = (record.accepted + expected) / (record.answered + weights.record_least)
        yield "acceptance", rate
    else:
        yield "acceptance", weights.record_expected
    if record.accepted >= weights.record_least:
        hours = record.waited.total_seconds() / 3600 / record.accepted
        yield "promptness", weights.half_promptness_hours / (weights.half_promptness_hours + hours)
    yield "load", weights.half_load / (weights.half_load + record.lately)


def _worth(finding: Finding, weights: Weights) -> float:
    if finding.outcome == "failed":
        return weights.capacity.get(NO_CAPACITY, 0.0)
    return weights.capacity.get(finding.code, weights.capacity["unknown"])
