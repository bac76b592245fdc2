"""SMART's fhirclient for Python as an app that a person lets in, played without a browser.

https://github.com/smart-on-fhir/client-py, http://hl7.org/fhir/smart-app-launch/app-launch.html

COORDHUB_PERSON is address, password and secret of the second factor of somebody of the sample community, for
whose organization COORDHUB_TOKEN is. What a person does, `Person` does: it fills in the forms of the hub's pages.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import os
import re
import struct
import time
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from fhirclient import client
from fhirclient.models import observation, patient
from fhirclient.server import FHIRPermissionDeniedException
from steps import refusal, step

BACK = "http://127.0.0.1:9/back"
BASE = os.environ["COORDHUB_BASE"]


class Person:
    """With a browser that goes on until it is sent to the app."""

    def __init__(self, email: str, password: str, secret: str) -> None:
        self.email, self.password, self.secret = email, password, secret
        self.session = requests.Session()

    def lets_in(self, address: str, record: str) -> str:
        """Where the app is told what came of it."""
        page = self._goes(self.session.get(address, allow_redirects=False))
        if "/sign-in" in page.url:
            page = self._sends(page, email=self.email, password=self.password, code=self._code())
        ticked = dict.fromkeys(re.findall(r'name="(s\d+)"', page.text), "on")
        sent = self._sends(page, act="allow", patient=record, **ticked)
        return sent.headers["Location"]

    def _sends(self, page: requests.Response, **fields: str) -> requests.Response:
        [action] = re.findall(
            r'<form method="post" action="([^"]*/(?:allow|sign-in)[^"]*)"', page.text
        )
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
        whole = {name: html.unescape(value) for name, value in hidden} | fields
        there = urljoin(page.url, html.unescape(action))
        return self._goes(self.session.post(there, data=whole, allow_redirects=False))

    def _goes(self, page: requests.Response) -> requests.Response:
        while True:
            onward = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)
            there = page.headers.get("Location") or (onward and html.unescape(onward[1]))
            if not there or there.startswith(BACK):
                return page
            page = self.session.get(urljoin(page.url, there), allow_redirects=False)

    def _code(self) -> str:
        """https://www.rfc-editor.org/rfc/rfc6238"""
        key = base64.b32decode(self.secret)
        made = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
        at = made[-1] & 15
        return f"{(struct.unpack('>I', made[at : at + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


mine = {"Authorization": f"Bearer {os.environ['COORDHUB_TOKEN']}"}
sent = {**mine, "Content-Type": "application/fhir+json"}
one, other = [
    requests.post(
        f"{BASE}/Patient", data=json.dumps({"resourceType": "Patient"}), headers=sent
    ).json()["id"]
    for _ in range(2)
]
smart = client.FHIRClient(
    settings={
        "app_id": "judge-app",
        "api_base": BASE + "/",
        "redirect_uri": BACK,
        "scope": "openid offline_access patient/Patient.rs patient/Observation.cruds",
    }
)
person = Person(*json.loads(os.environ["COORDHUB_PERSON"]))

with step("launch and be let in"):
    assert smart.prepare() is False
    back = person.lets_in(smart.authorize_url, one)
    assert parse_qs(urlsplit(back).query)["iss"] == [BASE]

with step("token and patient"):
    smart.handle_callback(back)
    assert smart.patient_id == one
    assert smart.patient.id == one
    assert smart.server.auth.access_token.startswith("coordhub_at_")

with step("data of that chart only"):
    made = observation.Observation(
        {
            "status": "final",
            "code": {"text": "judged"},
            "subject": {"reference": f"Patient/{one}"},
        }
    ).create(smart.server)
    found = observation.Observation.where({}).perform_resources(smart.server)
    assert [each.id for each in found] == [made["id"]]
    found = patient.Patient.where({}).perform_resources(smart.server)
    assert [each.id for each in found] == [one]
    refusal(FHIRPermissionDeniedException, lambda: smart.server.request_json("Task"))

with step("refresh"):
    before = smart.server.auth.access_token
    assert smart.reauthorize()
    assert smart.server.auth.access_token != before
    assert smart.patient.id == one

with step("a code once"):
    ended = smart.server.auth.access_token
    refusal(Exception, lambda: smart.handle_callback(back))
    told = requests.get(f"{BASE}/Patient", headers={"Authorization": f"Bearer {ended}"})
    assert told.status_code == 401
