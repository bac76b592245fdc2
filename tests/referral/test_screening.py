"""What answers to a screening say: a table of answers, and what they come to."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.r4 import structure
from coordhub.record.bootstrap import questionnaires
from coordhub.referral import findings, screening

HVS = "http://loinc.org/q/88121-9"
PRAPARE = "http://hl7.org/fhir/us/sdoh-clinicalcare/Questionnaire/SDOHCC-QuestionnairePRAPARE|1.0"
AHC = "http://loinc.org/q/96777-8"

OFTEN, NEVER, UNKNOWN = "LA28397-0", "LA28398-8", "LA15775-2"
YES, NO, DECLINED = "LA33-6", "LA32-8", "LA30122-8"
HITS = ("95618-5", "95617-7", "95616-9", "95615-1")
POINTS = ("LA6270-8", "LA10066-1", "LA10082-8", "LA16644-9", "LA6482-9")


def response(url: str, answers: dict[str, str | int], **others: Any) -> dict[str, Any]:
    def value(given: str | int) -> dict[str, Any]:
        if isinstance(given, int):
            return {"valueInteger": given}
        return {"valueCoding": {"system": "http://loinc.org", "code": given}}

    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": url,
        "status": "completed",
        "subject": {"reference": "Patient/one"},
        "authored": "2026-11-26T10:00:00Z",
        "item": [
            {
                "linkId": "/group",
                "item": [
                    {
                        "linkId": f"/group/{code}",
                        "answer": [value(each) for each in str(given).split()]
                        if isinstance(given, str)
                        else [value(given)],
                    }
                    for code, given in answers.items()
                ],
            }
        ],
        **others,
    }


def said(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]] | None:
    found = screening.read(document)
    if found is None:
        return None
    return {one.key: one.value for one in found.findings}, [one.kind for one in found.needs]


AT_RISK = {"88124-3": "LA19952-3"}


@pytest.mark.parametrize(
    ("url", "answers", "values", "needs"),
    [
        (HVS, {"88122-7": OFTEN, "88123-5": NEVER}, AT_RISK, ["food-insecurity"]),
        (HVS, {"88122-7": NEVER, "88123-5": "LA6729-3"}, AT_RISK, ["food-insecurity"]),
        (HVS, {"88122-7": NEVER, "88123-5": NEVER}, {"88124-3": "LA19983-8"}, []),
        # what is not answered is not No
        (HVS, {"88122-7": NEVER}, {}, []),
        (HVS, {"88122-7": NEVER, "88123-5": UNKNOWN}, {}, []),
        (HVS, {"88122-7": UNKNOWN, "88123-5": UNKNOWN}, {}, []),
        (HVS, {}, {}, []),
        # the answers count, and not what their sender makes of them
        (HVS, {"88122-7": OFTEN, "88124-3": "LA19983-8"}, AT_RISK, ["food-insecurity"]),
        (HVS, {"88124-3": "LA19952-3"}, AT_RISK, ["food-insecurity"]),
        (PRAPARE, {"71802-3": "LA30190-5"}, {"71802-3": "LA30190-5"}, ["homelessness"]),
        (PRAPARE, {"71802-3": DECLINED, "93033-9": DECLINED}, {}, []),
        (
            PRAPARE,
            {"93031-3": "LA30125-1 LA30126-9", "63512-8": 4},
            {"93031-3/LA30125-1": "LA30125-1", "93031-3/LA30126-9": "LA30126-9"},
            ["food-insecurity", "material-hardship"],
        ),
        (PRAPARE, {"56051-6": YES, "32624-9": "LA4457-3"}, {}, []),
        (AHC, {"93030-5": YES}, {"93030-5/LA33-6": YES}, ["transportation-insecurity"]),
        (AHC, {"93030-5": NO}, {"93030-5/LA32-8": NO}, []),
        (AHC, dict.fromkeys(HITS, POINTS[0]), {"95614-4": 4}, []),
        (AHC, dict(zip(HITS, POINTS[:4], strict=True)), {"95614-4": 10}, []),
        (AHC, dict(zip(HITS, POINTS[1:], strict=True)), {"95614-4": 14}, ["intimate-partner-violence"]),
    ],
)  # fmt: skip
def test_given_answers_when_read_then_they_say_this(url, answers, values, needs):
    found = said(response(url, answers))
    assert found is not None
    told, kinds = found
    asked = {key: value for key, value in told.items() if key not in answers or key in values}
    assert (asked, kinds) == (values, needs)


@pytest.mark.parametrize("status", ["in-progress", "stopped", "entered-in-error"])
def test_given_a_response_that_does_not_speak_when_read_then_it_says_nothing(status):
    assert said(response(HVS, {"88122-7": OFTEN}, status=status)) is None


def test_given_a_questionnaire_of_somebody_else_when_read_then_it_says_nothing():
    assert said(response("http://example.org/Questionnaire/1", {"88122-7": OFTEN})) is None


def test_given_three_of_four_questions_of_safety_when_read_then_there_is_no_score():
    found = screening.read(response(AHC, dict.fromkeys(HITS[:3], POINTS[4])))
    assert found is not None
    assert (found.asked_of_safety, found.needs) == (True, ())
    assert [one.key for one in found.findings] == list(HITS[:3])


def test_given_every_kind_of_answer_when_made_then_all_is_valid_and_safety_is_proposed_nothing():
    answers: dict[str, str | int] = dict.fromkeys(HITS, POINTS[4]) | {
        "71802-3": "LA31995-6", "96778-6": "LA28580-1 LA32001-2", "88122-7": OFTEN,
        "93030-5": YES, "96779-4": "LA32002-0",
    }  # fmt: skip
    document = response(AHC, answers)
    found = screening.read(document)
    assert found is not None

    def of(kind: str, key: str) -> str:
        return f"{kind}/{key.replace('/', '-')}"

    name, stamp = "QuestionnaireResponse/q", "2026-11-26T10:00:00Z"
    told = findings.Told(found, document, name, stamp, of)
    made, proposed = list(findings.made(told)), list(findings.proposals(told))
    for one in (*made, *proposed):
        assert not structure.check(one.document), (one.key, structure.check(one.document))
    for one in made:
        withdrawn = findings.withdrawn(one.document)
        assert not structure.check(withdrawn), (one.key, structure.check(withdrawn))
    assert {one.key for one in proposed} == {
        "homelessness", "inadequate-housing", "food-insecurity", "transportation-insecurity",
        "utility-insecurity",
    }  # fmt: skip
    [panel] = [one for one in made if "hasMember" in one.document]
    members = {each["reference"] for each in panel.document["hasMember"]}
    assert not {f"Observation/{code}" for code in HITS} & members
    assert len(members) == 7
    assert not panel.sensitive
    names = {f"{one.type}/{one.key.replace('/', '-')}" for one in made}
    assert members < names
    for one in (one for one in made if one.type == "Condition"):
        assert {each["reference"] for each in one.document["evidence"][0]["detail"]} < names


def test_given_the_questionnaires_when_read_then_each_is_valid_and_says_whose_its_words_are():
    codes = {item.code for item in screening._file().items}
    shipped = [one for one in questionnaires() if "code" in one]
    assert {one["code"][0]["code"] for one in shipped} == {"96777-8", "93025-5", "88121-9"}
    for one in shipped:
        assert not structure.check(one), structure.check(one)
        assert "LOINC" in one["copyright"]
        assert screening.panel_of({"questionnaire": one["url"]}) == one["code"][0]["code"]
        codes -= {
            item["linkId"].rpartition("/")[2]
            for item in _items(one["item"])
            if item["linkId"].endswith(item["code"][0]["code"])
        }
    assert not codes, "every item that is read is asked by one of them"


def _items(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for one in items for each in (one, *_items(one.get("item", [])))]
