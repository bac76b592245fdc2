"""fhirpy against a running hub.

https://github.com/beda-software/fhir-py

COORDHUB_BASE and COORDHUB_TOKEN say where and as whom. If-Match is a header of a client of its own;
its `patch` sends a part of the resource, which R4 has not: the hub says what a patch is, and a
FHIRPath Patch goes through `execute`.
"""

from __future__ import annotations

import os
import uuid

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound
from steps import refusal, step

BASE = os.environ["COORDHUB_BASE"]
TOKEN = f"Bearer {os.environ['COORDHUB_TOKEN']}"
client = SyncFHIRClient(BASE, authorization=TOKEN)
first_version = SyncFHIRClient(BASE, authorization=TOKEN, extra_headers={"If-Match": 'W/"1"'})
system = f"urn:test:{uuid.uuid4().hex}"
made = []

with step("create"):
    for number in range(5):
        patient = client.resource(
            "Patient",
            identifier=[{"system": system, "value": str(number)}],
            name=[{"family": "Water", "given": [f"N{number}"]}],
        )
        patient.save()
        assert patient.id
        assert patient["meta"]["versionId"] == "1"
        made.append(patient)

with step("search"):
    found = client.resources("Patient").search(identifier=f"{system}|3").fetch()
    assert [one.id for one in found] == [made[3].id]

with step("page"):
    pages = client.resources("Patient").search(identifier=f"{system}|").limit(2)
    assert len(pages.fetch()) == 2
    everyone = pages.fetch_all()
    assert sorted(one.id for one in everyone) == sorted(one.id for one in made)

with step("update with version"):
    read = first_version.reference("Patient", made[0].id).to_resource()
    read["name"][0]["family"] = "Stone"
    read.save()
    assert read["meta"]["versionId"] == "2"
    read["name"][0]["family"] = "Sand"
    stale = refusal(MultipleResourcesFound, read.save)  # what fhirpy makes of every 412
    assert "OperationOutcome" in str(stale)

with step("patch"):
    part = client.resource("Patient", id=made[0].id)
    refused = refusal(OperationOutcome, lambda: part.patch(active=True))
    assert "FHIRPath Patch (a Parameters)" in str(refused)
    replaced = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "active"},
        {"name": "value", "valueBoolean": True},
    ]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": replaced}]}
    patched = client.execute(f"Patient/{made[0].id}", method="patch", data=patch)
    assert (patched["active"], patched["meta"]["versionId"]) == (True, "3")

with step("include"):
    client.resource(
        "Observation",
        status="final",
        code={"text": "test"},
        subject={"reference": f"Patient/{made[0].id}"},
    ).save()
    observations = client.resources("Observation").search(subject=f"Patient/{made[0].id}")
    bundle = observations.include("Observation", "subject").fetch_raw()
    both = [(one["search"]["mode"], one["resource"]["resourceType"]) for one in bundle["entry"]]
    assert both == [("match", "Observation"), ("include", "Patient")]

with step("transact"):
    one = {"resourceType": "Patient", "identifier": [{"system": system, "value": "t"}]}
    request = {"method": "POST", "url": "Patient"}
    entry = {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": one, "request": request}
    client.resource("Bundle", type="transaction", entry=[entry]).save()
    assert len(client.resources("Patient").search(identifier=f"{system}|t").fetch()) == 1

with step("delete"):
    made[1].delete()
    gone = refusal(ResourceNotFound, client.reference("Patient", made[1].id).to_resource)
    assert "was deleted" in str(gone)
