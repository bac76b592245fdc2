"""A screening as a form: its questions and answers in words, and what was filled in as a QuestionnaireResponse.

http://hl7.org/fhir/R4/questionnaire.html, docs/screening.md (whose the words are)

The questions are those of the Questionnaires that the hub brings, as far as their answers are read. Where
the wording belongs to others, our own names of topics and answers stand here: staff asks with the form that it
has from the owner, and enters what was said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from coordhub.record.bootstrap import questionnaires
from coordhub.referral import screening

WORDED: Final = frozenset({"hunger-vital-sign"})
"""Ids of those whose questions stand here as they are to be asked."""

ANSWERS: Final[Mapping[str, str]] = {
    "LA33-6": "Yes", "LA32-8": "No", "LA30122-8": "Would rather not say",
    "LA15775-2": "Does not know, or would rather not say",
    "LA28397-0": "Often true", "LA6729-3": "Sometimes true", "LA28398-8": "Never true",
    "LA31993-1": "A steady place", "LA31994-9": "A place today, and worried about losing it",
    "LA31995-6": "No steady place", "LA30189-7": "Has housing", "LA30190-5": "Has no housing",
    "LA31996-4": "Bugs, ants or mice", "LA28580-1": "Mold", "LA31997-2": "Lead", "LA31998-0": "No proper heating",
    "LA31999-8": "Stove or oven broken", "LA32000-4": "Smoke detectors missing or broken",
    "LA32001-2": "Water comes in", "LA9-3": "Nothing of this", "LA32002-0": "Already shut off",
    "LA6270-8": "Never", "LA10066-1": "Rarely", "LA10082-8": "Sometimes", "LA16644-9": "Fairly often",
    "LA6482-9": "Frequently", "LA30191-3": "Less than high school", "LA30192-1": "High school or GED",
    "LA30193-9": "More than high school", "LA17956-6": "Unemployed", "LA30138-4": "Part-time or temporary",
    "LA30136-8": "Full-time", "LA30137-6": "Not working, and not looking for work",
    "LA30194-7": "None", "LA17849-3": "Medicaid", "LA30195-4": "CHIP Medicaid", "LA15652-3": "Medicare",
    "LA30196-2": "Other public, not CHIP", "LA30197-0": "Other public, CHIP", "LA6350-8": "Private",
    "LA30125-1": "Food", "LA30126-9": "Clothing", "LA30124-4": "Utilities", "LA30127-7": "Child care",
    "LA30128-5": "Medicine or health care", "LA30129-3": "Phone", "LA46-8": "Something else",
    "LA30133-5": "Yes, for medical things", "LA30134-3": "Yes, for other things", "LA30257-2": "Cannot answer",
    "LA27722-0": "Less than once a week", "LA30130-1": "1 or 2 times a week", "LA30131-9": "3 to 5 times a week",
    "LA30132-7": "5 times a week or more", "LA6568-5": "Not at all", "LA13863-8": "A little",
    "LA13909-9": "Somewhat", "LA13902-4": "Quite a bit", "LA13914-9": "Very much", "LA14072-5": "Unsure",
}  # fmt: skip
"""Answers in our words, or in those of LOINC where these are a word or two."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """answers: codes and what they are called. several: more than one may be given."""

    link: str
    code: str
    text: str
    answers: tuple[tuple[str, str], ...]
    several: bool


@dataclass(frozen=True, slots=True)
class Form:
    """worded: its questions are asked in these words."""

    id: str
    url: str
    title: str
    worded: bool
    questions: tuple[Question, ...]


@cache
def forms() -> Mapping[str, Form]:
    """By id, as the hub brings them."""
    return {
        one["id"]: Form(
            one["id"], one["url"], one["title"], one["id"] in WORDED, tuple(_questions(one["item"]))
        )
        for one in questionnaires()
        if screening.panel_of({"questionnaire": one["url"]}) is not None
    }


def called(response: Document) -> str:
    """What the questionnaire that this answers is called; "" where it is none that is read here."""
    panel = screening.panel_of(response)
    return next(
        (
            one.title
            for one in forms().values()
            if panel is not None and screening.panel_of({"questionnaire": one.url}) == panel
        ),
        "",
    )


def _questions(items: list[Document]) -> Iterator[Question]:
    for item in items:
        code = item["code"][0]["code"]
        codes = [one["valueCoding"]["code"] for one in item.get("answerOption", ())]
        if codes and screening.is_read(code) and not item.get("readOnly"):
            answers = tuple((each, ANSWERS[each]) for each in codes)
            yield Question(item["linkId"], code, item["text"], answers, bool(item.get("repeats")))
        yield from _questions(item.get("item", []))


def response(
    form: Form, given: Mapping[str, str], patient: str, author: str, now: str
) -> Document | None:
    """What was filled in; None where nothing was. given: as the form sends it, see `rooms/screening.html`."""
    items = []
    for question in form.questions:
        chosen = [
            code
            for code, _ in question.answers
            if (f"{question.code}.{code}" in given if question.several else given.get(question.code) == code)
        ]  # fmt: skip
        if chosen:
            answers = [{"valueCoding": {"system": screening.LOINC, "code": one}} for one in chosen]
            items.append({"linkId": question.link, "answer": answers})
    if not items:
        return None
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": form.url,
        "status": "completed",
        "subject": {"reference": patient},
        "authored": now,
        "author": {"reference": author},
        "source": {"reference": patient},
        "item": items,
    }
