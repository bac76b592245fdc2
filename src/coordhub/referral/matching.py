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
from typing import Final, Literal

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
class Wanted:
    """What a referral asks for, and what of the person bears on who can give it.

    kinds: any of these codes is what is asked for. theirs: it is what victim service providers are for.
    domains: of SDOH Clinical Care. languages: as preferred. born, gender: None, "": not known. facts: codes
    known of the person. access: codes of what the place must have. urgent: needed at once.
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
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Years:
    """Ages that are served, both ends included; None: open."""

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What was said of it and when; source: directory (its own statement) or rejection (the hub's observation)."""

    status: str
    since: datetime
    source: str = "directory"


@dataclass(frozen=True, slots=True)
class Record:
    """How this recipient answered so far. waited: from being asked to the acceptance, together."""

    asked: int = 0
    answered: int = 0
    accepted: int = 0
    waited: timedelta = timedelta()
    lately: int = 0


@dataclass(frozen=True, slots=True)
class Offered:
    """A service as the directory has it, and what the hub knows beside it.

    apart: of a victim service provider. kinds: empty: it does not say. areas: None: it does not say.
    at: where it is given. languages: None: it does not say. refers_by: codes of the ways it takes
    referrals; empty: it does not say. agreed: whether it takes referrals of the sender; None: of anyone.
    away: since when nothing reaches it. consent: permitted, denied or unsaid by the patient.
    """

    recipient: str
    organization: int
    active: bool = True
    apart: bool = False
    kinds: frozenset[Code] = frozenset()
    areas: tuple[Place, ...] | None = None
    virtual: bool = False
    at: tuple[Point, ...] = ()
    years: Years | None = None
    genders: frozenset[str] = frozenset()
    conditions: frozenset[Code] = frozenset()
    languages: frozenset[str] | None = None
    interpreters: bool = False
    access: frozenset[str] = frozenset()
    refers_by: frozenset[str] = frozenset()
    capacity: Capacity | None = None
    agreed: bool | None = None
    away: datetime | None = None
    consent: str = "permitted"
    record: Record = field(default_factory=Record)


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


def ranked(wanted: Wanted, offers: Iterable[Offered], weights: Weights) -> list[Prospect]:
    """Who is in, best first, then who is out; the same whatever the order of `offers`.

    A victim service provider is no match for what others give: then it is not among them at all.
    """
    found = [judge(wanted, one, weights) for one in offers if not one.apart or _theirs(wanted, one)]
    return sorted(found, key=lambda one: (one.verdict != "in", -one.score, one.recipient))


def judge(wanted: Wanted, offered: Offered, weights: Weights) -> Prospect:
    findings = tuple(one for check in _CHECKS for one in check(wanted, offered, weights))
    out = any(one.outcome == "failed" for one in findings)
    return Prospect(
        offered.organization,
        offered.recipient,
        "out" if out else "in",
        _score(wanted, offered, findings, weights),
        findings,
    )


def _theirs(wanted: Wanted, offered: Offered) -> bool:
    return wanted.theirs and bool(wanted.kinds & offered.kinds)


# ---- the criteria


def _kind(wanted: Wanted, offered: Offered, _: Weights) -> Iterator[Finding]:
    if not offered.kinds:
        yield Finding("kind", "unknown", "kind-not-stated")
    elif wanted.kinds & offered.kinds:
        yield Finding("kind", "met", "same-kind")
    else:
        yield Finding("kind", "failed", "wrong-service")


def _active(_: Wanted, offered: Offered, __: Weights) -> Iterator[Finding]:
    if not offered.active:
        yield Finding("active", "failed", "inactive")


def _area(wanted: Wanted, offered: Offered, _: Weights) -> Iterator[Finding]:
    if offered.areas is None:
        yield Finding("area", "unknown", "area-not-stated")
        return
    found = {within(wanted.place, one, widely=offered.virtual) for one in offered.areas}
    if True in found:
        yield Finding("area", "met", "served-from-afar" if offered.virtual else "in-area")
    elif None in found:
        stated = wanted.place.says_something
        yield Finding("area", "unknown", "area-uncertain" if stated else "address-not-known")
    else:
        yield Finding("area", "failed", "out-of-area")


def _eligibility(wanted: Wanted, offered: Offered, _: Weights) -> Iterator[Finding]:
    if offered.years is not None:
        yield Finding("age", *_age(wanted, offered.years))
    if offered.genders:
        if not wanted.gender or wanted.gender == "unknown":
            yield Finding("sex", "unknown", "sex-not-known")
        elif wanted.gender in offered.genders:
            yield Finding("sex", "met", "sex-served")
        else:
            yield Finding("sex", "failed", "sex-not-served")
    if offered.conditions:
        if offered.conditions <= wanted.facts:
            yield Finding("eligibility", "met", "eligible")
        else:
            yield Finding("eligibility", "unknown", "eligibility-not-known")


def _age(wanted: Wanted, years: Years) -> tuple[Outcome, str]:
    if wanted.born is None:
        return "unknown", "age-not-known"
    today = wanted.now.date()
    age = (
        today.year
        - wanted.born.year
        - ((today.month, today.day) < (wanted.born.month, wanted.born.day))
    )
    if years.least is not None and age < years.least:
        return "failed", "below-minimum-age"
    if years.most is not None and age > years.most:
        return "failed", "above-maximum-age"
    return "met", "age-served"


def _language(wanted: Wanted, offered: Offered, _: Weights) -> Iterator[Finding]:
    if not wanted.languages:
        if wanted.interpreter:
            yield Finding("language", "unknown", "language-not-known")
        return
    if offered.languages is not None and any(
        _speaks(offered.languages, one) for one in wanted.languages
    ):
        yield Finding("language", "met", "spoken")
    elif offered.interpreters:
        yield Finding("language", "met", "interpreted")
    elif offered.languages is None:
        yield Finding("language", "unknown", "language-not-stated")
    else:
        yield Finding("language", "failed", "language-not-offered")


def _speaks(offered: Collection[str], language: str) -> bool:
    """`es-MX` is understood where `es` is spoken, and `es` where `es-US` is."""
    primary = language.partition("-")[0]
    return any(one == language or one.partition("-")[0] == primary for one in offered)


def _access(wanted: Wanted, offered: Offered, _: Weights) -> Iterator[Finding]:
    if wanted.access:
        if wanted.access <= offered.access:
            yield Finding("access", "met", "accessible")
        else:
            yield Finding("access", "unknown", "access-not-stated")


def _capacity(wanted: Wanted, offered: Offered, weights: Weights) -> Iterator[Finding]:
    if offered.apart:
        return
    stated = offered.capacity
    if stated is None:
        yield Finding("capacity", "unknown", "capacity-not-stated")
    elif wanted.now - stated.since > _lasts(wanted, stated, weights):
        yield Finding("capacity", "unknown", "capacity-out-of-date")
    elif stated.status == NO_CAPACITY:
        code = "no-capacity-rejected" if stated.source == "rejection" else NO_CAPACITY
        yield Finding("capacity", "failed", code)
    elif stated.status == "capacity":
        yield Finding("capacity", "met", "capacity")
    elif stated.status in weights.capacity:
        yield Finding("capacity", "unknown", stated.status)
    else:
        yield Finding("capacity", "unknown", "capacity-not-stated")


def _lasts(wanted: Wanted, stated: Capacity, weights: Weights) -> timedelta:
    """How long what was said of the capacity counts."""
    if stated.source == "rejection":
        return timedelta(hours=weights.rejection_hours)
    by_kind = weights.capacity_hours_by_kind
    return timedelta(
        hours=min(
            (by_kind[one] for one in wanted.domains if one in by_kind),
            default=weights.capacity_hours,
        )
    )


def _sender(_: Wanted, offered: Offered, __: Weights) -> Iterator[Finding]:
    if offered.agreed is False:
        yield Finding("agreement", "failed", "no-agreement")
    elif offered.agreed:
        yield Finding("agreement", "met", "agreed")
    if offered.refers_by and not offered.refers_by & _BY_WIRE:
        yield Finding("referral-method", "failed", "not-electronically")


_BY_WIRE: Final = frozenset({"elec", "semail"})


def _patient(_: Wanted, offered: Offered, __: Weights) -> Iterator[Finding]:
    if offered.consent == "denied":
        yield Finding("consent", "failed", "patient-declined")
    elif offered.consent != "permitted":
        yield Finding("consent", "failed", "consent-missing")


def _reachable(wanted: Wanted, offered: Offered, weights: Weights) -> Iterator[Finding]:
    if offered.away is None or offered.apart:
        return
    most = weights.unreachable_minutes_urgent if wanted.urgent else weights.unreachable_minutes
    if wanted.now - offered.away > timedelta(minutes=most):
        yield Finding("reachable", "failed", "unreachable")


_CHECKS: Final = (
    _kind, _active, _area, _eligibility, _language, _access, _capacity, _sender, _patient, _reachable,
)  # fmt: skip

CRITERIA: Final[Mapping[str, str]] = {
    "kind": "Kind of service",
    "active": "In operation",
    "area": "Service area",
    "age": "Age",
    "sex": "Sex",
    "eligibility": "Other conditions",
    "language": "Language",
    "access": "Accessibility",
    "capacity": "Capacity",
    "agreement": "Takes referrals of the sender",
    "referral-method": "Takes referrals electronically",
    "consent": "The patient's consent",
    "reachable": "Reachable now",
}
"""Finding.criterion -> what it is about."""


# ---- the score


def _score(
    wanted: Wanted, offered: Offered, findings: Collection[Finding], weights: Weights
) -> float:
    """The weighted mean of the parts, 0 to 1."""
    parts = dict(_parts(wanted, offered, findings, weights))
    total = sum(weights.weights.get(name, 0.0) for name in parts)
    if not total:
        return 0.0
    score = sum(weights.weights.get(name, 0.0) * value for name, value in parts.items()) / total
    return round(score, 6)


def _parts(
    wanted: Wanted, offered: Offered, findings: Collection[Finding], weights: Weights
) -> Iterator[tuple[str, float]]:
    by_criterion = {one.criterion: one for one in findings}
    language = by_criterion.get("language")
    if language is not None:
        yield "language", weights.language.get(language.code, weights.language["unknown"])
    unknown = sum(one.outcome == "unknown" for one in findings)
    yield "certainty", 1 - unknown / len(findings)
    if offered.apart:  # no distance, no statistics
        return
    capacity = by_criterion["capacity"]
    yield "capacity", _capacity_value(capacity, weights)
    here = wanted.place.point
    if here is not None and offered.at and not offered.virtual:
        nearest = min(distance_km(here, one) for one in offered.at)
        yield "distance", weights.half_distance_km / (weights.half_distance_km + nearest)
    record = offered.record
    if record.answered >= weights.record_least:
        expected = weights.record_expected * weights.record_least
        yield (
            "acceptance",
            (record.accepted + expected) / (record.answered + weights.record_least),
        )
    else:
        yield "acceptance", weights.record_expected
    if record.accepted >= weights.record_least:
        hours = record.waited.total_seconds() / 3600 / record.accepted
        yield (
            "promptness",
            weights.half_promptness_hours / (weights.half_promptness_hours + hours),
        )
    yield "load", weights.half_load / (weights.half_load + record.lately)


def _capacity_value(finding: Finding, weights: Weights) -> float:
    if finding.outcome == "failed":
        return weights.capacity.get(NO_CAPACITY, 0.0)
    return weights.capacity.get(finding.code, weights.capacity["unknown"])
