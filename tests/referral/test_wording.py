"""What a partner of a profile is told of a Task, and how the hub reads what it says."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from coordhub.referral import episode, wording
from coordhub.referral.profiles import named, profiles
from coordhub.referral.task_machine import REASON_SYSTEM, STATUSES
from coordhub.referral.transitions import State
from coordhub.referral.wording import business_of, is_echo, state_of, told, without_stale_word

BASE = "https://hub.example/fhir"
BSER = named("bser")
CODED = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"


def task(status: str, business: str = "", **more: Any) -> dict[str, Any]:
    document: dict[str, Any] = {"resourceType": "Task", "id": "1", "status": status, **more}
    if business:
        document["businessStatus"] = episode.business_status(business)
    return document


def said(profile: str, document: dict[str, Any]) -> tuple[str, str]:
    """Status, and the profile's own code."""
    of = named(profile)
    found = told(of, document, BASE)
    codes = [
        one["code"]
        for one in found.get("businessStatus", {}).get("coding", [])
        if one["system"] == of.system
    ]
    return found["status"], " ".join(codes)


@pytest.mark.parametrize(
    ("status", "business", "gravity", "bser"),
    [
        ("requested", "", "requested", ("received", "2.0")),
        ("received", "", "requested", ("received", "2.0")),
        ("accepted", "", "accepted", ("accepted", "3.0")),
        ("ready", "", "accepted", ("accepted", "3.0")),
        ("in-progress", "appointment-scheduled", "in-progress", ("in-progress", "5.1.1")),
        ("in-progress", "appointment-missed", "in-progress", ("in-progress", "5.1.2")),
        ("in-progress", "appointment-cancelled", "in-progress", ("in-progress", "5.1.3")),
        ("in-progress", "visit-complete", "in-progress", ("in-progress", "5.1.4")),
        ("in-progress", "cancellation-requested", "in-progress", ("in-progress", "5.2")),
        ("accepted", "cancellation-requested", "accepted", ("in-progress", "5.2")),
        ("in-progress", "", "in-progress", ("in-progress", "")),
        ("on-hold", "waitlisted", "on-hold", ("in-progress", "")),
        ("rejected", "", "rejected", ("rejected", "4.0")),
        ("failed", "not-fulfilled", "failed", ("rejected", "4.0")),
        ("cancelled", "withdrawn", "cancelled", ("cancelled", "6.0")),
        ("completed", "fulfilled", "completed", ("completed", "7.0")),
        # the sender's Task: that the hub has it is not that anybody has accepted
        ("accepted", "awaiting-recipient", "accepted", ("received", "2.0")),
        ("in-progress", "re-referring", "in-progress", ("received", "2.0")),
        ("in-progress", "matched", "in-progress", ("accepted", "3.0")),
        ("rejected", "no-provider-available", "rejected", ("rejected", "4.0")),
    ],
)
def test_given_a_state_when_it_is_told_then_each_profile_has_its_words(
    status: str, business: str, gravity: str, bser: tuple[str, str]
) -> None:
    document = task(status, business)
    assert told(named("r4"), document, BASE) is document
    assert said("sdoh-cc", document)[0] == gravity
    assert said("bser", document) == bser
    assert said("360x", document) == bser


@pytest.mark.parametrize(
    ("status", "business", "code"),
    [
        ("in-progress", "appointment-scheduled", "visit-scheduled"),
        ("in-progress", "visit-complete", "visit-complete"),
        ("received", "awaiting-information", "awaiting-information"),
        ("in-progress", "matched", "selected"),
        ("ready", "", ""),
        ("requested", "", ""),
    ],
)
def test_given_a_state_when_a_partner_of_cow_is_told_then_in_its_codes(
    status: str, business: str, code: str
) -> None:
    assert said("cow", task(status, business)) == (status, code)


def test_given_a_word_of_the_profile_when_told_then_the_hubs_own_stands_beside_it() -> None:
    found = told(BSER, task("in-progress", "cancellation-requested"), BASE)["businessStatus"]
    assert [one["code"] for one in found["coding"]] == ["5.2", "cancellation-requested"]
    assert found["coding"][0]["display"] == "Cancellation Requested"
    assert found["text"]


def test_given_what_the_partner_said_itself_when_told_then_it_is_as_it_said_it() -> None:
    own = {"coding": [{"system": CODED, "code": "5.1.1"}], "text": "Thursday"}
    document = task("in-progress", businessStatus=own)
    assert told(BSER, document, BASE) is document


@pytest.mark.parametrize("profile", sorted(profiles()))
def test_given_a_reason_without_text_when_told_then_it_has_one(profile: str) -> None:
    reason = {"coding": [{"system": "urn:x", "code": "full", "display": "No room"}]}
    found = told(named(profile), task("rejected", statusReason=reason), BASE)
    assert found["statusReason"] == {**reason, "text": "No room"}


def test_given_a_task_without_identifier_when_told_then_as_the_profile_asks() -> None:
    group = {"system": "urn:coordhub:referral", "value": "abc"}
    document = task("accepted", groupIdentifier=group)
    assert "identifier" not in told(named("sdoh-cc"), document, BASE)
    for known in (document, {**document, "identifier": [group]}):
        (placer,) = told(named("360x"), known, BASE)["identifier"]
    assert placer["type"]["coding"][0]["code"] == "PLAC"
    assert placer["value"] == "abc"
    (address,) = told(named("cow"), document, BASE)["identifier"]
    assert address == {"system": "urn:ietf:rfc:3986", "value": f"{BASE}/Task/1"}
    mine = {"system": "urn:mine", "value": "7"}
    kept = told(named("cow"), task("accepted", identifier=[mine]), BASE)
    assert kept["identifier"] == [mine]


@pytest.mark.parametrize("profile", sorted(profiles()))
def test_given_any_state_when_told_then_in_the_profiles_words_and_telling_it_again_adds_nothing(
    profile: str,
) -> None:
    of = named(profile)
    for status, business in itertools.product(STATUSES, ["", *episode.BUSINESS_STATUSES]):
        document = task(status, business)
        found = told(of, document, BASE)
        if of.name != "r4":
            assert found["status"] in of.statuses
        state = state_of(of, found)
        code = of.codes.get(state.code)
        assert code is None or found["status"] in code.statuses, (status, business)
        assert told(of, found, BASE) == found, (status, business)
        assert is_echo(of, found, document, BASE)
        if business and not state.code:
            assert business_of(found) == business


@pytest.mark.parametrize(
    ("system", "code", "meant"),
    [
        (CODED, "5.1.2", "appointment-missed"),
        (CODED, "5.2", "cancellation-requested"),
        ("http://hl7.org/fhir/uv/cow/CodeSystem/temp", "visit-scheduled", "appointment-scheduled"),
        (episode.BUSINESS_STATUS_SYSTEM, "waitlisted", "waitlisted"),
        (CODED, "9.9", ""),
        ("urn:mine", "5.1.2", ""),
    ],
)
def test_given_a_code_of_any_vocabulary_when_read_then_the_hub_knows_what_is_meant(
    system: str, code: str, meant: str
) -> None:
    document = {"businessStatus": {"coding": [{"system": system, "code": code}]}}
    assert business_of(document) == meant


@pytest.mark.parametrize("concept", [None, "text", {}, {"text": "on Thursday"}, {"coding": [7]}])
def test_given_no_code_when_read_then_nothing_is_meant(concept: object) -> None:
    assert business_of({"businessStatus": concept}) == ""


def test_given_a_state_that_the_hub_wrote_when_a_partner_moves_on_then_from_its_own_code() -> None:
    assert state_of(BSER, task("in-progress", "appointment-scheduled")).code == "5.1.1"
    assert state_of(BSER, task("requested")) == State("requested", "2.0")
    assert state_of(named("r4"), task("in-progress", "appointment-scheduled")).code == ""


def test_given_a_change_when_compared_with_what_was_told_then_it_is_no_echo() -> None:
    stored = task("accepted", "awaiting-recipient")
    assert not is_echo(BSER, {**stored, "status": "cancelled"}, stored, BASE)
    assert not is_echo(BSER, stored, stored, BASE), "it was told something else"


def test_given_a_copy_with_the_word_for_the_status_before_when_it_moves_on_then_the_word_is_dropped() -> (
    None
):
    stored = task("requested")
    copy = told(BSER, stored, BASE)
    moved = without_stale_word(BSER, {**copy, "status": "accepted"}, stored)
    assert "businessStatus" not in moved
    assert without_stale_word(BSER, copy, stored) is copy
    own = {"coding": [{"system": CODED, "code": "3.0"}]}
    fresh = {**copy, "status": "accepted", "businessStatus": own}
    assert without_stale_word(BSER, fresh, stored) is fresh


def test_given_a_partners_new_word_beside_the_hubs_old_one_when_read_then_the_new_one_counts() -> (
    None
):
    left = episode.business_status("appointment-scheduled")
    both = {"coding": [*left["coding"], {"system": CODED, "code": "5.1.2"}]}  # type: ignore[misc]
    assert business_of({"businessStatus": both}) == "appointment-missed"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"text": "our van is in repair"}, "other"),
        ({"text": "At capacity"}, "no-capacity"),
        (
            {"text": "could not reach the client"},
            "other",
        ),  # of what failed, not of what is declined
        ({"coding": [{"system": "urn:partner", "code": "7"}]}, "other"),
        ({"coding": [{"system": REASON_SYSTEM, "code": "safety"}], "text": "x"}, "safety"),
    ],
)
def test_given_a_decline_in_words_when_read_then_a_code_of_the_hub_stands_beside_them(
    said: dict[str, Any], code: str
) -> None:
    document = {"status": "rejected", "statusReason": said}
    read = wording.with_reason(document)
    codes = [
        one["code"] for one in read["statusReason"]["coding"] if one["system"] == REASON_SYSTEM
    ]
    assert codes == [code]
    assert read["statusReason"].get("text") == said.get("text")
    assert wording.with_reason(read) is read, "said again, it says the same"
    for other in ({"status": "accepted", "statusReason": said}, {"status": "rejected"}):
        assert wording.with_reason(other) is other
