"""What is called how that comes without words."""

from __future__ import annotations

import pytest

from coordhub.portal import asking
from coordhub.portal.sheets import words

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"


@pytest.mark.parametrize(
    ("coding", "said"),
    [
        ({"system": LOINC, "code": "17856-6"}, "HbA1c"),
        ({"system": LOINC, "code": "34133-9"}, "Consult note"),
        ({"system": LOINC, "code": "10160-0"}, "Medication changes"),
        ({"system": SNOMED, "code": "306118006"}, "Referral to endocrinology"),
        ({"system": LOINC, "code": "17856-6", "display": "as it was called"}, "as it was called"),
        ({"system": LOINC, "code": "1-8"}, "1-8"),
    ],
)
def test_given_a_coding_when_it_is_read_then_it_is_said_in_words_where_there_are_any(
    coding: dict[str, str], said: str
) -> None:
    assert words({"coding": [coding]}) == said


@pytest.mark.parametrize("form", asking.forms().values(), ids=lambda one: one.id)
def test_given_an_answered_questionnaire_when_it_is_listed_then_it_is_called_by_its_title(
    form: asking.Form,
) -> None:
    assert asking.called({"questionnaire": f"{form.url}|1.0"}) == form.title
    assert asking.called({"questionnaire": "urn:example:another"}) == ""
