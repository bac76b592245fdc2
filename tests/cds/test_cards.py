"""What a card says, whatever partners wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from coordhub.cds import cards
from coordhub.insight import priors, same_question
from coordhub.insight.prior_results import Priors
from coordhub.insight.same_question import LOINC
from coordhub.store.resources import Version

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def told(holder: str, value: str = "7.9 %", days: int = 9) -> dict[str, Any]:
    question = same_question.asked([(LOINC, "4548-4")])
    assert question is not None
    version = Version(1, "Observation", "r", 1, "create", NOW, 7, 7, 256, "{}")
    codes = frozenset({(LOINC, "4548-4")})
    result = priors.Result(
        version, {"status": "final"}, "HbA1c", codes, NOW - timedelta(days=days), days, True, value
    )
    found = Priors(question, [result], [], None, {1: holder})
    assert cards.subject(found) == result
    return cards.card(
        result, found, uuid=UUID(int=1), suggestion=UUID(int=2), order=None, base="http://h/fhir",
        organization="Organization/1", patient="Patient/1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("days", "said"), [(0, "today"), (1, "yesterday"), (2, "2 days ago"), (60, "60 days ago")]
)
def test_given_an_age_when_told_then_as_people_say_it(days: int, said: str) -> None:
    assert told("", days=days)["summary"] == f"HbA1c 7.9 % was resulted {said}"


@pytest.mark.parametrize("holder", ["", "Lab", "A" * 300, "Very " * 60])
@pytest.mark.parametrize("value", ["7.9 %", "positive " * 40])
def test_given_long_names_when_told_then_the_summary_keeps_to_its_bound_and_says_when(
    holder: str, value: str
) -> None:
    summary = told(holder, value)["summary"]
    assert 0 < len(summary) < 140
    assert "\n" not in summary
    if value == "7.9 %":
        assert summary.startswith("HbA1c 7.9 % was resulted 9 days ago")


def test_given_markdown_in_a_value_when_told_then_it_is_no_markdown() -> None:
    detail = told("", "[click](http://evil.example)\n# big <b>")["detail"]
    assert "[click](" not in detail.replace("\\[", "").replace("\\]", "]")
    assert "\n" not in detail
    assert "\\[click\\]\\(http://evil.example\\) \\# big \\<b\\>" in detail


def test_given_nothing_new_when_asked_then_there_is_no_card() -> None:
    question = same_question.asked([(LOINC, "4548-4")])
    assert question is not None
    assert cards.subject(Priors(question, [], [], None, {})) is None
