"""SMART's fhirclient for Python against a running hub.

https://github.com/smart-on-fhir/client-py

COORDHUB_BASE and COORDHUB_TOKEN say where and as whom. If-Match is a header of its session; it has no
patch, so a FHIRPath Patch goes as an entry of a transaction.
"""

from __future__ import annotations

import os
import uuid

from fhirclient import client
from fhirclient.models import bundle, observation, patient
from fhirclient.models.parameters import Parameters
from requests import HTTPError
from steps import refusal, step

smart = client.FHIRClient(
    settings={"app_id": "judge", "api_base": os.environ["COORDHUB_BASE"] + "/"}
)
smart.server.session.headers["Authorization"] = f"Bearer {os.environ['COORDHUB_TOKEN']}"
system = f"urn:test:{uuid.uuid4().hex}"
made = []


def transact(*entries: dict) -> dict:
    sent = bundle.Bundle({"type": "transaction", "entry": list(entries)})
    answer = smart.server.post_json("", sent.as_json()).json()
    assert answer["type"] == "transaction-response"
    return answer


with step("capabilities"):
    smart.server.get_capability()
    assert smart.server.capabilityStatement.fhirVersion == "4.0.1"

with step("create"):
    for number in range(5):
        one = patient.Patient({"identifier": [{"system": system, "value": str(number)}]})
        made.append(one.create(smart.server)["id"])
    assert len(set(made)) == 5

with step("read"):
    read = patient.Patient.read(made[0], smart.server)
    assert read.identifier[0].value == "0"

with step("search"):
    found = patient.Patient.where({"identifier": f"{system}|3"}).perform_resources(smart.server)
    assert [one.id for one in found] == [made[3]]

with step("page"):
    pages = patient.Patient.where({"identifier": f"{system}|", "_count": "2"})
    assert len(pages.perform(smart.server).entry) == 2
    met = [one.id for one in pages.perform_resources_iter(smart.server)]
    assert sorted(met) == sorted(made)

with step("update with version"):
    smart.server.session.headers["If-Match"] = 'W/"1"'
    try:
        read.active = True
        assert read.update(smart.server)["meta"]["versionId"] == "2"
        read.active = False
        stale = refusal(HTTPError, lambda: read.update(smart.server))
        assert stale.response.status_code == 412
        assert stale.response.json()["resourceType"] == "OperationOutcome"
    finally:
        del smart.server.session.headers["If-Match"]

with step("patch"):
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.active"},
        {"name": "value", "valueBoolean": False},
    ]
    change = Parameters({"parameter": [{"name": "operation", "part": part}]})
    request = {"method": "PATCH", "url": f"Patient/{made[0]}"}
    transact({"resource": change.as_json(), "request": request})
    assert patient.Patient.read(made[0], smart.server).active is False

with step("include"):
    subject = {"reference": f"Patient/{made[0]}"}
    seen = {"status": "final", "code": {"text": "test"}, "subject": subject}
    observation.Observation(seen).create(smart.server)
    search = observation.Observation.where({"subject": f"Patient/{made[0]}"}).include("subject")
    both = [
        (one.search.mode, one.resource.resource_type) for one in search.perform(smart.server).entry
    ]
    assert both == [("match", "Observation"), ("include", "Patient")]

with step("transact"):
    who = {"resourceType": "Patient", "identifier": [{"system": system, "value": "t"}]}
    request = {"method": "POST", "url": "Patient"}
    url = f"urn:uuid:{uuid.uuid4()}"
    answer = transact({"fullUrl": url, "resource": who, "request": request})
    assert answer["entry"][0]["response"]["status"].startswith("201")

with step("delete"):
    patient.Patient.read(made[1], smart.server).delete()
    gone = refusal(HTTPError, lambda: patient.Patient.read(made[1], smart.server))
    assert gone.response.status_code == 410
    assert gone.response.json()["issue"][0]["code"] == "deleted"
