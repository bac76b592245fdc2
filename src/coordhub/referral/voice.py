"""What a person says of the help that it was to get: whether it was there.

http://hl7.org/fhir/R4/questionnaireresponse.html, http://hl7.org/fhir/us/sdoh-clinicalcare (feedback questionnaire)

One question, in the hub's own words, and room for words of the person's. The order that it is about is named
in `basedOn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

QUESTIONNAIRE: Final = "urn:coordhub:questionnaire:got-what-you-needed"
SYSTEM: Final = "urn:coordhub:answer"
ANSWERS: Final = {"yes": "Yes", "partly": "In part", "no": "No"}

_NOT: Final = frozenset({"no", "partly"})
_GOT, _WORDS = "got", "words"

Document = dict[str, Any]


def response(order: str, patient: str, answer: str, words: str, now: str) -> Document:
    """A QuestionnaireResponse. order: `ServiceRequest/id`; answer: of ANSWERS; words: "" for none."""
    coding = {"system": SYSTEM, "code": answer, "display": ANSWERS[answer]}
    items: list[Document] = [{"linkId": _GOT, "answer": [{"valueCoding": coding}]}]
    if words:
        items.append({"linkId": _WORDS, "answer": [{"valueString": words}]})
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": QUESTIONNAIRE,
        "status": "completed",
        "basedOn": [{"reference": order}],
        "subject": {"reference": patient},
        "source": {"reference": patient},
        "authored": now,
        "item": items,
    }


def is_answer(document: Mapping[str, Any]) -> bool:
    """Whether this is a response to the question."""
    return str(document.get("questionnaire", "")).partition("|")[0] == QUESTIONNAIRE


def says_no(document: Mapping[str, Any]) -> bool:
    """Whether the person says that it did not get what it needed, or not all of it."""
    if not is_answer(document) or document.get("status") not in ("completed", "amended"):
        return False
    return any(
        answer.get("valueCoding", {}).get("code") in _NOT
        and answer.get("valueCoding", {}).get("system") == SYSTEM
        for item in document.get("item") or ()
        if item.get("linkId") == _GOT
        for answer in item.get("answer") or ()
    )
