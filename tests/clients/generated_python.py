"""A referral from start to end through the Python client generated from the OpenAPI document.

https://github.com/openapi-generators/openapi-python-client

COORDHUB_DEV names the dev.json of the running hub; the generated package is `hubclient`.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hubclient import AuthenticatedClient
from hubclient.api.healthcare_service import search_healthcare_service
from hubclient.api.observation import create_observation, read_observation
from hubclient.api.service_request import status_of_referral_by_service_request
from hubclient.api.system import capabilities, transaction
from hubclient.api.task import read_task, search_task, update_task
from hubclient.models import (
    Bundle,
    BundleEntry,
    BundleEntryRequest,
    BundleTypeCode,
    CapabilityStatement,
    CodeableConcept,
    HealthcareService,
    HttpVerbCode,
    HumanName,
    Observation,
    ObservationStatusCode,
    OperationOutcome,
    Parameters,
    Patient,
    Quantity,
    Reference,
    RequestIntentCode,
    RequestStatusCode,
    ServiceRequest,
    Task,
    TaskIntentCode,
    TaskOutput,
    TaskStatusCode,
)

T = TypeVar("T")

dev = json.loads(Path(os.environ["COORDHUB_DEV"]).read_text())
origin = dev["base"].removesuffix("/fhir")
members = dev["organizations"]
SYSTEM = "urn:coordhub:sandbox"


def client(name: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=origin, token=members[name]["token"])


riverside, lakeside = client("riverside"), client("lakeside")
requester = Reference(reference=f"Organization/{members['riverside']['id']}")


def step(name: str) -> None:
    print(f"ok - {name}", flush=True)


def until(look: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within 15 s: {what}")


def entry(full_url: str, resource: Patient | Observation | ServiceRequest | Task) -> BundleEntry:
    request = BundleEntryRequest(method=HttpVerbCode.POST, url=resource.resource_type)
    return BundleEntry(full_url=full_url, resource=resource, request=request)


served = capabilities.sync(client=riverside)
assert isinstance(served, CapabilityStatement)
step("capabilities")

services = search_healthcare_service.sync(client=riverside, name=["Lakeside"])
assert isinstance(services, Bundle), services
assert isinstance(services.entry, list), "Lakeside's service should be found"
service = services.entry[0].resource
assert isinstance(service, HealthcareService)
step("search the directory")

who, order, ask = (f"urn:uuid:{uuid.uuid4()}" for _ in range(3))
bundle = Bundle(
    resource_type="Bundle",
    type_=BundleTypeCode.TRANSACTION,
    entry=[
        entry(
            who, Patient(resource_type="Patient", name=[HumanName(family="Water", given=["Ada"])])
        ),
        entry(
            order,
            ServiceRequest(
                resource_type="ServiceRequest",
                status=RequestStatusCode.ACTIVE,
                intent=RequestIntentCode.ORDER,
                code=CodeableConcept(text="Diabetes"),
                subject=Reference(reference=who),
                requester=requester,
                performer=[Reference(reference=f"HealthcareService/{service.id}")],
            ),
        ),
        entry(
            ask,
            Task(
                resource_type="Task",
                status=TaskStatusCode.REQUESTED,
                intent=TaskIntentCode.ORDER,
                focus=Reference(reference=order),
                for_=Reference(reference=who),
                requester=requester,
            ),
        ),
    ],
)
answer = transaction.sync(client=riverside, body=bundle, idempotency_key=uuid.uuid4().hex)
assert isinstance(answer, Bundle), answer
assert isinstance(answer.entry, list)
locations = [str(one.response.location) for one in answer.entry if one.response]
sent = {parts[-4]: parts[-3] for parts in (one.split("/") for one in locations)}
step("transact: the referral is sent")


def asked() -> Task | None:
    found = search_task.sync(client=lakeside, part_of=[f"Task/{sent['Task']}"])
    assert isinstance(found, Bundle), found
    tasks = [one.resource for one in found.entry or []]
    return tasks[0] if tasks and isinstance(tasks[0], Task) else None


task = until(asked, "Lakeside is asked")
step("Lakeside finds its Task")


def answered(status: TaskStatusCode) -> None:
    """Lakeside reads its Task and sends it back with another status."""
    read = read_task.sync_detailed(id=str(task.id), client=lakeside)
    assert isinstance(read.parsed, Task), read.parsed
    read.parsed.status = status
    if status == TaskStatusCode.COMPLETED:
        output = Reference(reference=f"Observation/{result.id}")
        read.parsed.output = [
            TaskOutput(type_=CodeableConcept(text="HbA1c"), value_reference=output)
        ]
    done = update_task.sync_detailed(
        id=str(task.id), client=lakeside, body=read.parsed, if_match=read.headers["ETag"]
    )
    assert isinstance(done.parsed, Task), done.parsed
    stale = update_task.sync_detailed(
        id=str(task.id), client=lakeside, body=read.parsed, if_match=read.headers["ETag"]
    )
    assert stale.status_code == 412
    assert isinstance(stale.parsed, OperationOutcome)
    step(f"update with version: {status}")


answered(TaskStatusCode.ACCEPTED)
answered(TaskStatusCode.IN_PROGRESS)

assert isinstance(task.focus, Reference)
assert isinstance(task.for_, Reference)
reported = create_observation.sync(
    client=lakeside,
    body=Observation(
        resource_type="Observation",
        status=ObservationStatusCode.FINAL,
        code=CodeableConcept(text="HbA1c"),
        subject=task.for_,
        based_on=[task.focus],
        value_quantity=Quantity(value=7.1, unit="%"),
    ),
)
assert isinstance(reported, Observation), reported
result = reported
answered(TaskStatusCode.COMPLETED)


def closed() -> Task | None:
    read = read_task.sync(id=sent["Task"], client=riverside)
    assert isinstance(read, Task)
    return read if read.status == TaskStatusCode.COMPLETED else None


until(closed, "Riverside's Task is completed")
seen = read_observation.sync(id=str(result.id), client=riverside)
assert isinstance(seen, Observation)
where = status_of_referral_by_service_request.sync(id=sent["ServiceRequest"], client=riverside)
assert isinstance(where, Parameters), where
step("Riverside's Task is completed, its result there")
