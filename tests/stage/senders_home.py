"""Riverside's own FHIR server, played by the partner simulator: what it keeps, and what was read there."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.sandbox import demo

Document = dict[str, Any]

TASK_CODES = "http://hl7.org/fhir/CodeSystem/task-code"


@dataclass(frozen=True, slots=True)
class Home:
    """Riverside's own server."""

    riverside: Any

    @property
    def base(self) -> str:
        return f"{self.riverside.own}/fhir"

    async def keeps(self, document: Document) -> Document:
        """Put it there; what it has then."""
        name = f"{document['resourceType']}/{document['id']}"
        content = fhir_json.encode(document)
        put = await self.riverside.hub.put(f"{self.base}/{name}", content=content)
        assert put.status_code in (200, 201), put.text
        return document

    async def read(self) -> list[Document]:
        """What was read from it, in order."""
        return (await self.riverside.hub.get(f"{self.riverside.own}/read")).json()

    async def paths(self) -> list[str]:
        return [one["path"] for one in await self.read()]

    async def order(self, *performers: str, **elements: object) -> dict[str, Document]:
        """Patient, prior HbA1c and the order on its server, by their own ids there."""
        run = uuid.uuid4().hex[:8]
        sent = demo.referral(run, self.riverside.reference, performers[0], datetime.now(UTC))
        documents = {entry["resource"]["resourceType"]: entry for entry in sent["entry"]}
        ids = {
            entry["fullUrl"]: f"{kind}/{kind[:3].lower()}-{run}"
            for kind, entry in documents.items()
        }
        made: dict[str, Document] = {}
        for kind in ("Patient", "Observation", "ServiceRequest"):
            text = reference.rewrite(documents[kind]["resource"], ids.get)
            text["id"] = ids[documents[kind]["fullUrl"]].partition("/")[2]
            if kind == "ServiceRequest":
                text["performer"] = [{"reference": one} for one in performers]
                text |= elements
            made[kind] = await self.keeps(text)
        return made

    def task(self, order: dict[str, Document], **elements: object) -> Document:
        """The Task about it, by absolute URLs."""
        return {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"system": TASK_CODES, "code": "fulfill"}]},
            "focus": {"reference": f"{self.base}/ServiceRequest/{order['ServiceRequest']['id']}"},
            "for": {"reference": f"{self.base}/Patient/{order['Patient']['id']}"},
            "requester": {"reference": self.riverside.reference},
            **elements,
        }
