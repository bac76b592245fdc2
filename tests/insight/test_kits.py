"""Which kit goes with a referral, as shipped and as an operator changes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from coordhub.insight import kits, same_question
from coordhub.insight.kits import UnusableKitsError
from coordhub.insight.same_question import LOINC

SNOMED = "http://snomed.info/sct"


def order(*codes: tuple[str, str]) -> dict[str, Any]:
    return {"code": {"coding": [{"system": system, "code": code} for system, code in codes]}}


@pytest.fixture
def own() -> Iterator[None]:
    """What a test makes the process go by ends with it."""
    yield
    kits.use(kits.read())


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ((SNOMED, "306118006"), "endocrinology"),
        ((SNOMED, "394583002"), "endocrinology"),  # the specialty, which means the same
        ((SNOMED, "183519002"), "cardiology"),
        ((LOINC, "4548-4"), None),
    ],
)
def test_given_an_order_when_its_kind_has_a_kit_then_it_is_that_one(
    asked: tuple[str, str], name: str | None
) -> None:
    kit = kits.of(order(("urn:own", "x"), asked))
    assert (kit.name if kit else None) == name


def test_given_the_kit_of_endocrinology_when_asked_for_a_note_then_any_note_of_the_visit_will_do() -> (
    None
):
    kit = kits.of(order((SNOMED, "306118006")))
    assert kit is not None
    assert "hba1c" in {one.question.name for one in kit.answers}
    assert [each["valueCodeableConcept"]["text"] for each in kit.inputs] == [
        "Consult note", "Medication changes, if any",
    ]  # fmt: skip
    assert [one.title for one in kit.missing([(LOINC, "10160-0")])] == ["Consult note"]
    assert kit.missing([(LOINC, "11506-3")]) == []
    assert not kit.community


def test_given_an_operator_s_file_when_read_then_a_kit_of_one_name_takes_the_other_s_place(
    own: None,
) -> None:
    text = b"""[{"kit": "endocrinology", "kinds": ["urn:own|E"],
      "attach": [{"title": "HbA1c", "question": "ours"}]},
     {"kit": "food", "kinds": ["urn:own|F"], "community": true,
      "attach": [{"title": "Household", "codes": ["LOINC|63512-8"]}]}]"""
    questions = same_question.read(b'[{"question": "ours", "codes": ["urn:own|A1C"]}]')
    kits.use(kits.read(text, questions))
    assert kits.of(order((SNOMED, "306118006"))) is None
    assert [kit.name for kit in kits.in_use()] == ["cardiology", "endocrinology", "food"]
    food = kits.of(order(("urn:own", "F")))
    assert food is not None
    assert food.community
    assert food.answers[0].question.codes == {(LOINC, "63512-8")}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"question": "hba1c", "codes": ["LOINC|4548-4"]}, "one of question, codes and search"),
        ({}, "one of question, codes and search"),
        ({"question": "no such"}, "there is no question 'no such'"),
        ({"codes": ["4548-4"]}, "is not system|code"),
        ({"search": "Observation?code=x", "days": 3}, "go without one"),
        ({"search": "Organization?name=x"}, "of one patient"),
        ({"search": "Nothing?name=x"}, "of one patient"),
        ({"search": "Condition?colour=blue"}, "colour"),
        ({"search": "Condition?_count=3"}, "most says how many"),
        ({"question": "hba1c", "most": 0}, ">= 1"),
        ({"question": "hba1c", "mots": 1}, "mots"),
    ],
)
def test_given_a_file_that_cannot_be_when_read_then_it_says_where(
    entry: dict[str, Any], says: str
) -> None:
    kit = {"kit": "own", "kinds": ["urn:own|E"], "attach": [{"title": "T", **entry}]}
    with pytest.raises(UnusableKitsError, match=says.replace("|", r"\|")):
        kits.read(json.dumps([kit]).encode())
