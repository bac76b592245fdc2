"""SMART's fhirclient for Python against a running hub.

https://github.com/smart-on-fhir/client-py

COORDHUB_BASE and COORDHUB_TOKEN say where and as whom. It sends no If-Match and has no patch.
"""

from __future__ import annotations

import os
import uuid

from fhirclient import client
from fhirclient.models import bundle, identifier, patient
from fhirclient.server import FHIRNotFoundException
from requests import HTTPError

smart = client.FHIRClient(
    settings={"app_id": "judge", "api_base": os.environ["COORDHUB_BASE"] + "/"}
)
smart.server.session.headers["Authorization"] = f"Bearer {os.environ['COORDHUB_TOKEN']}"
system = f"urn:test:{uuid.uuid4().hex}"


def step(name: str) -> None:
    print(f"  {name}")


smart.server.get_capability()
assert smart.server.capabilityStatement.fhirVersion == "4.0.1"
step("capabilities")

made = []
for number in range(5):
    one = patient.Patient({"identifier": [{"system": system, "value": str(number)}]})
    answer = one.create(smart.server)
    assert answer["id"]
    made.append(answer["id"])
step("create")

read = patient.Patient.read(made[0], smart.server)
assert read.identifier[0].value == "0"
step("read")

found = patient.Patient.where({"identifier": f"{system}|3"}).perform_resources(smart.server)
assert [one.id for one in found] == [made[3]]
step("search")

pages = patient.Patient.where({"identifier": f"{system}|", "_count": "2"})
met = [one.id for one in pages.perform_resources_iter(smart.server)]
assert sorted(met) == sorted(made)
step("page")

read.identifier.append(identifier.Identifier({"system": system, "value": "more"}))
answer = read.update(smart.server)
assert answer["meta"]["versionId"] == "2"
step("update")

sent = bundle.Bundle(
    {
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:uuid:{uuid.uuid4()}",
                "resource": {
                    "resourceType": "Patient",
                    "identifier": [{"system": system, "value": "t"}],
                },
                "request": {"method": "POST", "url": "Patient"},
            }
        ],
    }
)
answer = smart.server.post_json("", sent.as_json()).json()
assert answer["type"] == "transaction-response"
step("transact")

patient.Patient.read(made[1], smart.server).delete()
try:
    patient.Patient.read(made[1], smart.server)
except (FHIRNotFoundException, HTTPError):
    step("delete")
else:
    raise AssertionError("what was deleted should be gone")
