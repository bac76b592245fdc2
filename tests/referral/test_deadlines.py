"""How long things may take, as shipped and with an operator's file over it."""

from __future__ import annotations

import json

import pytest

from coordhub.referral import deadlines
from coordhub.referral.calendar import duration
from coordhub.referral.deadlines import UnusableDeadlinesError
from coordhub.referral.reaching import Term


def own(**file: object) -> deadlines.Deadlines:
    return deadlines.read(json.dumps(file).encode())


def test_given_a_routine_referral_when_looked_up_then_two_business_days_and_two_of_grace() -> None:
    lengths = deadlines.read().lengths("food-insecurity", "routine")
    assert lengths["accept-within"] == duration("2 business days")
    assert lengths["accept-grace"] == duration("2 business days")
    assert "appointment" not in lengths


@pytest.mark.parametrize(
    ("kind", "priority", "within"),
    [
        ("food-insecurity", "urgent", "4 hours"),
        ("homelessness", "routine", "2 business days"),
        ("homelessness", "stat", "30 minutes"),
        ("specialist", "stat", "1 hour"),
    ],
)
def test_given_what_is_urgent_when_looked_up_then_hours_of_any_clock_and_no_grace(
    kind: str, priority: str, within: str
) -> None:
    lengths = deadlines.read().lengths(kind, priority)
    assert lengths["accept-within"] == duration(within)
    assert ("accept-grace" in lengths) is (priority == "routine")


def test_given_a_file_of_the_operators_when_read_then_it_counts_value_by_value() -> None:
    found = own(
        default={"whole": "60 days", "progress": None},
        kind={"specialist": {"default": {"appointment": "5 business days"}}},
        errand={"choose": {"errand": "1 day"}},
    )
    lengths = found.lengths("specialist", "routine")
    assert lengths["whole"] == duration("60 days")
    assert "progress" not in lengths
    assert lengths["appointment"] == duration("5 business days")
    assert lengths["consult-note"] == duration("7 days"), "as shipped"
    assert found.of_errand("choose", "routine")["errand"] == duration("1 day")
    assert found.of_errand("acknowledge", "routine")["errand"] == duration("30 minutes")


def test_given_a_calendar_in_the_file_when_read_then_days_off_and_hours_are_its() -> None:
    opened = [{"days": ["sat"], "from": "10:00:00", "to": "12:00:00"}]
    found = own(calendar={"open": opened, "holidays": ["2026-12-25"]})
    assert found.calendar.weekly == ((), (), (), (), (), ((600, 720),), ())
    assert [span[0].date().isoformat() for span in found.calendar.closed] == ["2026-12-25"]
    assert found.quiet == (20 * 60, 8 * 60)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"default": {"accept": "2 days"}}, "accept is no deadline"),
        ({"default": {"whole": "2 weeks"}}, "'2 weeks' is no duration"),
        ({"defaults": {}}, "unknown field `defaults`"),
        ({"calendar": {"holidays": ["25.12.2026"]}}, "a holiday is a day"),
        ({"quiet": {"from": "8pm", "to": "08:00:00"}}, "8pm is no time of day"),
        ({"calendar": {"open": [{"days": ["Monday"], "from": "08:00:00", "to": "09:00:00"}]}}, "Monday is no day"),
    ],
)  # fmt: skip
def test_given_a_file_that_says_what_cannot_be_when_read_then_refused_with_the_place(
    file: dict[str, object], said: str
) -> None:
    with pytest.raises(UnusableDeadlinesError, match=said):
        own(**file)


def test_given_a_zone_that_is_none_when_read_then_refused() -> None:
    with pytest.raises(UnusableDeadlinesError, match="no time zone"):
        deadlines.read(None, "Mars/Olympus")


def test_given_a_kind_and_a_priority_when_asked_when_nobody_is_reached_then_the_layers_count() -> (
    None
):
    found = own(
        unreachable={
            "default": {"channels": 1},
            "kind": {"homelessness": {"default": {"attempts": 5}, "priority": {"stat": {"within": "1 day"}}}},
        }
    )  # fmt: skip
    assert found.unreached("", "routine") == Term(3, 3, 1, duration("30 days"))
    assert found.unreached("", "stat") == Term(3, 1, 1, duration("30 days"))
    assert found.unreached("homelessness", "stat") == Term(5, 1, 1, duration("1 day"))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"default": {"attempts": 2}}, "2 attempts are on no more days"),
        ({"default": {"attempts": 0}}, "Expected `int` >= 1"),
        ({"kind": {"": {"default": {"within": "soon"}}}}, "'soon' is no duration"),
        ({"default": {"tries": 2}}, "unknown field `tries`"),
    ],
)
def test_given_attempts_that_cannot_be_when_read_then_refused(
    said: dict[str, object], why: str
) -> None:
    with pytest.raises(UnusableDeadlinesError, match=why):
        own(unreachable=said)
