"""SMART's fhirclient for Python as a backend: it finds the token endpoint and gets its token by itself.

https://github.com/smart-on-fhir/client-py, http://hl7.org/fhir/smart-app-launch/backend-services.html

COORDHUB_ASSERTION is signed by a key that the client `judge` was registered with: fhirclient is given an
assertion as its `jwt_token`, and does the rest.
"""

from __future__ import annotations

import os

from fhirclient import client
from fhirclient.models import observation, patient
from fhirclient.server import FHIRPermissionDeniedException, FHIRUnauthorizedException
from steps import refusal, step


def opened(assertion: str) -> client.FHIRClient:
    smart = client.FHIRClient(
        settings={
            "app_id": "judge",
            "api_base": os.environ["COORDHUB_BASE"] + "/",
            "scope": "system/Patient.cruds system/Observation.rs?category=laboratory",
            "jwt_token": assertion,
        }
    )
    smart.wants_patient = False  # a scope of an app's
    smart.prepare()
    return smart


smart = opened(os.environ["COORDHUB_ASSERTION"])

with step("discover and get a token"):
    smart.authorize()
    assert smart.server.auth.access_token.startswith("coordhub_at_")

with step("create and read"):
    made = patient.Patient({"active": True}).create(smart.server)
    assert patient.Patient.read(made["id"], smart.server).active is True

with step("search within its scopes"):
    assert observation.Observation.where({}).perform(smart.server).type == "searchset"
    task = refusal(FHIRPermissionDeniedException, lambda: smart.server.request_json("Task"))
    assert "insufficient_scope" in task.response.headers["WWW-Authenticate"]

with step("an assertion once"):
    again = opened(os.environ["COORDHUB_ASSERTION"])
    refused = refusal(FHIRUnauthorizedException, again.authorize)
    assert refused.response.json()["error"] == "invalid_client"
