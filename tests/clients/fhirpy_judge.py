"""fhirpy against a running hub.

https://github.com/beda-software/fhir-py

COORDHUB_BASE and COORDHUB_TOKEN say where and as whom. It has no way to send If-Match.
"""

from __future__ import annotations

import os
import uuid

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

client = SyncFHIRClient(
    os.environ["COORDHUB_BASE"], authorization=f"Bearer {os.environ['COORDHUB_TOKEN']}"
)
run = uuid.uuid4().hex
system = f"urn:test:{run}"
metadata = client.execute("metadata", method="get")
patients = next(r for r in metadata["rest"][0]["resource"] if r["type"] == "Patient")
codes = {interaction["code"] for interaction in patients["interaction"]}


def step(name: str) -> None:
    print(f"  {name}")


made = []
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
step("create")

found = client.resources("Patient").search(identifier=f"{system}|3").fetch()
assert [one.id for one in found] == [made[3].id]
step("search")

everyone = client.resources("Patient").search(identifier=f"{system}|").limit(2).fetch_all()
assert {one.id for one in everyone} == {one.id for one in made}
step("page")

read = client.reference("Patient", made[0].id).to_resource()
read["name"][0]["family"] = "Stone"
read.save()
assert read["meta"]["versionId"] == "2"
step("update")

if "patch" in codes:
    client.resource("Patient", id=read.id).patch(active=True)
    step("patch")
else:
    step("patch: the CapabilityStatement offers none")

if "Observation:subject" in next(
    (
        r.get("searchInclude", [])
        for r in metadata["rest"][0]["resource"]
        if r["type"] == "Observation"
    ),
    [],
):
    client.resource(
        "Observation",
        status="final",
        code={"text": "test"},
        subject={"reference": f"Patient/{read.id}"},
    ).save()
    bundle = (
        client.resources("Observation")
        .search(subject=f"Patient/{read.id}")
        .include("Observation", "subject")
        .fetch_raw()
    )
    assert {entry["resource"]["resourceType"] for entry in bundle["entry"]} == {
        "Observation",
        "Patient",
    }
    step("include")
else:
    step("include: the CapabilityStatement offers none")

bundle = client.resource(
    "Bundle",
    type="transaction",
    entry=[
        {
            "fullUrl": f"urn:uuid:{uuid.uuid4()}",
            "resource": {
                "resourceType": "Patient",
                "identifier": [{"system": system, "value": "t"}],
            },
            "request": {"method": "POST", "url": "Patient"},
        }
    ],
)
bundle.save()
assert client.resources("Patient").search(identifier=f"{system}|t").fetch()
step("transact")

made[1].delete()
try:
    client.reference("Patient", made[1].id).to_resource()
except (ResourceNotFound, OperationOutcome):
    step("delete")
else:
    raise AssertionError("what was deleted should be gone")
