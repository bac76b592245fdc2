"""Profiles of partners: their tables, by rows of what a guide says."""

from __future__ import annotations

import itertools

import pytest

from coordhub.referral.episode import BUSINESS_STATUSES
from coordhub.referral.profiles import DEFAULT, Profile, named, profiles, vocabularies
from coordhub.referral.task_machine import EDGES, OWNER, REQUESTER, STATUSES, TERMINAL, Actor
from coordhub.referral.transitions import Illegal, Legal, State, WrongActor, judge, legal

R4, GRAVITY, BSER, X360, COW = (named(one) for one in ("r4", "sdoh-cc", "bser", "360x", "cow"))
ALL = [R4, GRAVITY, BSER, X360, COW]

GRAVITYS = {
    "draft": "requested",
    "requested": "accepted rejected cancelled",
    "accepted": "in-progress on-hold cancelled completed failed",
    "in-progress": "on-hold completed failed cancelled",
    "on-hold": "in-progress completed failed cancelled",
}


def of(profile: Profile) -> str:
    return profile.name


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old, news in GRAVITYS.items() for new in news.split()]
)
def test_given_an_edge_of_sdoh_clinical_care_when_judged_then_somebody_may(
    old: str, new: str
) -> None:
    assert judge(GRAVITY, State(old), State(new), REQUESTER | OWNER) == Legal()


@pytest.mark.parametrize("old", sorted(set(STATUSES) - TERMINAL))
@pytest.mark.parametrize("new", STATUSES)
def test_given_no_edge_of_sdoh_clinical_care_when_judged_then_only_received_is_more(
    old: str, new: str
) -> None:
    expected = set(GRAVITYS.get(old, "").split()) | {old, "entered-in-error"}
    expected |= {"received"} if old in ("draft", "requested") else set()
    if old == "received":
        expected |= {"accepted", "rejected", "cancelled"}
    if old == "draft":
        expected |= {"cancelled"}
    if old != "ready":
        found = judge(GRAVITY, State(old), State(new), REQUESTER | OWNER)
        assert (found == Legal()) == (new in expected), found


@pytest.mark.parametrize("profile", ALL, ids=of)
def test_given_accepted_when_ready_is_written_then_only_bser_and_cow_may(profile: Profile) -> None:
    found = judge(profile, State("accepted"), State("ready"), OWNER)
    assert (found == Legal()) == (profile.name in ("bser", "cow"))
    if found != Legal():
        assert isinstance(found, Illegal)
        assert f"profile {profile.name} does not send the status ready" in found.hint
        legal_ones = [one.split()[0] for one in found.legal]
        assert "in-progress" in legal_ones
        assert "ready" not in legal_ones


BSERS = [
    # from, who, to: the harmonized table
    ("received 2.0", OWNER, "accepted 3.0"),
    ("received 2.0", OWNER, "rejected 4.0"),
    ("accepted 3.0", OWNER, "rejected 4.0"),
    ("in-progress 5.1.1", OWNER, "rejected 4.0"),
    ("in-progress 5.1.2", OWNER, "rejected 4.0"),
    ("in-progress 5.1.3", OWNER, "rejected 4.0"),
    ("in-progress 5.1.4", OWNER, "rejected 4.0"),
    ("accepted 3.0", OWNER, "in-progress 5.1.1"),
    ("in-progress 5.1.2", OWNER, "in-progress 5.1.1"),
    ("in-progress 5.1.3", OWNER, "in-progress 5.1.1"),
    ("in-progress 5.1.4", OWNER, "in-progress 5.1.1"),
    ("in-progress 5.1.1", OWNER, "in-progress 5.1.1"),
    ("in-progress 5.1.1", OWNER, "in-progress 5.1.2"),
    ("in-progress 5.1.1", OWNER, "in-progress 5.1.3"),
    ("in-progress 5.1.2", OWNER, "in-progress 5.1.3"),
    ("in-progress 5.1.4", OWNER, "in-progress 5.1.3"),
    ("accepted 3.0", OWNER, "in-progress 5.1.4"),
    ("in-progress 5.1.1", OWNER, "in-progress 5.1.4"),
    ("in-progress 5.1.4", OWNER, "in-progress 5.1.4"),
    ("accepted 3.0", OWNER, "completed 7.0"),
    ("in-progress 5.1.1", OWNER, "completed 7.0"),
    ("in-progress 5.1.4", OWNER, "completed 7.0"),
    ("in-progress 5.2", OWNER, "completed 7.0"),
    ("in-progress 5.2", OWNER, "cancelled 6.0"),
]
CODED = sorted({place for row in BSERS for place in (row[0], row[2])})


def state(text: str) -> State:
    return State(*text.split())


@pytest.mark.parametrize("profile", [BSER, X360], ids=of)
def test_given_two_coded_states_of_bser_when_judged_then_as_its_table_says(
    profile: Profile,
) -> None:
    for old, new in itertools.product(CODED, CODED):
        listed = any((old, new) == (row[0], row[2]) for row in BSERS)
        found = judge(profile, state(old), state(new), OWNER)
        assert (found == Legal()) == (listed or old == new), (old, new, found)
        if not isinstance(found, Legal):
            assert found.hint
            assert found.legal or state(old).status in TERMINAL


@pytest.mark.parametrize("profile", [BSER, X360], ids=of)
def test_given_a_request_to_stop_when_its_owner_goes_on_then_it_is_told_what_is_left(
    profile: Profile,
) -> None:
    asked = State("in-progress", "5.2")
    for status in ("rejected", "failed", "on-hold"):
        found = judge(profile, asked, State(status), OWNER)
        assert isinstance(found, Illegal)
        assert found.legal == ("cancelled (6.0)", "completed (7.0)")
    # without a code, which the hub does not insist on
    assert judge(profile, asked, State("completed"), OWNER) == Legal()
    assert judge(profile, asked, State("cancelled"), OWNER) == Legal()


def test_given_bser_when_its_owner_asks_itself_to_stop_then_that_is_the_requesters() -> None:
    found = judge(BSER, State("accepted", "3.0"), State("in-progress", "5.2"), OWNER)
    assert isinstance(found, WrongActor)
    assert found.who_may == REQUESTER


@pytest.mark.parametrize(
    ("profile", "status", "code"),
    [(BSER, "accepted", "7.0"), (X360, "completed", "5.1.1"), (COW, "rejected", "visit-scheduled")],
)
def test_given_a_code_that_contradicts_its_status_when_judged_then_illegal(
    profile: Profile, status: str, code: str
) -> None:
    found = judge(profile, State("requested"), State(status, code), OWNER)
    assert isinstance(found, Illegal | WrongActor)
    if status != "completed":
        assert f"businessStatus {code} goes with" in found.hint


@pytest.mark.parametrize("code", ["", "gibberish"])
@pytest.mark.parametrize("profile", ALL, ids=of)
def test_given_no_code_or_one_of_no_vocabulary_when_accepted_then_it_stands(
    profile: Profile, code: str
) -> None:
    assert judge(profile, State("requested"), State("accepted", code), OWNER) == Legal()


@pytest.mark.parametrize("profile", ALL, ids=of)
@pytest.mark.parametrize("new", ["accepted", "rejected", "completed", "failed", "in-progress"])
@pytest.mark.parametrize("old", ["requested", "accepted", "in-progress"])
def test_given_a_requester_when_it_answers_itself_then_never_legal(
    profile: Profile, old: str, new: str
) -> None:
    if old == new:
        return
    found = judge(profile, State(old), State(new), REQUESTER)
    assert not isinstance(found, Legal)
    if isinstance(found, WrongActor):
        assert found.who_may == OWNER
        assert "owner" in found.hint


@pytest.mark.parametrize("profile", ALL, ids=of)
def test_given_a_request_when_completed_at_once_then_illegal_and_what_is_legal_is_said(
    profile: Profile,
) -> None:
    asked = State("requested", "2.0" if "2.0" in profile.codes else "")
    found = judge(profile, asked, State("completed"), OWNER)
    assert isinstance(found, Illegal)
    assert profile.title in found.hint
    assert [one.split()[0] for one in found.legal] == [
        "received",
        "accepted",
        "rejected",
        "cancelled",
    ]


@pytest.mark.parametrize("profile", ALL, ids=of)
@pytest.mark.parametrize("old", sorted(TERMINAL))
@pytest.mark.parametrize("new", STATUSES)
def test_given_a_final_status_when_changed_then_only_an_error_is_left(
    profile: Profile, old: str, new: str
) -> None:
    found = judge(profile, State(old), State(new), REQUESTER | OWNER)
    assert (found == Legal()) == (new == old or new == "entered-in-error")
    if isinstance(found, Illegal) and new in profile.statuses:
        assert "basedOn" in found.hint


@pytest.mark.parametrize("profile", ALL, ids=of)
def test_given_a_cancelled_task_when_what_was_done_is_said_then_only_of_one_that_was_taken_on(
    profile: Profile,
) -> None:
    completed = State("completed", "7.0" if profile.codes is BSER.codes else "")
    old = State("cancelled", "6.0" if completed.code else "")
    taken = State(old.status, old.code, taken=True)
    assert judge(profile, taken, completed, OWNER) == Legal()
    assert judge(profile, taken, completed, REQUESTER) != Legal()
    assert judge(profile, old, completed, OWNER) != Legal()
    assert [one.split()[0] for one in legal(profile, taken, OWNER)] == ["completed"]
    assert legal(profile, old, OWNER) == ()


@pytest.mark.parametrize("profile", ALL, ids=of)
@pytest.mark.parametrize("old", STATUSES)
@pytest.mark.parametrize("actor", [OWNER, REQUESTER])
def test_given_what_is_said_to_be_legal_when_it_is_done_then_it_is(
    profile: Profile, old: str, actor: Actor
) -> None:
    codes = ["", *(one.code for one in profile.codes.values() if old in one.statuses)]
    for code in codes:
        before = State(old, code)
        for words in legal(profile, before, actor):
            status, _, said = words.partition(" ")
            for one in said.strip("()").split(" or "):
                assert judge(profile, before, State(status, one), actor) == Legal(), (before, one)


@pytest.mark.parametrize("profile", ALL, ids=of)
def test_given_a_profile_when_read_then_it_is_part_of_what_the_hub_can_take(
    profile: Profile,
) -> None:
    for edge, who in profile.edges.items():
        assert who & EDGES[edge] == who, edge
    assert profile.statuses <= set(STATUSES)
    for code in profile.codes.values():
        assert code.statuses <= profile.statuses
        assert code.next is None or code.next <= profile.codes.keys()
    for row in profile.tells:
        assert not row.code or row.code in profile.codes
        assert row.business <= BUSINESS_STATUSES.keys()


def test_given_the_vocabularies_when_read_then_each_code_says_one_of_the_hubs() -> None:
    for codes in vocabularies().values():
        for code in codes.values():
            assert code.hub in BUSINESS_STATUSES


def test_given_a_profile_that_is_not_known_when_named_then_the_default() -> None:
    assert named("hl7v1") == named(DEFAULT) == profiles()["r4"]
