"""The examples of the OpenAPI document: one referral and those who take part in it.

http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/R4/task.html

Invented, and valid: a test puts each of them through the hub's own check.
"""

from __future__ import annotations

from typing import Any, Final

Document = dict[str, Any]

BASE: Final = "https://hub.example/fhir"
_ID: Final = "0f3Kq2mVd7Rw"
_AT: Final = "2026-03-02T09:30:00.000Z"
_CLINIC: Final = {"reference": "Organization/riverside"}
_SPECIALIST: Final = {"reference": "Organization/lakeside"}
_WHO: Final = {"reference": "Patient/3mQ8"}


def _coded(system: str, code: str, display: str) -> Document:
    return {"coding": [{"system": system, "code": code, "display": display}]}


RESOURCES: Final[dict[str, Document]] = {
    "ServiceRequest": {
        "status": "active",
        "intent": "order",
        "priority": "routine",
        "code": _coded("http://snomed.info/sct", "306118006", "Referral to endocrinology service"),
        "subject": _WHO,
        "authoredOn": "2026-03-02",
        "requester": _CLINIC,
        "performer": [_SPECIALIST],
        "supportingInfo": [{"reference": "Observation/7Hc1"}],
    },
    "Task": {
        "status": "requested",
        "intent": "order",
        "priority": "routine",
        "code": _coded("http://hl7.org/fhir/CodeSystem/task-code", "fulfill", "Fulfill the request"),
        "focus": {"reference": "ServiceRequest/9Kd4"},
        "for": _WHO,
        "authoredOn": "2026-03-02T09:30:00Z",
        "requester": _CLINIC,
    },
    "Observation": {
        "status": "final",
        "code": _coded("http://loinc.org", "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        "subject": _WHO,
        "effectiveDateTime": "2026-02-21",
        "performer": [_CLINIC],
        "valueQuantity": {
            "value": 7.9,
            "unit": "%",
            "system": "http://unitsofmeasure.org",
            "code": "%",
        },
    },
    "Patient": {
        "identifier": [{"system": "urn:example:mrn", "value": "1001"}],
        "active": True,
        "name": [{"family": "Example", "given": ["Alex"]}],
        "gender": "female",
        "birthDate": "1961-04",
    },
    "Consent": {
        "status": "active",
        "scope": _coded(
            "http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy", "Privacy Consent"
        ),
        "category": [_coded("http://loinc.org", "59284-0", "Consent Document")],
        "patient": _WHO,
        "dateTime": "2026-03-01",
        "policy": [{"uri": "https://hub.example/policies/sharing"}],
        "provision": {"type": "permit", "period": {"start": "2026-03-01", "end": "2027-03-01"}},
    },
    "Organization": {
        "identifier": [{"system": "urn:example:organizations", "value": "lakeside"}],
        "active": True,
        "name": "Lakeside Endocrinology",
    },
    "HealthcareService": {
        "active": True,
        "providedBy": _SPECIALIST,
        "type": [_coded("http://snomed.info/sct", "394583002", "Endocrinology")],
        "name": "Diabetes clinic",
        "endpoint": [{"reference": "Endpoint/lakeside"}],
    },
    "Practitioner": {
        "identifier": [{"system": "urn:example:practitioners", "value": "77"}],
        "active": True,
        "name": [{"family": "Example", "given": ["Robin"]}],
    },
    "PractitionerRole": {
        "active": True,
        "practitioner": {"reference": "Practitioner/77"},
        "organization": _SPECIALIST,
        "specialty": [_coded("http://snomed.info/sct", "394583002", "Endocrinology")],
    },
    "Location": {
        "status": "active",
        "name": "Lakeside, first floor",
        "managingOrganization": _SPECIALIST,
        "position": {"longitude": -89.4, "latitude": 43.07},
    },
    "Endpoint": {
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        "managingOrganization": _SPECIALIST,
        "payloadType": [{"text": "any"}],
        "address": "https://lakeside.example/fhir",
    },
    "Bundle": {
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Basic", "code": {"text": "note"}}}],
    },
}  # fmt: skip
"""By type, as sent to be created, without the resourceType."""


def sent(resource_type: str) -> Document:
    """A resource as it is created."""
    return {"resourceType": resource_type, **RESOURCES[resource_type]}


def stored(resource_type: str) -> Document:
    """The same as it is answered, and sent again to be updated."""
    return {
        "resourceType": resource_type,
        "id": _ID,
        "meta": {"versionId": "1", "lastUpdated": _AT},
        **RESOURCES[resource_type],
    }


def page(resource_type: str) -> Document:
    """What a search answers that found this one resource."""
    address = f"{BASE}/{resource_type}"
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": f"{address}?_count=20"}],
        "entry": [
            {
                "fullUrl": f"{address}/{_ID}",
                "resource": stored(resource_type),
                "search": {"mode": "match"},
            }
        ],
    }


def versions(resource_type: str) -> Document:
    """What a history answers of a resource that was created and left alone."""
    address = f"{resource_type}/{_ID}"
    return {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [
            {
                "fullUrl": f"{BASE}/{address}",
                "resource": stored(resource_type),
                "request": {"method": "POST", "url": resource_type},
                "response": {"status": "201", "etag": 'W/"1"', "lastModified": _AT},
            }
        ],
    }


def referral() -> Document:
    """A transaction that refers a patient, with a prior result."""
    patient, result, order, task = (
        f"urn:uuid:6f0c6a1e-6d9c-4a53-9f4c-0b8a4f1f8f1{n}" for n in range(4)
    )
    parts = {
        patient: sent("Patient"),
        result: {**sent("Observation"), "subject": {"reference": patient}},
        order: {
            **sent("ServiceRequest"),
            "subject": {"reference": patient},
            "supportingInfo": [{"reference": result}],
        },
        task: {**sent("Task"), "focus": {"reference": order}, "for": {"reference": patient}},
    }
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": full_url,
                "resource": part,
                "request": {"method": "POST", "url": part["resourceType"]},
            }
            for full_url, part in parts.items()
        ],
    }


def stored_referral() -> Document:
    """What is answered to it."""
    return {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [
            {
                "response": {
                    "status": "201",
                    "location": f"{BASE}/{entry['request']['url']}/{_ID}/_history/1",
                    "etag": 'W/"1"',
                    "lastModified": _AT,
                }
            }
            for entry in referral()["entry"]
        ],
    }


REFUSALS: Final[dict[int, tuple[str, str, str]]] = {
    400: ("not-supported", "No parameter statuss is defined for Task. Did you mean status?", ""),
    409: ("business-rule", "A Task that is completed stays so.", "Task.status"),
    412: ("conflict", "Task/9Kd4 is at version 3, If-Match asked for 2.", ""),
    422: ("required", "Task.intent is required.", "Task.intent"),
}
"""Issue of the example for a status: code, diagnostics, expression."""


def refusal(status: int) -> Document:
    code, diagnostics, expression = REFUSALS[status]
    issue: Document = {"severity": "error", "code": code, "diagnostics": diagnostics}
    if expression:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def all_examples() -> dict[str, Document]:
    """By name in the document."""
    made: dict[str, Document] = {}
    for name in RESOURCES:
        made[f"{name}Sent"] = sent(name)
        made[name] = stored(name)
        made[f"{name}Page"] = page(name)
        made[f"{name}History"] = versions(name)
    made["Referral"] = referral()
    made["ReferralStored"] = stored_referral()
    for status in REFUSALS:
        made[f"Refused{status}"] = refusal(status)
    return made
