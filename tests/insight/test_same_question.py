"""Codes that answer the same question, as shipped and as an operator changes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from coordhub.insight import same_question
from coordhub.insight.same_question import LOINC

DAY = timedelta(days=1)


@pytest.fixture
def own() -> Iterator[None]:
    """What a test makes the process go by ends with it."""
    yield
    same_question.use(same_question.read())


def test_given_the_shipped_codes_when_read_then_each_has_its_check_digit() -> None:
    """LOINC's last digit is Luhn's of those before it: https://loinc.org/kb/users-guide/"""

    def luhn(digits: str) -> int:
        doubled = [int(one) * 2 if at % 2 == 0 else int(one) for at, one in enumerate(digits[::-1])]
        return -sum(one - 9 if one > 9 else one for one in doubled) % 10

    codes = [code for system, code in same_question.read() if system == LOINC]
    assert len(codes) > 25
    assert [code for code in codes if int(code[-1]) != luhn(code.partition("-")[0])] == []


def test_given_a_window_when_shipped_then_it_says_whose_figure_it_is() -> None:
    questions = set(same_question.read().values())
    assert {one.name for one in questions if one.window and "://" not in one.source} == set()
    windows = {one.name: one.window for one in questions}
    assert windows["hba1c"] == 60 * DAY
    assert windows["tsh"] == windows["lipid-panel"] == 28 * DAY
    assert windows["crp"] == 2 * DAY
    assert windows["ecg"] is None


@pytest.mark.parametrize(
    ("asked", "by", "answered"),
    [
        ("17856-6", "4548-4", True),
        ("2160-0", "24323-8", True),  # creatinine by a comprehensive panel, which holds a basic one
        ("24323-8", "2160-0", False),  # a panel by one of its tests
        ("2093-3", "57698-3", True),
        ("3016-3", "4548-4", False),
    ],
)
def test_given_an_order_when_asked_then_equivalents_and_whole_panels_answer_it(
    asked: str, by: str, answered: bool
) -> None:
    question = same_question.asked([("urn:own", "x"), (LOINC, asked)])
    assert question is not None
    assert ((LOINC, by) in question.answers) == answered


def test_given_a_code_nobody_knows_when_asked_then_it_answers_itself_and_nobody_is_warned() -> None:
    question = same_question.asked([("urn:own", "x"), ("", "y")])
    assert question is not None
    assert question.answers == {("urn:own", "x")}
    assert question.window is None
    assert same_question.asked([("", "y")]) is None


def test_given_an_operator_s_file_when_read_then_it_goes_on_and_may_change_a_window(
    own: None,
) -> None:
    text = (
        b'[{"question": "hba1c", "codes": ["urn:own|A1C"], "window_days": 40, "source": "Leeds"},'
        b' {"question": "crp", "window_days": 0}]'
    )
    same_question.use(same_question.read(text))
    question = same_question.asked([("urn:own", "A1C")])
    assert question is not None
    assert (question.window, question.source, question.title) == (40 * DAY, "Leeds", "HbA1c")
    assert (LOINC, "4548-4") in question.answers
    crp = same_question.asked([(LOINC, "1988-5")])
    assert crp is not None
    assert crp.window is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{}", "Expected `array`"),
        (b'[{"question": "x", "codes": ["4548-4"]}]', "is not system|code"),
        (b'[{"question": "x", "codes": ["LOINC|4548-4"]}]', "a code asks one question"),
        (b'[{"question": "x", "codes": ["u|1"], "part_of": ["y"]}]', "which is not there"),
        (b'[{"question": "x", "window_days": -1}]', ">= 0"),
    ],
)
def test_given_a_file_that_cannot_be_when_read_then_it_says_where(text: bytes, says: str) -> None:
    with pytest.raises(same_question.UnusableQuestionsError, match=says.replace("|", r"\|")):
        same_question.read(text)
