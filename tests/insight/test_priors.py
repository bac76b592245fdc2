"""Which results answer what is about to be ordered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from coordhub.insight import priors, same_question
from coordhub.insight.same_question import LOINC, Question
from coordhub.store.resources import Version

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)
BASE = "http://hub.example/fhir"
SHE, OTHER = 256, 512
PERCENT = {"system": "http://unitsofmeasure.org", "code": "%", "unit": "%"}

Document = dict[str, Any]


def asked(code: str = "17856-6") -> Question:
    question = same_question.asked([(LOINC, code)])
    assert question is not None
    return question


def stored(document: Document, rid: int = 1, patient: int = SHE) -> Version:
    text, kind = json.dumps(document), document["resourceType"]
    return Version(rid, kind, f"r{rid}", 1, "create", NOW, 7, 7, patient, text)


def hba1c(value: float = 7.9, days: int = 9, code: str = "4548-4", **others: Any) -> Document:
    taken = (NOW - days * DAY).isoformat()
    whole = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "effectiveDateTime": taken,
        "valueQuantity": {"value": value, **PERCENT},
        **others,
    }
    return {name: each for name, each in whole.items() if each is not None}


def results(*versions: Version, rejected: tuple[str, ...] = ()) -> list[priors.Result]:
    return priors.results(asked(), versions, patients=[SHE], now=NOW, rejected=rejected, base=BASE)


def test_given_results_when_asked_then_newest_first_by_when_they_were_taken() -> None:
    found = results(
        stored(hba1c(7.1, days=200), 3),
        stored(hba1c(7.9, days=9), 1),
        stored(hba1c(7.5, days=60), 2),
    )
    assert [(one.value, one.age, one.is_new) for one in found] == [
        ("7.9 %", 9, True), ("7.5 %", 60, True), ("7.1 %", 200, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "entered-in-error"},
        {"status": "preliminary"},
        {"status": "cancelled"},
        {"valueQuantity": None, "dataAbsentReason": {"text": "hemolyzed"}},
        {"dataAbsentReason": {"text": "beside a value"}},
        {"valueQuantity": None},
        {"valueQuantity": {"unit": "%"}},
        {"effectiveDateTime": None},
        {"effectiveDateTime": (NOW + DAY).isoformat()},
        {"code": {"coding": [{"system": LOINC, "code": "2160-0"}]}},
        {"code": {"coding": [{"system": "urn:own", "code": "4548-4"}]}},
        {"specimen": {"reference": "Specimen/bad"}},
        {"specimen": {"reference": f"{BASE}/Specimen/bad"}},
        {
            "contained": [{"resourceType": "Specimen", "id": "s", "status": "unsatisfactory"}],
            "specimen": {"reference": "#s"},
        },
    ],
)
def test_given_what_does_not_count_when_asked_then_it_is_no_answer(wrong: Document) -> None:
    assert results(stored(hba1c())) != []
    assert results(stored(hba1c(**wrong)), rejected=("Specimen/bad",)) == []


def test_given_the_result_of_another_patient_when_asked_then_it_is_no_answer() -> None:
    assert results(stored(hba1c(), patient=OTHER)) == []


@pytest.mark.parametrize(("days", "is_new"), [(0, True), (59, True), (60, True), (61, False)])
def test_given_an_age_when_asked_then_the_window_is_of_whole_days(days: int, is_new: bool) -> None:
    [one] = results(stored(hba1c(days=days)))
    assert one.is_new == is_new


def test_given_a_question_without_a_window_when_asked_then_nothing_is_new() -> None:
    ecg = hba1c(code="11524-6")
    [one] = priors.results(asked("11524-6"), [stored(ecg)], patients=[SHE], now=NOW)
    assert not one.is_new


def test_given_a_day_or_a_month_when_asked_then_the_oldest_it_may_be_counts() -> None:
    [day] = results(stored(hba1c(effectiveDateTime="2026-11-13")))
    assert day.age == 9
    [month] = results(stored(hba1c(effectiveDateTime="2026-11")))
    assert month.age == 21


@pytest.mark.parametrize(
    ("earlier", "direction"),
    [
        (hba1c(7.1, 100), "rising"),
        (hba1c(8.2, 100), "falling"),
        (hba1c(7.9, 100), "steady"),
        (hba1c(62, 100, valueQuantity={"value": 62, **PERCENT, "code": "mmol/mol"}), None),
        (hba1c(7.1, 100, code="62388-4"), None),  # another scale in the same unit
        (hba1c(7.1, 100, valueQuantity={"value": 7.1, "unit": "%"}), None),
        (hba1c(7.1, 100, valueQuantity={"value": 7.1, "comparator": ">", **PERCENT}), None),
        (hba1c(7.1, 9), None),  # of the same moment
    ],
)
def test_given_an_earlier_value_when_of_the_same_unit_and_code_then_it_is_compared(
    earlier: Document, direction: str | None
) -> None:
    found = priors.trend(results(stored(hba1c(7.9)), stored(earlier, 2)))
    assert (found and found.direction) == direction
    if direction == "rising":
        assert found is not None
        assert found.change == Decimal("0.8")


@pytest.mark.parametrize(
    "document",
    [
        {"resourceType": "DiagnosticReport", "status": "final", "effectiveDateTime": "2026-11-13"},
        {"resourceType": "ImagingStudy", "status": "available", "started": "2026-11-13"},
        {"resourceType": "DocumentReference", "status": "current", "date": "2026-11-13T08:00:00Z"},
    ],
)
def test_given_reports_studies_and_documents_when_coded_then_they_answer(
    document: Document,
) -> None:
    element = priors.CODED_BY[document["resourceType"]]
    concept = {"coding": [{"system": LOINC, "code": "4548-4"}]}
    coded = {**document, element: [concept] if element == "procedureCode" else concept}
    [one] = results(stored(coded))
    assert (one.title, one.age, one.value) == ("HbA1c", 9, "")
    assert results(stored({**coded, "status": "entered-in-error"})) == []
    assert results(stored(document)) == []


def order(days: int = 2, **others: Any) -> Document:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": "4548-4"}]},
        "authoredOn": (NOW - days * DAY).isoformat(),
        **others,
    }


TASK = {
    "resourceType": "Task",
    "status": "in-progress",
    "focus": {"reference": "ServiceRequest/r5"},
}


def pending(one: Document, task: Document = TASK, *beside: Version) -> list[priors.Pending]:
    version = stored(one, 5)
    ordered = priors.orders(asked(), [version], patients=[SHE])
    return priors.pending(
        asked(), ordered, [stored(task, 6)], [version, *beside], now=NOW, base=BASE
    )


def test_given_an_order_somebody_is_at_when_asked_then_it_is_pending_until_there_is_a_result() -> (
    None
):
    [one] = pending(order())
    assert (one.age, one.title) == (2, "HbA1c")
    result = hba1c(basedOn=[{"reference": "ServiceRequest/r5"}])
    assert pending(order(), TASK, stored(result, 7)) == []
    assert len(pending(order(), TASK, stored({**result, "status": "registered"}, 7))) == 1


@pytest.mark.parametrize(
    ("one", "task"),
    [
        (order(status="revoked"), TASK),
        (order(intent="plan"), TASK),
        (order(doNotPerform=True), TASK),
        (order(days=61), TASK),
        (order(code={"text": "HbA1c"}), TASK),
        (order(), {**TASK, "status": "rejected"}),
        (order(), {**TASK, "status": "completed"}),
        (order(), {**TASK, "focus": {"reference": "ServiceRequest/other"}}),
    ],
)
def test_given_an_order_nobody_is_at_when_asked_then_it_is_not_pending(
    one: Document, task: Document
) -> None:
    assert pending(one, task) == []
