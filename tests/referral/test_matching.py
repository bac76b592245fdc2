"""Each criterion by itself, what unknown does, and the order of who is left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.referral import weights as weighing
from coordhub.referral.matching import (
    CRITERIA,
    Capacity,
    Finding,
    Offered,
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
    agreed=True,
)

FAILS = {
    "kind": ({"kinds": frozenset({VIOLENCE})}, "wrong-service"),
    "active": ({"active": False}, "inactive"),
    "area": ({"areas": (Place(postal_code="90210"),)}, "out-of-area"),
    "age": ({"years": Years(most=59)}, "above-maximum-age"),
    "sex": ({"genders": frozenset({"male"})}, "sex-not-served"),
    "language": ({"languages": frozenset({"en", "ru"})}, "language-not-offered"),
    "capacity": ({"capacity": Capacity("no-capacity", NOW)}, "no-capacity"),
    "agreement": ({"agreed": False}, "no-agreement"),
    "referral-method": ({"refers_by": frozenset({"phone", "fax"})}, "not-electronically"),
    "consent": ({"consent": "denied"}, "patient-declined"),
    "reachable": ({"away": NOW - timedelta(hours=5)}, "unreachable"),
}
UNKNOWN = {
    "kind": ({"kinds": frozenset()}, {}, "kind-not-stated"),
    "area": ({"areas": None}, {}, "area-not-stated"),
    "area of someone nowhere": ({}, {"place": Place()}, "address-not-known"),
    "age": ({}, {"born": None}, "age-not-known"),
    "sex": ({}, {"gender": ""}, "sex-not-known"),
    "eligibility": ({}, {"facts": frozenset()}, "eligibility-not-known"),
    "language": ({"languages": None}, {}, "language-not-stated"),
    "access": ({"access": frozenset()}, {}, "access-not-stated"),
    "capacity": ({"capacity": None}, {}, "capacity-not-stated"),
    "capacity of old": (
        {"capacity": Capacity("no-capacity", NOW - timedelta(hours=73))},
        {},
        "capacity-out-of-date",
    ),
    "capacity by a list": ({"capacity": Capacity("waitlist", NOW)}, {}, "waitlist"),
}


def test_given_all_is_known_and_fits_when_judged_then_in_and_nothing_to_confirm() -> None:
    found = judge(WANTED, OFFERED, WEIGHTS)
    assert (found.verdict, found.confirm, found.reasons) == ("in", False, ())
    assert {one.outcome for one in found.findings} == {"met"}
    assert found.score > 0.8


@pytest.mark.parametrize("criterion", FAILS)
def test_given_one_criterion_fails_when_judged_then_out_for_that_reason_only(criterion) -> None:
    changed, code = FAILS[criterion]
    found = judge(WANTED, replace(OFFERED, **changed), WEIGHTS)
    assert found.verdict == "out"
    assert [one for one in found.findings if one.outcome != "met"] == [
        Finding(criterion, "failed", code)
    ]


@pytest.mark.parametrize("criterion", UNKNOWN)
def test_given_something_is_not_known_when_judged_then_it_stays_to_be_confirmed(criterion) -> None:
    offered, wanted, code = UNKNOWN[criterion]
    found = judge(replace(WANTED, **wanted), replace(OFFERED, **offered), WEIGHTS)
    assert (found.verdict, found.confirm) == ("in", True)
    assert [one.code for one in found.findings if one.outcome == "unknown"] == [code]


def test_given_ages_when_judged_then_both_ends_are_served_and_a_birthday_counts() -> None:
    def age(born: date, years: Years) -> str:
        found = judge(replace(WANTED, born=born), replace(OFFERED, years=years), WEIGHTS)
        return next(one.code for one in found.findings if one.criterion == "age")

    assert age(date(2008, 11, 3), Years(18, 24)) == "age-served"
    assert age(date(2008, 11, 4), Years(18, 24)) == "below-minimum-age"
    assert age(date(2001, 11, 4), Years(18, 24)) == "age-served"
    assert age(date(2001, 11, 3), Years(18, 24)) == "above-maximum-age"


def test_given_a_refusal_for_want_of_capacity_when_a_day_has_passed_then_it_counts_no_more() -> (
    None
):
    refused = replace(OFFERED, capacity=Capacity("no-capacity", NOW, "rejection"))
    assert judge(WANTED, refused, WEIGHTS).reasons == ("no-capacity-rejected",)
    later = replace(WANTED, now=NOW + timedelta(hours=24, seconds=1))
    assert judge(later, refused, WEIGHTS).verdict == "in"


def test_given_shelter_tonight_when_capacity_is_a_day_old_then_it_is_unknown_sooner() -> None:
    stated = replace(OFFERED, capacity=Capacity("no-capacity", NOW - timedelta(hours=30)))
    assert judge(WANTED, stated, WEIGHTS).verdict == "out"
    shelter = replace(WANTED, domains=frozenset({"homelessness"}))
    assert judge(shelter, stated, WEIGHTS).verdict == "in"


def test_given_who_is_needed_at_once_when_unreachable_for_an_hour_then_out() -> None:
    away = replace(OFFERED, away=NOW - timedelta(hours=1))
    assert judge(WANTED, away, WEIGHTS).verdict == "in"
    assert judge(replace(WANTED, urgent=True), away, WEIGHTS).reasons == ("unreachable",)


def test_given_an_interpreter_when_judged_then_in_and_behind_who_speaks_the_language() -> None:
    interpreted = replace(
        OFFERED, recipient="HealthcareService/a", languages=frozenset({"en"}), interpreters=True
    )
    mexican = replace(WANTED, languages=("es-mx",))
    order = ranked(mexican, [interpreted, OFFERED], WEIGHTS)
    assert [one.recipient for one in order] == ["HealthcareService/best", "HealthcareService/a"]
    assert order[1].verdict == "in"


@pytest.mark.parametrize(
    "worse",
    [
        {"capacity": Capacity("waitlist", NOW)},
        {"at": (Point(36.5, -96.5),)},
        {"record": Record(answered=40, accepted=2)},
        {"record": Record(lately=30)},
        {"areas": None},
    ],
)
def test_given_what_is_less_good_when_ranked_then_it_comes_behind(worse) -> None:
    other = replace(OFFERED, recipient="HealthcareService/a", **worse)
    order = ranked(WANTED, [other, OFFERED], WEIGHTS)
    assert [one.recipient for one in order] == ["HealthcareService/best", "HealthcareService/a"]


def test_given_few_answers_when_ranked_then_they_say_nothing() -> None:
    unlucky = replace(OFFERED, record=Record(answered=9, accepted=0))
    assert judge(WANTED, unlucky, WEIGHTS).score == judge(WANTED, OFFERED, WEIGHTS).score


def test_given_sex_and_age_when_scored_then_they_make_no_difference() -> None:
    open_to_all = replace(OFFERED, years=None, genders=frozenset())
    scores = {
        judge(replace(WANTED, gender=gender, born=born), open_to_all, WEIGHTS).score
        for gender in ("female", "male", "other", "unknown", "")
        for born in (date(1940, 1, 1), date(2010, 1, 1), None)
    }
    assert len(scores) == 1


# ---- victim service providers

SAFE = replace(
    OFFERED, recipient="HealthcareService/safe", apart=True, kinds=frozenset({VIOLENCE, FOOD})
)


def test_given_another_need_when_ranked_then_a_victim_service_provider_is_not_even_out() -> None:
    assert ranked(WANTED, [SAFE], WEIGHTS) == []
    unsaid = replace(SAFE, kinds=frozenset())
    theirs = replace(WANTED, kinds=frozenset({VIOLENCE}), theirs=True)
    assert ranked(theirs, [unsaid], WEIGHTS) == []


def test_given_the_need_is_theirs_when_ranked_then_without_distance_capacity_and_statistics() -> (
    None
):
    theirs = replace(WANTED, kinds=frozenset({VIOLENCE}), theirs=True)
    [found] = ranked(theirs, [SAFE], WEIGHTS)
    assert found.verdict == "in"
    assert "capacity" not in {one.criterion for one in found.findings}
    known = replace(
        SAFE,
        at=(Point(0.0, 0.0),),
        capacity=Capacity("no-capacity", NOW, "rejection"),
        record=Record(100, 100, 1, timedelta(days=9), 50),
        away=NOW - timedelta(days=9),
    )
    assert ranked(theirs, [known], WEIGHTS) == [found]


# ---- whatever the offers are

_codes = st.sampled_from([FOOD, VIOLENCE, ("urn:example:kinds", "other")])
_areas = st.sampled_from(
    [Place(postal_code="74101"), Place(postal_code="90210"), Place(state="ok"), Place(state="tx")]
)
_offers = st.builds(
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
    capacity=st.none()
    | st.builds(
        Capacity,
        st.sampled_from(["capacity", "no-capacity", "waitlist", "additional-assessment-required", "x"]),
        st.integers(0, 200).map(lambda hours: NOW - timedelta(hours=hours)),
        st.sampled_from(["directory", "rejection"]),
    ),
    agreed=st.none() | st.booleans(),
    away=st.none() | st.integers(0, 900).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    consent=st.sampled_from(["permitted", "denied", "unsaid"]),
    record=st.builds(Record, answered=st.just(20), accepted=st.integers(0, 20)),
)  # fmt: skip


@given(st.lists(_offers, max_size=8, unique_by=lambda one: one.recipient), st.randoms())
def test_the_order_of_the_offers_makes_no_difference(offers, random) -> None:
    shuffled = list(offers)
    random.shuffle(shuffled)
    assert ranked(WANTED, shuffled, WEIGHTS) == ranked(WANTED, offers, WEIGHTS)


@given(_offers)
def test_out_is_who_failed_in_something_and_nobody_for_what_is_not_known(offered) -> None:
    found = judge(WANTED, offered, WEIGHTS)
    failed = {one.criterion for one in found.findings if one.outcome == "failed"}
    assert (found.verdict == "out") == bool(failed)
    assert {one.criterion for one in found.findings} <= CRITERIA.keys()
    assert 0 <= found.score <= 1
    # mend what failed, and nothing else: then it is in, however much is unknown
    mended = {
        "kind": {"kinds": frozenset({FOOD})}, "active": {"active": True}, "area": {"areas": None},
        "age": {"years": None}, "sex": {"genders": frozenset()}, "language": {"languages": None},
        "capacity": {"capacity": None}, "agreement": {"agreed": None},
        "referral-method": {"refers_by": frozenset()}, "consent": {"consent": "permitted"},
        "reachable": {"away": None},
    }  # fmt: skip
    for criterion in failed:
        offered = replace(offered, **mended[criterion])
    assert judge(WANTED, offered, WEIGHTS).verdict == "in"


@given(_offers)
def test_a_victim_service_provider_is_found_for_nothing_but_what_is_theirs(offered) -> None:
    for theirs in (False, True):
        kinds = frozenset({VIOLENCE if theirs else FOOD})
        found = ranked(replace(WANTED, kinds=kinds, theirs=theirs), [offered], WEIGHTS)
        assert bool(found) == (not offered.apart or (theirs and VIOLENCE in offered.kinds))


# ---- the weights


def test_given_other_weights_when_ranked_then_they_decide() -> None:
    near = replace(OFFERED, recipient="HealthcareService/near", capacity=None)
    far = replace(OFFERED, recipient="HealthcareService/far", at=(Point(37.5, -97.0),))
    by_distance = weighing.read(b'{"weights": {"capacity": 0, "certainty": 0, "distance": 100}}')
    by_capacity = weighing.read(b'{"weights": {"capacity": 100, "distance": 1}}')
    assert ranked(WANTED, [near, far], by_distance)[0].recipient == "HealthcareService/near"
    assert ranked(WANTED, [near, far], by_capacity)[0].recipient == "HealthcareService/far"


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
