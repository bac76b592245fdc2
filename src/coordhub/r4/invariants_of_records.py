"""Invariants of the resources about people, their care and who gives it, as predicates on an element.

http://hl7.org/fhir/R4/resourcelist.html
"""

from __future__ import annotations

from typing import Final

from coordhub.r4.invariant_words import (
    UCUM,
    Each,
    Holds,
    Node,
    coded,
    count,
    distinct,
    either,
    has,
    has_choice,
    items,
    later,
    needs,
    not_both,
    only_one,
    together,
    values,
)
from coordhub.r4.reference import parse_element

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_ALLERGY_VERIFICATION = f"{_TERMINOLOGY}/allergyintolerance-verification"
_CONDITION_CLINICAL = f"{_TERMINOLOGY}/condition-clinical"
_CONDITION_VERIFICATION = f"{_TERMINOLOGY}/condition-ver-status"

_WITH_REQUESTS = ("batch", "transaction", "history")
_WITH_RESPONSES = ("batch-response", "transaction-response", "history")


def _is_wrong_allergy(node: Node) -> bool:
    return coded(node, "verificationStatus", _ALLERGY_VERIFICATION, "entered-in-error")


def _is_wrong_condition(node: Node) -> bool:
    return coded(node, "verificationStatus", _CONDITION_VERIFICATION, "entered-in-error")


def _distinct_full_urls(node: Node) -> bool:
    if node.get("type") == "history":
        return True
    return distinct(
        (entry["fullUrl"], *values(items(entry, "resource", "meta"), "versionId"))
        for entry in items(node, "entry")
        if "fullUrl" in entry
    )


def _first_is(node: Node, resource_type: str) -> bool:
    entries = node.get("entry") or [{}]
    first = entries[0].get("resource") or {}
    return bool(first.get("resourceType") == resource_type)


def _identified(node: Node) -> bool:
    identifier = node.get("identifier") or {}
    return node.get("type") != "document" or (
        has(identifier, "system") and has(identifier, "value")
    )


def _times_of_appointment(node: Node) -> bool:
    return (has(node, "start") and has(node, "end")) or node.get("status") in (
        "proposed",
        "cancelled",
        "waitlist",
        None,
    )


def _abated(node: Node) -> bool:
    return not has_choice(node, "abatement") or coded(
        node, "clinicalStatus", _CONDITION_CLINICAL, "resolved", "remission", "inactive"
    )


def _on_behalf(node: Node) -> bool:
    if not has(node, "onBehalfOf") or "member" not in node:
        return not has(node, "onBehalfOf")
    member = parse_element(node["member"])
    return member is None or member.type in (None, "Practitioner")


def _component_of_same_code(node: Node) -> bool:
    """The code itself is not said twice: as the value and as a component."""
    if "component" not in node or not has_choice(node, "value"):
        return True
    own = {_coding(coding) for coding in items(node, "code", "coding")}
    return not any(_coding(coding) in own for coding in items(node, "component", "code", "coding"))


def _coding(coding: Node) -> tuple[object, ...]:
    return tuple(coding.get(name) for name in ("system", "version", "code", "display"))


def _handed_over(node: Node) -> bool:
    return not later(node.get("whenPrepared"), node.get("whenHandedOver"))


def _modified(node: Node) -> bool:
    return not later(node.get("authoredOn"), node.get("lastModified"))


def _one_parameter_value(node: Node) -> bool:
    """One of value, resource and part."""
    return has_choice(node, "value") + has(node, "resource") + has(node, "part") == 1


def _percentages(node: Node) -> bool:
    return all(
        limit.get("code") == "%" and limit.get("system") == UCUM
        for limit in items(node, "low") + items(node, "high")
    )


def _not_at_home(node: Node) -> bool:
    return node.get("use") != "home"


_name_or_identifier = either("identifier", "name")

PREDICATES: Final[dict[tuple[str, str], Holds]] = {
    ("AllergyIntolerance", "ait-1"): lambda node: (
        has(node, "clinicalStatus") or _is_wrong_allergy(node)
    ),
    ("AllergyIntolerance", "ait-2"): lambda node: (
        not has(node, "clinicalStatus") or not _is_wrong_allergy(node)
    ),
    ("Appointment", "app-2"): lambda node: together(node, "start", "end"),
    ("Appointment", "app-3"): _times_of_appointment,
    ("Appointment", "app-4"): lambda node: (
        not has(node, "cancelationReason") or node.get("status") in ("cancelled", "noshow")
    ),
    ("Appointment.participant", "app-1"): either("type", "actor"),
    ("AppointmentResponse", "apr-1"): either("participantType", "actor"),
    ("AuditEvent.entity", "sev-1"): not_both("name", "query"),
    ("Bundle", "bdl-1"): lambda node: (
        not has(node, "total") or node.get("type") in ("searchset", "history")
    ),
    ("Bundle", "bdl-2"): Each(
        "entry", lambda entry, node: not has(entry, "search") or node.get("type") == "searchset"
    ),
    ("Bundle", "bdl-3"): Each(
        "entry", lambda entry, node: has(entry, "request") == (node.get("type") in _WITH_REQUESTS)
    ),
    ("Bundle", "bdl-4"): Each(
        "entry", lambda entry, node: has(entry, "response") == (node.get("type") in _WITH_RESPONSES)
    ),
    ("Bundle", "bdl-7"): _distinct_full_urls,
    ("Bundle", "bdl-9"): _identified,
    ("Bundle", "bdl-10"): lambda node: node.get("type") != "document" or "timestamp" in node,
    ("Bundle", "bdl-11"): lambda node: (
        node.get("type") != "document" or _first_is(node, "Composition")
    ),
    ("Bundle", "bdl-12"): lambda node: (
        node.get("type") != "message" or _first_is(node, "MessageHeader")
    ),
    ("Bundle.entry", "bdl-5"): either("resource", "request", "response"),
    ("Bundle.entry", "bdl-8"): lambda node: "/_history/" not in node.get("fullUrl", ""),
    ("CarePlan.activity", "cpl-3"): not_both("detail", "reference"),
    ("CareTeam.participant", "ctm-1"): _on_behalf,
    ("Composition.section", "cmp-1"): either("text", "entry", "section"),
    ("Composition.section", "cmp-2"): not_both("emptyReason", "entry"),
    ("Condition", "con-4"): _abated,
    ("Condition", "con-5"): lambda node: (
        not has(node, "clinicalStatus") or not _is_wrong_condition(node)
    ),
    ("Condition.stage", "con-1"): either("summary", "assessment"),
    ("Condition.evidence", "con-2"): either("code", "detail"),
    ("Consent", "ppc-1"): either("policy", "policyRule"),
    ("CoverageEligibilityResponse.insurance.item", "ces-1"): only_one(
        "category", "productOrService"
    ),
    ("FamilyMemberHistory", "fhs-1"): lambda node: (
        not (has_choice(node, "age") and has_choice(node, "born"))
    ),
    ("FamilyMemberHistory", "fhs-2"): lambda node: (
        not has(node, "estimatedAge") or has_choice(node, "age")
    ),
    ("Goal.target", "gol-1"): lambda node: not has_choice(node, "detail") or has(node, "measure"),
    ("Group", "grp-1"): lambda node: not has(node, "member") or node.get("actual") is True,
    ("Immunization.education", "imm-1"): either("documentType", "reference"),
    ("ImmunizationRecommendation.recommendation", "imr-1"): either("vaccineCode", "targetDisease"),
    ("InsurancePlan", "ipn-1"): _name_or_identifier,
    ("Linkage", "lnk-1"): lambda node: count(node, "item") > 1,
    ("List", "lst-1"): not_both("emptyReason", "entry"),
    ("List", "lst-2"): Each(
        "entry", lambda entry, node: not has(entry, "deleted") or node.get("mode") == "changes"
    ),
    ("List", "lst-3"): Each(
        "entry", lambda entry, node: not has(entry, "date") or node.get("mode") == "working"
    ),
    ("MeasureReport", "mrp-1"): lambda node: (
        node.get("type") != "data-collection" or not has(node, "group")
    ),
    ("MeasureReport", "mrp-2"): lambda node: all(
        has(stratum, "value") != has(stratum, "component")
        for stratum in items(node, "group", "stratifier", "stratum")
    ),
    ("MedicationAdministration.dosage", "mad-1"): lambda node: (
        has(node, "dose") or has_choice(node, "rate")
    ),
    ("MedicationDispense", "mdd-1"): _handed_over,
    ("MolecularSequence", "msq-3"): lambda node: node.get("coordinateSystem") in (0, 1, None),
    ("MolecularSequence.referenceSeq", "msq-5"): lambda node: together(
        node, "chromosome", "genomeBuild"
    ),
    ("MolecularSequence.referenceSeq", "msq-6"): lambda node: (
        count(node, "genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString")
        == 1
    ),
    ("Observation", "obs-6"): lambda node: (
        "dataAbsentReason" not in node or not has_choice(node, "value")
    ),
    ("Observation", "obs-7"): _component_of_same_code,
    ("Observation.referenceRange", "obs-3"): either("low", "high", "text"),
    ("Organization", "org-1"): _name_or_identifier,
    ("Organization.telecom", "org-3"): _not_at_home,
    ("Organization.address", "org-2"): _not_at_home,
    ("Parameters.parameter", "inv-1"): _one_parameter_value,
    ("Patient.contact", "pat-1"): either("name", "telecom", "address", "organization"),
    ("QuestionnaireResponse.item", "qrs-1"): not_both("answer", "item"),
    ("RequestGroup.action", "rqg-1"): only_one("resource", "action"),
    ("RiskAssessment.prediction", "ras-2"): lambda node: (
        "probabilityDecimal" not in node or bool(node["probabilityDecimal"] <= 100)
    ),
    ("RiskAssessment.prediction.probability[x]", "ras-1"): _percentages,
    ("ServiceRequest", "prr-1"): needs("orderDetail", "code"),
    ("Task", "inv-1"): _modified,
}
