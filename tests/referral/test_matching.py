"""Each criterion by itself, what unknown does, and the order of who is left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.referral import weights as weighing
from coordhub.referral.calendar import WHOLE_DAY, Calendar
from coordhub.referral.hours import holiday
from coordhub.referral.matching import (
    CRITERIA,
    Capacity,
    Finding,
    Known,
    Offer,
    Offered,
    Prospect,
    Received,
    Record,
    Wanted,
    Years,
    judge,
    ranked,
)
from coordhub.referral.places import Place, Point
from coordhub.referral.same_kind import SDOHCC

NOW = datetime(2026, 11, 3, 18, 0, tzinfo=UTC)
FOOD = (SDOHCC, "food-insecurity")
VIOLENCE = (SDOHCC, "intimate-partner-violence")
HERE = Place(postal_code="74101", state="ok", country="us", point=Point(36.15, -95.99))
WEIGHTS = weighing.read()
VETERAN = ("urn:example:facts", "veteran")

WANTED = Wanted(
    frozenset({FOOD}),
    NOW,
    domains=frozenset({"food-insecurity"}),
    place=HERE,
    languages=("es",),
    born=date(1961, 4, 2),
    gender="female",
    access=frozenset({"adacomp"}),
    facts=frozenset({VETERAN}),
    by=NOW + timedelta(days=9),
)
OFFERED = Offered(
    "HealthcareService/best",
    1,
    kinds=frozenset({FOOD}),
    areas=(Place(postal_code="74101"),),
    at=(Point(36.15, -95.99),),
    years=Years(18, 99),
    genders=frozenset({"female"}),
    conditions=frozenset({VETERAN}),
    languages=frozenset({"es"}),
    access=frozenset({"adacomp"}),
    refers_by=frozenset({"elec"}),
    capacity=Capacity("capacity", NOW - timedelta(hours=1)),
    hours=Calendar(ZoneInfo("America/Chicago"), (((9 * 60, 17 * 60),),) * 7),
)
KNOWN = Known(agreed=True)
AWAY = Calendar(
    ZoneInfo("UTC"),
    (WHOLE_DAY,) * 7,
    tuple(holiday((NOW + timedelta(days=day)).date().isoformat()) for day in range(20)),
)


def look(wanted: Wanted = WANTED, offered: Offered = OFFERED, **known: Any) -> Prospect:
    return judge(wanted, offered, replace(KNOWN, **known), WEIGHTS)


def order_of(wanted: Wanted, *offers: Offered | Offer) -> list[str]:
    found = ranked(
        wanted, [one if isinstance(one, tuple) else (one, KNOWN) for one in offers], WEIGHTS
    )
    return [one.recipient for one in found]


FAILS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "kind": ({"kinds": frozenset({VIOLENCE})}, {}, "wrong-service"),
    "active": ({"active": False}, {}, "inactive"),
    "area": ({"areas": (Place(postal_code="90210"),)}, {}, "out-of-area"),
    "age": ({"years": Years(most=59)}, {}, "above-maximum-age"),
    "sex": ({"genders": frozenset({"male"})}, {}, "sex-not-served"),
    "language": ({"languages": frozenset({"en", "ru"})}, {}, "language-not-offered"),
    "hours": (
        {"hours": AWAY},
        {},
        "closed",
    ),
    "capacity": ({"capacity": Capacity("no-capacity", NOW)}, {}, "no-capacity"),
    "capacity by refusal": ({}, {"refused": NOW - timedelta(minutes=9)}, "no-capacity-refused"),
    "agreement": ({}, {"agreed": False}, "no-agreement"),
    "referral-method": ({"refers_by": frozenset({"phone", "fax"})}, {}, "not-electronically"),
    "consent": ({}, {"consent": "denied"}, "patient-declined"),
    "consent not given": ({}, {"consent": "unsaid"}, "consent-missing"),
    "reachable": ({}, {"away": NOW - timedelta(hours=5)}, "unreachable"),
}  # fmt: skip
UNKNOWN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "kind": ({"kinds": frozenset()}, {}, "kind-not-stated"),
    "area": ({"areas": None}, {}, "area-not-stated"),
    "area of someone nowhere": ({}, {"place": Place()}, "address-not-known"),
    "age": ({}, {"born": None}, "age-not-known"),
    "sex": ({}, {"gender": ""}, "sex-not-known"),
    "eligibility": ({}, {"facts": frozenset()}, "eligibility-not-known"),
    "language": ({"languages": None}, {}, "language-not-stated"),
    "language of whom": ({}, {"languages": (), "interpreter": True}, "language-not-known"),
    "hours": ({"hours": None}, {}, "hours-not-stated"),
    "hours by appointment": ({"by_appointment": True}, {"urgent": True}, "by-appointment"),
    "access": ({"access": frozenset()}, {}, "access-not-stated"),
    "capacity": ({"capacity": None}, {}, "capacity-not-stated"),
    "capacity of old": (
        {"capacity": Capacity("no-capacity", NOW - timedelta(hours=73))},
        {},
        "capacity-out-of-date",
    ),
    "capacity by a list": ({"capacity": Capacity("waitlist", NOW)}, {}, "waitlist"),
    "duplicate": (
        {},
        {"received": Received({"HealthcareService/best": "already-enrolled"})},
        "already-enrolled",
    ),
    "duplicate by program": (
        {},
        {"received": Received(programs={FOOD: "on-waiting-list"})},
        "on-waiting-list",
    ),
    "duplicate elsewhere": ({}, {"received": Received(referred=True)}, "open-referral"),
    "capacity in other words": ({"capacity": Capacity("plenty", NOW)}, {}, "capacity-not-stated"),
}


def test_given_all_is_known_and_fits_when_judged_then_in_and_nothing_to_confirm() -> None:
    found = look()
    assert (found.verdict, found.confirm, found.reasons) == ("in", False, ())
    assert {one.outcome for one in found.findings} == {"met"}
    assert found.score > 0.8
    told_only_where_met_with = {"active", "referral-method", "consent", "reachable", "duplicate"}
    assert {one.criterion for one in found.findings} == CRITERIA.keys() - told_only_where_met_with


@pytest.mark.parametrize("case", FAILS)
def test_given_one_criterion_fails_when_judged_then_out_for_that_reason_only(case) -> None:
    offered, known, code = FAILS[case]
    found = look(offered=replace(OFFERED, **offered), **known)
    assert found.verdict == "out"
    assert [one for one in found.findings if one.outcome != "met"] == [
        Finding(case.split()[0], "failed", code)
    ]


@pytest.mark.parametrize("case", UNKNOWN)
def test_given_something_is_not_known_when_judged_then_it_stays_to_be_confirmed(case) -> None:
    offered, wanted, code = UNKNOWN[case]
    found = look(replace(WANTED, **wanted), replace(OFFERED, **offered))
    assert (found.verdict, found.confirm) == ("in", True)
    assert [one for one in found.findings if one.outcome != "met"] == [
        Finding(case.split()[0], "unknown", code)
    ]


def test_given_ages_when_judged_then_both_ends_are_served_and_a_birthday_counts() -> None:
    def age(born: date) -> str:
        found = look(replace(WANTED, born=born), replace(OFFERED, years=Years(18, 24)))
        return next(one.code for one in found.findings if one.criterion == "age")

    assert age(date(2008, 11, 3)) == "age-served"
    assert age(date(2008, 11, 4)) == "below-minimum-age"
    assert age(date(2001, 11, 4)) == "age-served"
    assert age(date(2001, 11, 3)) == "above-maximum-age"


@pytest.mark.parametrize(
    ("zone", "weekday", "said"),
    [
        ("America/Chicago", ((22 * 60, 24 * 60),), "open"),  # noon there, open from 22:00
        ("America/Chicago", ((0, 6 * 60),), "closed"),  # at 06:00 UTC it is midnight there
        ("UTC", ((0, 5 * 60),), "open"),
        ("Asia/Tokyo", ((14 * 60, 20 * 60),), "open"),
        ("America/Chicago", WHOLE_DAY, "open"),
    ],
)
def test_given_tonight_when_judged_then_by_the_clock_of_the_service(zone, weekday, said) -> None:
    tonight = replace(WANTED, urgent=True, by=None)
    found = look(tonight, replace(OFFERED, hours=Calendar(ZoneInfo(zone), (weekday,) * 7)))
    assert next(one.code for one in found.findings if one.criterion == "hours") == said


def test_given_a_last_moment_when_it_does_not_open_before_then_it_is_of_no_use() -> None:
    tuesdays = Calendar(ZoneInfo("UTC"), ((), ((9 * 60, 17 * 60),), (), (), (), (), ()))
    offered = replace(OFFERED, hours=tuesdays)  # next open on 10 November, 09:00
    assert look(replace(WANTED, by=datetime(2026, 11, 10, 9, tzinfo=UTC)), offered).reasons == (
        "closed",
    )
    assert (
        look(replace(WANTED, by=datetime(2026, 11, 10, 10, tzinfo=UTC)), offered).confirm is False
    )
    whenever = look(replace(WANTED, by=None), offered)
    assert "hours" not in {one.criterion for one in whenever.findings}


def test_given_a_refusal_for_want_of_capacity_when_a_day_has_passed_then_it_counts_no_more() -> (
    None
):
    assert look(refused=NOW).reasons == ("no-capacity-refused",)
    later = replace(WANTED, now=NOW + timedelta(hours=24))
    assert look(later, refused=NOW).verdict == "in"


def test_given_a_refusal_and_a_statement_when_judged_then_the_later_counts() -> None:
    stated = replace(OFFERED, capacity=Capacity("capacity", NOW - timedelta(minutes=30)))
    assert look(offered=stated, refused=NOW - timedelta(minutes=31)).verdict == "in"
    assert look(offered=stated, refused=NOW - timedelta(minutes=29)).verdict == "out"
    unsaid = replace(OFFERED, capacity=None)
    assert look(offered=unsaid, refused=NOW - timedelta(minutes=29)).verdict == "out"


def test_given_shelter_tonight_when_capacity_is_a_day_old_then_it_is_unknown_sooner() -> None:
    stated = replace(OFFERED, capacity=Capacity("no-capacity", NOW - timedelta(hours=30)))
    assert look(offered=stated).verdict == "out"
    shelter = replace(WANTED, domains=frozenset({"homelessness"}))
    assert look(shelter, stated).verdict == "in"


def test_given_who_is_needed_at_once_when_unreachable_for_an_hour_then_out() -> None:
    since = NOW - timedelta(hours=1)
    assert look(away=since).verdict == "in"
    assert look(replace(WANTED, urgent=True), away=since).reasons == ("unreachable",)


def test_given_an_interpreter_when_judged_then_in_and_behind_who_speaks_the_language() -> None:
    interpreted = replace(
        OFFERED, recipient="HealthcareService/a", languages=frozenset({"en"}), interpreters=True
    )
    mexican = replace(WANTED, languages=("es-mx",))
    assert order_of(mexican, interpreted, OFFERED) == [
        "HealthcareService/best",
        "HealthcareService/a",
    ]
    assert look(mexican, interpreted).verdict == "in"


@pytest.mark.parametrize(
    ("offered", "known"),
    [
        ({"capacity": Capacity("waitlist", NOW)}, {}),
        ({"at": (Point(36.5, -96.5),)}, {}),
        ({"areas": None}, {}),
        ({}, {"record": Record(answered=40, accepted=2)}),
        ({}, {"record": Record(lately=30)}),
    ],
)
def test_given_what_is_less_good_when_ranked_then_it_comes_behind(offered, known) -> None:
    other = replace(OFFERED, recipient="HealthcareService/a", **offered)
    found = order_of(WANTED, (other, replace(KNOWN, **known)), OFFERED)
    assert found == ["HealthcareService/best", "HealthcareService/a"]


def test_given_who_answers_late_when_ranked_then_it_comes_behind() -> None:
    late = replace(KNOWN, record=Record(40, 40, timedelta(hours=40 * 50)))
    soon = replace(KNOWN, record=Record(40, 40, timedelta(hours=40)))
    other = replace(OFFERED, recipient="HealthcareService/a")
    assert order_of(WANTED, (other, late), (OFFERED, soon))[0] == "HealthcareService/best"


def test_given_few_answers_when_ranked_then_they_say_nothing() -> None:
    assert look(record=Record(answered=9, accepted=0)).score == look().score


def test_given_sex_and_age_when_scored_then_they_make_no_difference() -> None:
    open_to_all = replace(OFFERED, years=None, genders=frozenset())
    scores = {
        look(replace(WANTED, gender=gender, born=born), open_to_all).score
        for gender in ("female", "male", "other", "unknown", "")
        for born in (date(1940, 1, 1), date(2010, 1, 1), None)
    }
    assert len(scores) == 1


# ---- victim service providers

SAFE = replace(
    OFFERED, recipient="HealthcareService/safe", apart=True, kinds=frozenset({VIOLENCE, FOOD})
)


def test_given_another_need_when_ranked_then_a_victim_service_provider_is_not_even_out() -> None:
    assert order_of(WANTED, SAFE) == []
    unsaid = replace(SAFE, kinds=frozenset())
    theirs = replace(WANTED, kinds=frozenset({VIOLENCE}), theirs=True)
    assert order_of(theirs, unsaid) == []


def test_given_the_need_is_theirs_when_ranked_then_without_distance_capacity_and_statistics() -> (
    None
):
    theirs = replace(WANTED, kinds=frozenset({VIOLENCE}), theirs=True)
    [found] = ranked(theirs, [(SAFE, KNOWN)], WEIGHTS)
    assert found.verdict == "in"
    assert "capacity" not in {one.criterion for one in found.findings}
    told = replace(SAFE, at=(Point(0.0, 0.0),), capacity=Capacity("no-capacity", NOW))
    done = replace(
        KNOWN,
        refused=NOW,
        record=Record(100, 1, timedelta(days=9), 50),
        away=NOW - timedelta(days=9),
    )
    assert ranked(theirs, [(told, done)], WEIGHTS) == [found]


# ---- whatever the offers are

_codes = st.sampled_from([FOOD, VIOLENCE, ("urn:example:kinds", "other")])
_areas = st.sampled_from(
    [Place(postal_code="74101"), Place(postal_code="90210"), Place(state="ok"), Place(state="tx")]
)
_moments = st.integers(0, 200).map(lambda hours: NOW - timedelta(hours=hours))
_offered = st.builds(
    Offered,
    recipient=st.integers(0, 10**6).map(lambda number: f"HealthcareService/{number}"),
    organization=st.integers(1, 50),
    active=st.booleans(),
    apart=st.booleans(),
    kinds=st.frozensets(_codes, max_size=2),
    areas=st.none() | st.lists(_areas, min_size=1, max_size=2).map(tuple),
    virtual=st.booleans(),
    at=st.lists(st.just(Point(36.0, -95.0)), max_size=1).map(tuple),
    years=st.none() | st.builds(Years, st.none() | st.integers(0, 90), st.none() | st.integers(0, 99)),
    genders=st.frozensets(st.sampled_from(["female", "male"]), max_size=1),
    conditions=st.frozensets(st.sampled_from([VETERAN, ("", "comment")]), max_size=1),
    languages=st.none() | st.frozensets(st.sampled_from(["en", "es-us"]), min_size=1),
    interpreters=st.booleans(),
    access=st.frozensets(st.just("adacomp"), max_size=1),
    refers_by=st.frozensets(st.sampled_from(["elec", "phone"]), max_size=1),
    hours=st.none() | st.sampled_from([FAILS["hours"][0]["hours"], OFFERED.hours]),
    by_appointment=st.booleans(),
    capacity=st.none() | st.builds(Capacity, st.sampled_from([*WEIGHTS.capacity, "x"]), _moments),
)  # fmt: skip
_known = st.builds(
    Known,
    active=st.booleans(),
    agreed=st.none() | st.booleans(),
    away=st.none() | _moments,
    consent=st.sampled_from(["permitted", "denied", "unsaid"]),
    refused=st.none() | _moments,
    record=st.builds(Record, answered=st.just(20), accepted=st.integers(0, 20)),
)
_offers = st.tuples(_offered, _known)


@given(st.lists(_offers, max_size=8, unique_by=lambda one: one[0].recipient), st.randoms())
def test_the_order_of_the_offers_makes_no_difference(offers, random) -> None:
    shuffled = list(offers)
    random.shuffle(shuffled)
    assert ranked(WANTED, shuffled, WEIGHTS) == ranked(WANTED, offers, WEIGHTS)


@given(_offers, st.booleans())
def test_out_is_who_failed_in_something_and_nobody_for_what_is_not_known(offer, urgent) -> None:
    wanted = replace(WANTED, urgent=urgent)
    offered, known = offer
    found = judge(wanted, offered, known, WEIGHTS)
    failed = {one.criterion for one in found.findings if one.outcome == "failed"}
    assert (found.verdict == "out") == bool(failed)
    assert {one.criterion for one in found.findings} <= CRITERIA.keys()
    assert 0 <= found.score <= 1
    # say nothing where something failed, and leave the rest: then it is in, however much is unknown
    unsaid = {
        "kind": {"kinds": frozenset()}, "area": {"areas": None}, "age": {"years": None},
        "sex": {"genders": frozenset()}, "language": {"languages": None}, "hours": {"hours": None},
        "active": {"active": True}, "capacity": {"capacity": None}, "referral-method": {"refers_by": frozenset()},
    }  # fmt: skip
    nothing_known = {
        "active": {"active": True}, "capacity": {"refused": None}, "agreement": {"agreed": None},
        "consent": {"consent": "permitted"}, "reachable": {"away": None},
    }  # fmt: skip
    for criterion in failed:
        offered = replace(offered, **unsaid.get(criterion, {}))
        known = replace(known, **nothing_known.get(criterion, {}))
    assert judge(wanted, offered, known, WEIGHTS).verdict == "in"


@given(_offers)
def test_a_victim_service_provider_is_found_for_nothing_but_what_is_theirs(offer) -> None:
    for theirs in (False, True):
        kinds = frozenset({VIOLENCE if theirs else FOOD})
        found = ranked(replace(WANTED, kinds=kinds, theirs=theirs), [offer], WEIGHTS)
        assert bool(found) == (not offer[0].apart or (theirs and VIOLENCE in offer[0].kinds))


# ---- the weights


def test_given_other_weights_when_ranked_then_they_decide() -> None:
    near = replace(OFFERED, recipient="HealthcareService/near", capacity=None)
    far = replace(OFFERED, recipient="HealthcareService/far", at=(Point(37.5, -97.0),))
    by_distance = weighing.read(b'{"weights": {"capacity": 0, "certainty": 0, "distance": 100}}')
    by_capacity = weighing.read(b'{"weights": {"capacity": 100, "distance": 1}}')
    offers = [(near, KNOWN), (far, KNOWN)]
    assert ranked(WANTED, offers, by_distance)[0].recipient == "HealthcareService/near"
    assert ranked(WANTED, offers, by_capacity)[0].recipient == "HealthcareService/far"


@pytest.mark.parametrize(
    "text",
    [
        b"{", b"[]", b'{"weights": {"sex": 1}}', b'{"weights": {"capacity": -1}}', b'{"half_load": 0}',
        b'{"nonsense": 1}', b'{"capacity": {"capacity": 2}}', b'{"weights": 1}',
    ],
)  # fmt: skip
def test_given_weights_that_cannot_be_when_read_then_refused(text) -> None:
    with pytest.raises(weighing.UnusableWeightsError):
        weighing.read(text)
