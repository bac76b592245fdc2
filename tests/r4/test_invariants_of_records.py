"""Every invariant of a resource about people and their care, once kept and once broken."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.r4.invariants_of_records import PREDICATES

UCUM = "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{TERMINOLOGY}/{system}", "code": code}]}


WRONG_ALLERGY = {
    "verificationStatus": concept("allergyintolerance-verification", "entered-in-error")
}
WRONG_CONDITION = {"verificationStatus": concept("condition-ver-status", "entered-in-error")}
ACTIVE = {"clinicalStatus": concept("condition-clinical", "active")}
RESOLVED = {"clinicalStatus": concept("condition-clinical", "resolved")}
GLUCOSE = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}
ENTRY = {"fullUrl": "urn:uuid:1"}


def bundle(kind: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": kind, "entry": list(entries), **more}


# (path, key): kept, broken
CASES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("AllergyIntolerance", "ait-1"): (WRONG_ALLERGY, {"id": "a"}),
    ("AllergyIntolerance", "ait-2"): (ACTIVE, {**ACTIVE, **WRONG_ALLERGY}),
    ("Appointment", "app-2"): ({"start": "x", "end": "y"}, {"start": "x"}),
    ("Appointment", "app-3"): ({"status": "waitlist"}, {"status": "booked"}),
    ("Appointment", "app-4"): (
        {"status": "noshow", "cancelationReason": {}},
        {"status": "booked", "cancelationReason": {}},
    ),
    ("Appointment.participant", "app-1"): ({"actor": {}}, {"status": "accepted"}),
    ("AppointmentResponse", "apr-1"): ({"actor": {}}, {"participantStatus": "accepted"}),
    ("AuditEvent.entity", "sev-1"): ({"name": "a"}, {"name": "a", "query": "QQ=="}),
    ("Bundle", "bdl-1"): (bundle("history", total=1), bundle("batch", total=1)),
    ("Bundle", "bdl-2"): (
        bundle("searchset", {"search": {}}),
        bundle("collection", {"search": {}}),
    ),
    ("Bundle", "bdl-3"): (bundle("batch", {"request": {}}), bundle("collection", {"request": {}})),
    ("Bundle", "bdl-4"): (bundle("history", {"response": {}}), bundle("batch-response", {})),
    ("Bundle", "bdl-7"): (bundle("history", ENTRY, ENTRY), bundle("collection", ENTRY, ENTRY)),
    ("Bundle", "bdl-9"): (
        bundle("document", identifier={"system": "urn:a", "value": "1"}),
        bundle("document", identifier={"value": "1"}),
    ),
    ("Bundle", "bdl-10"): (bundle("document", timestamp="x"), bundle("document")),
    ("Bundle", "bdl-11"): (
        bundle("document", {"resource": {"resourceType": "Composition"}}),
        bundle("document", {"resource": {"resourceType": "Patient"}}),
    ),
    ("Bundle", "bdl-12"): (
        bundle("message", {"resource": {"resourceType": "MessageHeader"}}),
        bundle("message"),
    ),
    ("Bundle.entry", "bdl-5"): ({"resource": {}}, {"fullUrl": "urn:uuid:1"}),
    ("Bundle.entry", "bdl-8"): (
        {"fullUrl": "http://a.example/Patient/1"},
        {"fullUrl": "http://a.example/Patient/1/_history/2"},
    ),
    ("CarePlan.activity", "cpl-3"): ({"detail": {}}, {"detail": {}, "reference": {}}),
    ("CareTeam.participant", "ctm-1"): (
        {"onBehalfOf": {}, "member": {"reference": "Practitioner/1"}},
        {"onBehalfOf": {}, "member": {"reference": "Patient/1"}},
    ),
    ("Composition.section", "cmp-1"): ({"entry": [{}]}, {"title": "x"}),
    ("Composition.section", "cmp-2"): ({"emptyReason": {}}, {"emptyReason": {}, "entry": [{}]}),
    ("Condition", "con-4"): (
        {"abatementAge": {}, **RESOLVED},
        {"abatementAge": {}, **ACTIVE},
    ),
    ("Condition", "con-5"): (ACTIVE, {**ACTIVE, **WRONG_CONDITION}),
    ("Condition.stage", "con-1"): ({"summary": {}}, {"type": {}}),
    ("Condition.evidence", "con-2"): ({"code": [{}]}, {"id": "a"}),
    ("Consent", "ppc-1"): ({"policyRule": {}}, {"status": "active"}),
    ("CoverageEligibilityResponse.insurance.item", "ces-1"): (
        {"category": {}},
        {"category": {}, "productOrService": {}},
    ),
    ("FamilyMemberHistory", "fhs-1"): ({"ageAge": {}}, {"ageAge": {}, "bornDate": "1950"}),
    ("FamilyMemberHistory", "fhs-2"): (
        {"ageAge": {}, "estimatedAge": True},
        {"estimatedAge": True},
    ),
    ("Goal.target", "gol-1"): ({"measure": {}, "detailInteger": 1}, {"detailInteger": 1}),
    ("Group", "grp-1"): ({"actual": True, "member": [{}]}, {"actual": False, "member": [{}]}),
    ("Immunization.education", "imm-1"): ({"reference": "http://a.example"}, {"id": "a"}),
    ("ImmunizationRecommendation.recommendation", "imr-1"): ({"targetDisease": {}}, {"id": "a"}),
    ("InsurancePlan", "ipn-1"): ({"name": "x"}, {"status": "active"}),
    ("Linkage", "lnk-1"): ({"item": [{}, {}]}, {"item": [{}]}),
    ("List", "lst-1"): ({"emptyReason": {}}, {"emptyReason": {}, "entry": [{}]}),
    ("List", "lst-2"): (
        {"mode": "changes", "entry": [{"deleted": True}]},
        {"mode": "working", "entry": [{"deleted": True}]},
    ),
    ("List", "lst-3"): (
        {"mode": "working", "entry": [{"date": "2026"}]},
        {"mode": "snapshot", "entry": [{"date": "2026"}]},
    ),
    ("MeasureReport", "mrp-1"): (
        {"type": "summary", "group": [{}]},
        {"type": "data-collection", "group": [{}]},
    ),
    ("MeasureReport", "mrp-2"): (
        {"group": [{"stratifier": [{"stratum": [{"value": {}}]}]}]},
        {"group": [{"stratifier": [{"stratum": [{"id": "a"}]}]}]},
    ),
    ("MedicationAdministration.dosage", "mad-1"): ({"rateQuantity": {}}, {"text": "x"}),
    ("MedicationDispense", "mdd-1"): (
        {"whenPrepared": "2026-01-01", "whenHandedOver": "2026-01-01"},
        {"whenPrepared": "2026-01-02", "whenHandedOver": "2026-01-01"},
    ),
    ("MolecularSequence", "msq-3"): ({"coordinateSystem": 0}, {"coordinateSystem": 2}),
    ("MolecularSequence.referenceSeq", "msq-5"): (
        {"chromosome": {}, "genomeBuild": "x"},
        {"chromosome": {}},
    ),
    ("MolecularSequence.referenceSeq", "msq-6"): (
        {"referenceSeqId": {}},
        {"referenceSeqId": {}, "genomeBuild": "x"},
    ),
    ("Observation", "obs-6"): (
        {"dataAbsentReason": {}},
        {"dataAbsentReason": {}, "_valueBoolean": {}},
    ),
    ("Observation", "obs-7"): (
        {"code": GLUCOSE, "component": [{"code": GLUCOSE}]},
        {"code": GLUCOSE, "component": [{"code": GLUCOSE}], "valueString": "x"},
    ),
    ("Observation.referenceRange", "obs-3"): ({"text": "x"}, {"type": {}}),
    ("Organization", "org-1"): ({"identifier": [{}]}, {"active": True}),
    ("Organization.telecom", "org-3"): ({"use": "work"}, {"use": "home"}),
    ("Organization.address", "org-2"): ({"use": "work"}, {"use": "home"}),
    ("Parameters.parameter", "inv-1"): (
        {"name": "a", "valueCode": "x"},
        {"name": "a", "valueCode": "x", "resource": {}},
    ),
    ("Patient.contact", "pat-1"): ({"organization": {}}, {"gender": "female"}),
    ("QuestionnaireResponse.item", "qrs-1"): ({"item": [{}]}, {"item": [{}], "answer": [{}]}),
    ("RequestGroup.action", "rqg-1"): ({"resource": {}}, {"resource": {}, "action": [{}]}),
    ("RiskAssessment.prediction", "ras-2"): (
        {"probabilityDecimal": 100},
        {"probabilityDecimal": 101},
    ),
    ("RiskAssessment.prediction.probability[x]", "ras-1"): (
        {"low": {"code": "%", "system": UCUM}},
        {"high": {"code": "1", "system": UCUM}},
    ),
    ("ServiceRequest", "prr-1"): ({"code": {}, "orderDetail": [{}]}, {"orderDetail": [{}]}),
    ("Task", "inv-1"): (
        {"authoredOn": "2026-01-01T10:00:00.500Z", "lastModified": "2026-01-01T10:00:00Z"},
        {"authoredOn": "2026-01-01T10:00:02Z", "lastModified": "2026-01-01T10:00:01Z"},
    ),
}


def test_given_the_invariants_of_records_when_listed_then_each_has_a_case() -> None:
    assert CASES.keys() == PREDICATES.keys()


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_given_an_element_when_asked_then_the_invariant_holds_or_breaks(
    case: tuple[str, str],
) -> None:
    kept, broken = CASES[case]
    assert PREDICATES[case](kept)
    assert not PREDICATES[case](broken)
