"""An EHR that calls CDS Hooks: it signs each call, and has drafts of orders."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey

from coordhub.store import clients

LOINC = "http://loinc.org"
SIGN = "coordhub-prior-results-sign"
HOOKS = {
    SIGN: "order-sign",
    "coordhub-prior-results-select": "order-select",
    "coordhub-prior-results-dispatch": "order-dispatch",
    "coordhub-patient-view": "patient-view",
}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EHR:
    """name: of its client at the hub. base: FHIR base of the hub. http: reaches that."""

    name: str
    base: str
    http: httpx2.AsyncClient
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-384", private=True))

    @property
    def keys(self) -> Document:
        """To register it by."""
        return {"keys": [{**self.key.as_dict(private=False), "kid": "one", "use": "sig"}]}

    def token(self, service: str, now: datetime, **others: Any) -> str:
        claims = {
            "iss": self.name,
            "aud": f"{self.base.removesuffix('/fhir')}/cds-services/{service}",
            "exp": int((now + timedelta(minutes=4)).timestamp()),
            "iat": int(now.timestamp()),
            "jti": uuid.uuid4().hex,
            **others,
        }
        stated = {name: value for name, value in claims.items() if value is not None}
        head = {"alg": "ES384", "typ": "JWT", "kid": "one"}
        return jws.serialize_compact(head, json.dumps(stated), self.key, algorithms=["ES384"])

    async def call(
        self, body: Any, now: datetime, *, service: str = SIGN, path: str = "", token: str = ""
    ) -> httpx2.Response:
        signed = token or self.token(service, now)
        return await self.http.post(
            f"/cds-services/{service}{path}",
            json=body,
            headers={"Authorization": f"Bearer {signed}"},
        )

    async def cards(self, body: Document, now: datetime, *, service: str = SIGN) -> list[Document]:
        answered = await self.call(body, now, service=service)
        assert answered.status_code == 200, answered.text
        assert list(answered.json()) == ["cards"]
        cards: list[Document] = answered.json()["cards"]
        return cards

    async def feeds_back(self, now: datetime, *told: Document) -> int:
        answered = await self.call({"feedback": list(told)}, now, path="/feedback")
        return answered.status_code


async def registered(house: Any, name: str) -> EHR:
    """Of the organization whose client has this name, with its key."""
    made = EHR(name, house.hub.base, house.http)
    async with house.hub.engine.pool.acquire() as conn:
        assert await clients.set_keys(conn, name, json.dumps(made.keys), None)
    return made


async def told(ehr: EHR, now: datetime, patient: str, *drafts: Document) -> list[str]:
    """Summaries of the cards of who opens the chart of a Patient of the hub, or signs drafts of orders for it."""
    number = patient.partition("/")[2]
    body = call(*drafts, patient={"resourceType": "Patient", "id": number})
    body["fhirServer"] = ehr.base
    service = SIGN
    if not drafts:
        service, body["hook"] = "coordhub-patient-view", "patient-view"
        body["context"] = {"userId": "Practitioner/1", "patientId": number}
    return [one["summary"] for one in await ehr.cards(body, now, service=service)]


def draft(code: str, patient: str, **others: Any) -> Document:
    return {
        "resourceType": "ServiceRequest",
        "id": "draft-1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"system": LOINC, "code": code}]},
        **others,
    }


def call(*drafts: Document, patient: Document | None = None, hook: str = "order-sign") -> Document:
    """patient: as its own server has it, sent along."""
    entries = [{"resource": one} for one in drafts]
    known = patient["id"] if patient is not None else "1288992"
    context = {
        "userId": "PractitionerRole/endo-7",
        "patientId": known,
        "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": entries},
    }
    whole: Document = {"hook": hook, "hookInstance": str(uuid.uuid4()), "context": context}
    if patient is not None:
        whole["prefetch"] = {"patient": patient}
    return whole
