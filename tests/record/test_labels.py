from __future__ import annotations

from typing import Any

import pytest

from coordhub.r4 import sensitivity as s
from coordhub.record import labels

LISTS = labels.compiled(labels.shipped())
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
BASE = "https://hub.example.org/fhir"


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def condition(system: str, code: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "code": concept(system, code), **more}


@pytest.mark.parametrize(
    ("system", "code", "bits"),
    [
        (ICD, "F11.20", s.SUD),
        (ICD, "f1120", s.SUD),
        (ICD, "F10", s.SUD),
        (ICD, "F17.210", 0),
        (ICD, "F1", 0),
        ("urn:oid:2.16.840.1.113883.6.90", "F11.20", s.SUD),
        ("http://hl7.org/fhir/sid/icd-10", "F11.2", s.SUD),
        ("https://HL7.org/fhir/sid/icd-10-cm/", "F11.20", s.SUD),
        (f"{ICD}|2026", "F11.20", s.SUD),
        (ICD, "B20", s.HIV),
        (ICD, "Z21", s.HIV),
        (ICD, "O98.711", s.HIV),
        (ICD, "F32.9", s.PSY),
        (ICD, "F84.0", 0),
        (ICD, "Z30.011", s.SEX),
        (ICD, "T74.11XA", s.SDV),
        (ICD, "T76.02XA", s.SDV),
        (ICD, "E11.9", 0),
        (SNOMED, "706893006", s.SDV),
        (SNOMED, "86406008", s.HIV),
        (SDOH, "intimate-partner-violence", s.SDV),
        (SDOH, "elder-abuse", s.SDV),
        (SDOH, "food-insecurity", 0),
        (LOINC, "44261-6", s.PSY),
        (LOINC, "72109-2", s.SUD),
        (LOINC, "4548-4", 0),
        (RXNORM, "6813", s.SUD),
        ("https://example.org/own", "F11.20", 0),
    ],
)
def test_a_code_of_the_lists_gives_its_class(system: str, code: str, bits: int) -> None:
    assert labels.label(condition(system, code), LISTS) == bits


@pytest.mark.parametrize(
    "document",
    [
        {"resourceType": "ServiceRequest", "reasonCode": [concept(ICD, "F11.20")]},
        {"resourceType": "ServiceRequest", "category": [concept(ICD, "F11.20")]},
        {"resourceType": "MedicationRequest", "medicationCodeableConcept": concept(ICD, "F11.20")},
        {"resourceType": "Observation", "component": [{"code": concept(ICD, "F11.20")}]},
        {"resourceType": "Observation", "valueCodeableConcept": concept(ICD, "F11.20")},
        {"resourceType": "Medication", "code": concept(ICD, "F11.20")},
        {"resourceType": "Task", "contained": [condition(ICD, "F11.20", id="c")]},
        {"resourceType": "Bundle", "entry": [{"resource": condition(ICD, "F11.20")}]},
        {"resourceType": "Patient", "extension": [
            {"url": "http://x.org", "valueCoding": {"system": ICD, "code": "F11.20"}}]},
    ],
)  # fmt: skip
def test_a_code_is_found_wherever_it_stands(document: dict[str, Any]) -> None:
    assert labels.label(document, LISTS) == s.SUD


def test_what_the_directory_offers_is_no_ones_secret() -> None:
    service = {
        "resourceType": "HealthcareService",
        "type": [concept("http://terminology.hl7.org/CodeSystem/service-type", "485")],
    }
    assert labels.label(service, LISTS) == 0
    tag = {"system": SDOH, "code": "elder-abuse"}
    assert labels.label({"resourceType": "Condition", "meta": {"tag": [tag]}}, LISTS) == 0


@pytest.mark.parametrize(
    ("document", "bits"),
    [
        ({"meta": {"security": [{"system": s.ACT_CODE, "code": "HIV"}]}}, s.HIV),
        ({"securityLabel": [concept(s.CONFIDENTIALITY, "V")]}, s.RESTRICTED),
        ({"resourceType": "Composition", "confidentiality": "R"}, s.RESTRICTED),
        ({"resourceType": "Composition", "confidentiality": "N"}, 0),
        ({"resourceType": "Patient", "address": [{"extension": [
            {"url": labels.INLINE, "valueCoding": {"system": s.ACT_CODE, "code": "SDV"}}]}]}, s.SDV),
        ({"resourceType": "Bundle", "entry": [{"resource": {
            "resourceType": "Basic", "meta": {"security": [{"system": s.ACT_CODE, "code": "SEX"}]}}}]},
         s.SEX),
        ({"resourceType": "Organization", "meta": {"security": [{"code": "R"}]}}, s.RESTRICTED),
        ({"securityLabel": "x", "entry": [None, 1, "x"]}, 0),
    ],
)  # fmt: skip
def test_what_an_author_labelled_counts(document: dict[str, Any], bits: int) -> None:
    assert labels.label({"resourceType": "DocumentReference"} | document, LISTS) == bits


def test_the_lists_are_changed_by_one_entry_more_or_less() -> None:
    more = labels.compiled([*labels.shipped(), labels.Entry("SEX", "urn:own", "ab*")])
    assert labels.label(condition("urn:own", "AB-1"), more) == s.SEX
    less = labels.compiled(
        one for one in labels.shipped() if one != labels.Entry("SUD", ICD, "F11*")
    )
    assert labels.label(condition(ICD, "F11.20"), less) == 0


def test_every_entry_shipped_names_a_class_and_stands_in_one_list() -> None:
    entries = labels.shipped()
    assert {one.name for one in entries} == {"SUD", "HIV", "PSY", "SEX", "SDV"}
    places = [(one.system, one.code) for one in entries]
    assert len(set(places)) == len(places)
    assert all(one.code.strip("* ") for one in entries)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"resourceType": "Observation", "derivedFrom": [{"reference": "Observation/a"}],
          "basedOn": [{"reference": "ServiceRequest/no"}]}, ["Observation/a"]),
        ({"resourceType": "Observation", "hasMember": [{"reference": f"{BASE}/Observation/a"}]},
         ["Observation/a"]),
        ({"resourceType": "DiagnosticReport", "result": [{"reference": "Observation/a"}]},
         ["Observation/a"]),
        ({"resourceType": "DocumentReference", "relatesTo": [{"target": {"reference": "DocumentReference/d"}}],
          "context": {"related": [{"reference": "Observation/a"}]}},
         ["DocumentReference/d", "Observation/a"]),
        ({"resourceType": "Provenance", "target": [{"reference": "Observation/a/_history/2"}]},
         ["Observation/a"]),
        ({"resourceType": "Task", "focus": {"reference": "ServiceRequest/s"},
          "for": {"reference": "Patient/no"}}, ["ServiceRequest/s"]),
        ({"resourceType": "ServiceRequest", "reasonReference": [{"reference": "Condition/c"}],
          "supportingInfo": [{"reference": "Observation/no"}]}, ["Condition/c"]),
        ({"resourceType": "Patient", "link": [{"other": {"reference": "Patient/no"}}]}, []),
    ],
)  # fmt: skip
def test_what_is_derived_names_its_origins(document: dict[str, Any], named: list[str]) -> None:
    assert sorted(labels.origins(document, BASE)) == named


@pytest.mark.parametrize(
    ("before", "computed", "newly", "lowered", "after"),
    [
        (0, s.SUD, 0, 0, s.SUD),
        (s.SUD, 0, 0, 0, s.SUD),
        (0, s.SUD | s.HIV, 0, s.SUD, s.HIV),
        (0, s.SUD, s.SUD, s.SUD, s.SUD),
        (s.HIV, 0, s.SEX, s.SUD, s.HIV | s.SEX),
    ],
)
def test_a_label_stays_until_it_is_lowered_and_comes_back_by_new_words_only(
    before: int, computed: int, newly: int, lowered: int, after: int
) -> None:
    assert (
        labels.settled(before=before, computed=computed, newly_said=newly, lowered=lowered) == after
    )
