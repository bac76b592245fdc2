"""By which strategy a need is asked for, as shipped and with an operator's file over it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coordhub.referral.kinds import kind_of
from coordhub.referral.same_kind import SDOHCC
from coordhub.referral.strategies import NAMES, UnusableStrategiesError, read

NAMED = [f"Organization/{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("kind", "priority", "names", "strategy"),
    [
        ("transportation-insecurity", "routine", 5, "broadcast"),
        ("transportation-insecurity", "routine", 1, "direct"),
        ("transportation-insecurity", "routine", 0, "broadcast"),
        ("homelessness", "routine", 3, "sequential"),
        ("homelessness", "stat", 3, "broadcast"),
        ("specialist", "stat", 2, "sequential"),
        ("", "routine", 2, "sequential"),
        ("never heard of", "never heard of", 0, "sequential"),
    ],
)
def test_given_the_shipped_file_when_a_need_opens_then_its_strategy_is_as_the_table_says(
    kind: str, priority: str, names: int, strategy: str
) -> None:
    assert read(b"{}").named(kind, priority, NAMED[:names]) == strategy


def test_given_an_operator_s_file_when_read_then_the_nearest_word_counts() -> None:
    own = read(
        b'{"default": {"hops": 3}, "priority": {"stat": {"wave-hours": 1}},'
        b' "kind": {"x": {"default": {"strategy": "waves", "waves": [1]}, "priority": {"stat": {"hops": 9}}}}}'
    )
    plain, urgent = own.of("x", "routine"), own.of("x", "stat")
    assert (plain.name, plain.hops, plain.waves, plain.every) == (
        "waves",
        3,
        (1,),
        timedelta(days=1),
    )
    assert (urgent.hops, urgent.every, urgent.days) == (9, timedelta(hours=1), timedelta(days=1))
    assert own.of("x", "stat", "sequential").name == "sequential"
    assert own.named("transportation-insecurity", "routine", NAMED[:2]) == "broadcast"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"default": {"strategy": "lottery"}}',
        '{"default": {"strategy": "auction"}}',
        '{"default": {"hops": 0}}',
        '{"default": {"at-once": -1}}',
        '{"kind": {"x": {"default": {"waves": []}}}}',
        '{"kind": {"x": {"priority": {"stat": {"waves": [0]}}}}}',
        '{"priority": {"stat": {"wave-hours": 0}}}',
        '{"hops": 1}',
    ],
)
def test_given_a_file_that_cannot_be_meant_when_read_then_it_is_refused(text: str) -> None:
    with pytest.raises(UnusableStrategiesError):
        read(text.encode())
    assert "lottery" not in NAMES


@pytest.mark.parametrize(
    ("system", "code", "kind"),
    [
        (SDOHCC, "homelessness", "homelessness"),
        ("http://terminology.hl7.org/CodeSystem/service-type", "230", "transportation-insecurity"),
        ("http://snomed.info/sct", "108252007", "laboratory"),
        ("http://snomed.info/sct", "363679005", "imaging"),
        ("http://snomed.info/sct", "3457005", "specialist"),
        ("http://snomed.info/sct", "1", ""),
    ],
)
def test_given_an_order_when_looked_at_then_its_codes_say_the_kind(
    system: str, code: str, kind: str
) -> None:
    assert kind_of({"category": [{"coding": [{"system": system, "code": code}]}]}) == kind
    assert kind_of({"code": {"coding": [{"system": system, "code": code}]}}) == kind


def test_given_an_order_for_a_kind_of_practitioner_when_looked_at_then_it_is_for_a_specialist() -> (
    None
):
    assert kind_of({"performerType": {"text": "endocrinologist"}}) == "specialist"
    assert kind_of({"code": {"text": "food"}}) == ""


def test_given_a_pool_when_one_is_named_then_only_a_care_team_is_one() -> None:
    own = read(b'{"kind": {"x": {"default": {"strategy": "pool"}}}}')
    for names, strategy in (
        (["CareTeam/1"], "pool"),
        (NAMED[:1], "direct"),
        (NAMED[:2], "pool"),
        ([], "pool"),
    ):
        assert own.named("x", "routine", names) == strategy
    assert own.named("y", "routine", ["CareTeam/1"]) == "direct"
