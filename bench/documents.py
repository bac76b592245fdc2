"""What is written: patients, observations, orders and tasks, the same at every run.

http://hl7.org/fhir/R4/observation.html

A number chooses each document; nothing is random. Nobody of these lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from coordhub.r4 import document as fhir_json

Document = dict[str, Any]

LOINC = "http://loinc.org"
MRN = "urn:coordhub:bench:mrn"
TESTS: tuple[tuple[str, str, str, int, int], ...] = (
    ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 40, 95),
    ("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 600, 2400),
    ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 5, 30),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 90, 180),
    ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 1300, 1500),
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 30, 60),
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 950, 1900),
    ("8462-4", "Diastolic blood pressure", "mm[Hg]", 550, 1150),
    ("29463-7", "Body weight", "kg", 400, 1500),
    ("8302-2", "Body height", "cm", 1400, 2000),
)
"""LOINC code, display, unit, and the range of values in tenths."""

RARE = ("14957-5", "Microalbumin [Mass/volume] in Urine", "mg/L", 50, 900)
"""A test that one patient in 32 had, once."""

SYLLABLES = ("ar", "be", "cor", "dan", "el", "fir", "gol", "hem")
FIRST_DAY = datetime(2019, 1, 1, 8, 0, tzinfo=UTC)


def mark(number: int) -> str:
    """The record number of a patient: what tells it from all others, in seven characters."""
    return f"K{number:06d}"


def family(number: int) -> str:
    parts = (number // 8**place % 8 for place in range(3))
    return "".join(SYLLABLES[part] for part in parts).capitalize()


def patient(number: int) -> Document:
    born = datetime(1935, 1, 1, tzinfo=UTC) + timedelta(days=number * 523 % 27_000)
    return {
        "resourceType": "Patient",
        "identifier": [{"system": MRN, "value": mark(number)}],
        "active": True,
        "name": [{"family": family(number), "given": [SYLLABLES[number % 8].capitalize()]}],
        "telecom": [{"system": "phone", "value": f"555-{number % 10_000:04d}"}],
        "gender": ("female", "male")[number % 2],
        "birthDate": f"{born:%Y-%m-%d}",
        "address": [{"line": [f"{number % 900 + 1} Main St"], "city": "Springfield"}],
    }


def observation(number: int, subject: str, performer: str | None = None) -> Document:
    """A laboratory result of about 1.4 kB. subject, performer: references."""
    return _observation(TESTS[number % len(TESTS)], number, subject, performer)


def rare_observation(number: int, subject: str) -> Document:
    return _observation(RARE, number, subject, None)


def _observation(
    test: tuple[str, str, str, int, int], number: int, subject: str, performer: str | None
) -> Document:
    code, display, unit, low, high = test
    value = low + number * 7919 % (high - low)
    taken = FIRST_DAY + timedelta(hours=number * 29 % 50_000)
    quantity = {"system": "http://unitsofmeasure.org", "code": unit, "unit": unit}
    above = value > (low + high) // 2
    document: Document = {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:coordhub:bench:result", "value": f"R{number:09d}"}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                        "display": "Laboratory",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display},
        "subject": {"reference": subject},
        "effectiveDateTime": f"{taken:%Y-%m-%dT%H:%M:%S}Z",
        "issued": f"{taken + timedelta(hours=5):%Y-%m-%dT%H:%M:%S}.250Z",
        "valueQuantity": {"value": _tenths(value), **quantity},
        "interpretation": [
            {
                "coding": [
                    {
                        "system": (
                            "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
                        ),
                        "code": "H" if above else "N",
                        "display": "High" if above else "Normal",
                    }
                ]
            }
        ],
        "note": [
            {
                "text": "Sample received in good condition, measured twice, the mean is given. "
                f"Run {number % 97}, instrument {number % 11}."
            }
        ],
        "referenceRange": [
            {
                "low": {"value": _tenths(low), **quantity},
                "high": {"value": _tenths((low + high) // 2), **quantity},
                "text": f"{low / 10:g} to {(low + high) // 2 / 10:g} {unit}, adults",
            }
        ],
    }
    if performer is not None:
        document["performer"] = [{"reference": performer}]
    return document


def _tenths(value: int) -> float:
    return value / 10


def condition(number: int, subject: str) -> Document:
    code = ("E11.65", "I10", "J45.909", "N18.3")[number % 4]
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {
        "resourceType": "Condition",
        "clinicalStatus": {
            "coding": [{"system": system, "code": ("active", "resolved")[number % 2]}]
        },
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]},
        "subject": {"reference": subject},
        "recordedDate": f"{FIRST_DAY + timedelta(days=number * 13 % 2000):%Y-%m-%d}",
    }


def order(subject: str) -> Document:
    """A ServiceRequest that nobody is asked to fulfil."""
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "plan",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "306118006"}]},
        "subject": {"reference": subject},
        "authoredOn": "2026-01-15",
    }


def task(focus: str, subject: str, description: str) -> Document:
    """A Task of its writer's own, which is no referral: its status is not `requested`."""
    return {
        "resourceType": "Task",
        "status": "in-progress",
        "intent": "plan",
        "priority": "routine",
        "description": description,
        "focus": {"reference": focus},
        "for": {"reference": subject},
        "authoredOn": "2026-01-15T08:00:00Z",
        "lastModified": "2026-01-15T08:00:00Z",
    }


def transaction(documents: Iterable[Document], names: Sequence[str] = ()) -> bytes:
    """A Bundle that creates them; names: fullUrls, in their order."""
    entries: list[Document] = []
    for position, document in enumerate(documents):
        entry: Document = {
            "resource": document,
            "request": {"method": "POST", "url": document["resourceType"]},
        }
        if position < len(names):
            entry = {"fullUrl": names[position], **entry}
        entries.append(entry)
    return fhir_json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})
