"""The resources that come of a screening: Observations, Conditions, and what may be proposed for a need.

http://hl7.org/fhir/us/sdoh-clinicalcare (SDOHCC Observation Screening Response, SDOHCC Condition, SDOHCC
ServiceRequest), http://hl7.org/fhir/uv/sdc (extraction)

Each has an identifier made of its response and of what it says, so that the same comes of the same
response however often that is asked. A Condition is a health concern that nobody has confirmed. For what is
a matter of safety nothing is proposed: whom to tell of that a person decides by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from coordhub.referral import screening
from coordhub.referral.same_kind import SDOHCC
from coordhub.referral.screening import Finding, Need, Said

SYSTEM: Final = "urn:coordhub:finding"
PROPOSAL: Final = "urn:coordhub:proposal"
"""Systems of the identifiers."""

_PROFILES: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_US_CORE: Final = "http://hl7.org/fhir/us/core/CodeSystem"
_INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_CONDITION: Final = "http://terminology.hl7.org/CodeSystem"


Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What was said, in which response, known by which name (`QuestionnaireResponse/id`).

    stamp: when it was said, where it does not say so itself. of: type and key -> how others refer to it.
    """

    said: Said
    response: Mapping[str, Any]
    name: str
    stamp: str
    of: Callable[[str, str], str]

    @property
    def when(self) -> str:
        return str(self.response.get("authored") or self.stamp)


class Made(NamedTuple):
    """A resource that comes of a response. key: what it is called within it; sensitive: of safety."""

    key: str
    type: str
    document: Document
    sensitive: bool = False


def made(told: Told) -> Iterator[Made]:
    """The Observations and Conditions."""
    for finding in told.said.findings:
        yield _observation(finding, told)
    members = [one.key for one in told.said.findings if not one.item.sensitive]
    if members:  # what is of safety would make the panel, and by it all others, as sensitive
        yield _panel(members, told)
    for need in told.said.needs:
        yield _condition(need, told)


def proposals(told: Told) -> Iterator[Made]:
    """A ServiceRequest for each need, of intent proposal and not active: nothing is asked by it."""
    for need in told.said.needs:
        if need.sensitive:
            continue
        document: Document = {
            "resourceType": "ServiceRequest",
            "meta": {"profile": [f"{_PROFILES}/SDOHCC-ServiceRequest"]},
            "identifier": [_identifier(PROPOSAL, told.name, need.kind)],
            "requisition": _identifier(PROPOSAL, told.name, "all"),
            "status": "draft",
            "intent": "proposal",
            "category": [
                _concept(f"{_US_CORE}/us-core-category", "sdoh", "SDOH"),
                _concept(SDOHCC, need.kind),
            ],
            "code": {
                "coding": [{"system": screening.SNOMED, "code": "410606002"}],
                "text": need.text,
            },
            "subject": told.response.get("subject"),
            "authoredOn": told.when,
            "reasonReference": [{"reference": told.of("Condition", _key(need))}],
        }
        yield Made(need.kind, "ServiceRequest", document)


def _observation(finding: Finding, told: Told) -> Made:
    document = _survey(finding.key, finding.item.category, finding.item.code, told)
    document["derivedFrom"] += [
        {"reference": told.of("Observation", one.key)}
        for one in told.said.findings
        if one.item.code in finding.of
    ]
    if isinstance(finding.value, int):
        document["valueInteger"] = finding.value
    else:
        document["valueCodeableConcept"] = _concept(screening.LOINC, finding.value, finding.display)
    if finding.positive is not None:
        code, display = ("POS", "Positive") if finding.positive else ("NEG", "Negative")
        document["interpretation"] = [_concept(_INTERPRETATION, code, display)]
    return Made(finding.key, "Observation", document, finding.item.sensitive)


def _panel(members: list[str], told: Told) -> Made:
    document = _survey("panel", "sdoh-category-unspecified", told.said.panel, told)
    document["hasMember"] = [{"reference": told.of("Observation", one)} for one in members]
    return Made("panel", "Observation", document)


def _survey(key: str, category: str, code: str, told: Told) -> Document:
    document: Document = {
        "resourceType": "Observation",
        "meta": {"profile": [f"{_PROFILES}/SDOHCC-ObservationScreeningResponse"]},
        "identifier": [_identifier(SYSTEM, told.name, key)],
        "status": "final",
        "category": [
            _concept(_CATEGORY, "survey", "Survey"),
            _concept(f"{_US_CORE}/us-core-category", "sdoh", "SDOH"),
            _concept(SDOHCC, category),
        ],
        "code": _concept(screening.LOINC, code),
        "subject": told.response.get("subject"),
        "effectiveDateTime": told.when,
        "derivedFrom": [{"reference": told.name}],
    }
    if by := told.response.get("source") or told.response.get("author"):
        document["performer"] = [by]
    return document


def _condition(need: Need, told: Told) -> Made:
    codings = [
        {"system": system, "code": code}
        for system, code in ((screening.SNOMED, need.snomed), (screening.ICD, need.icd))
        if code
    ]
    evidence = [one.key for one in told.said.findings if one.need == need.kind]
    document: Document = {
        "resourceType": "Condition",
        "meta": {"profile": [f"{_PROFILES}/SDOHCC-Condition"]},
        "identifier": [_identifier(SYSTEM, told.name, _key(need))],
        "clinicalStatus": _concept(f"{_CONDITION}/condition-clinical", "active"),
        "verificationStatus": _concept(f"{_CONDITION}/condition-ver-status", "unconfirmed"),
        "category": [
            _concept(f"{_US_CORE}/condition-category", "health-concern", "Health Concern"),
            _concept(f"{_US_CORE}/us-core-category", "sdoh", "SDOH"),
            _concept(SDOHCC, need.kind),
        ],
        "code": {**({"coding": codings} if codings else {}), "text": need.text},
        "subject": told.response.get("subject"),
        "recordedDate": told.when,
        "evidence": [
            {"detail": [{"reference": told.of("Observation", one)} for one in evidence]},
        ],
    }
    return Made(_key(need), "Condition", document, need.sensitive)


def withdrawn(document: Mapping[str, Any]) -> Document:
    """The same, as one that never counted."""
    if document.get("resourceType") == "Observation":
        return {**document, "status": "entered-in-error"}
    kept = {name: value for name, value in document.items() if name != "clinicalStatus"}
    status = _concept(f"{_CONDITION}/condition-ver-status", "entered-in-error")
    return {**kept, "verificationStatus": status}


def key_of(document: Mapping[str, Any], name: str) -> str | None:
    """The key of what came of the response of this name; None of anything else."""
    for one in document.get("identifier") or ():
        if one.get("system") == SYSTEM:
            response, _, key = str(one.get("value", "")).partition("#")
            if response == name.rpartition("/")[2]:
                return key
    return None


def number_of(name: str, need: Need) -> str:
    """The value of the identifier of the Condition for a need, of the response of this name."""
    return str(_identifier(SYSTEM, name, _key(need))["value"])


def is_finding(document: Mapping[str, Any]) -> bool:
    """Whether it is the answer to one question of a response, as this module makes it."""
    listed = document.get("identifier")
    return isinstance(listed, list) and any(
        isinstance(one, Mapping) and one.get("system") == SYSTEM for one in listed
    )


def _key(need: Need) -> str:
    return f"condition/{need.kind}"


def _identifier(system: str, name: str, key: str) -> Document:
    return {"system": system, "value": f"{name.rpartition('/')[2]}#{key}"}


def _concept(system: str, code: str, display: str = "") -> Document:
    coding = {"system": system, "code": code}
    return {"coding": [{**coding, "display": display} if display else coding]}
