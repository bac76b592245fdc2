"""The twenty searches that are asked at every rung, with their paths.

http://hl7.org/fhir/R4/search.html

Each is asked for another patient every time. What the hub does not serve yet is left out with its
own reason.
"""

from __future__ import annotations

from bench import documents
from bench.loader import Patient

_HBA1C = f"{documents.LOINC}%7C4548-4"
_RARE = f"{documents.LOINC}%7C{documents.RARE[0]}"

SHAPES: dict[str, str] = {
    "a patient by identifier": f"Patient?identifier={documents.MRN}%7C{{mark}}",
    "a patient by id": "Patient?_id={id}",
    "patients by name": "Patient?family={family}&_count=10",
    "patients by name and birth date": "Patient?family={family}&birthdate={born}",
    "patients by age, sorted": "Patient?birthdate=ge1990&_sort=birthdate&_count=10",
    "newest 10 of a patient and code": f"Observation?patient={{id}}&code={_HBA1C}&_sort=-date&_count=10",
    "newest 10 of a patient": "Observation?patient={id}&_sort=-date&_count=10",
    "of a patient since a day": "Observation?patient={id}&category=laboratory&date=ge2023&_count=50",
    "a code that all have": f"Observation?code={_HBA1C}&_count=10",
    "a code that one in 32 has": f"Observation?code={_RARE}&_count=10",
    "a code that none has": f"Observation?code={documents.LOINC}%7C00000-0&_count=10",
    "a status that all have": "Observation?status=final&_count=10",
    "newest 10 of all": "Observation?date=ge2020&_sort=-date&_count=10",
    "a value that all exceed": "Observation?value-quantity=ge0&_count=10",
    "a patient's high values": "Observation?patient={id}&value-quantity=gt100&_count=10",
    "active conditions of a patient": "Condition?patient={id}&clinical-status=active",
    "a common condition": "Condition?code=I10&_count=10",
    "orders of a patient, with task": "ServiceRequest?patient={id}&status=active&_revinclude=Task:focus",
    "chained: by the patient's identifier": f"Observation?patient.identifier={documents.MRN}%7C{{mark}}&_count=10",
    "patients who have a rare result": f"Patient?_has:Observation:patient:code={_RARE}&_count=10",
}


def path(shape: str, patient: Patient) -> str:
    """The address below the FHIR base."""
    document = documents.patient(patient.number % 32)
    return "/" + SHAPES[shape].format(
        id=patient.id,
        mark=documents.mark(patient.number),
        family=document["name"][0]["family"],
        born=document["birthDate"],
    )
