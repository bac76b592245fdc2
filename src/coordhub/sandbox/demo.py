"""One referral from start to end against a running hub, each exchange shown as it happens.

http://hl7.org/fhir/R4/workflow-management.html
http://hl7.org/fhir/us/sdoh-clinicalcare (indirect referrals)

Riverside and Lakeside act through the hub's own API; what reached their servers is asked of the
partner simulator. Nothing is assumed about the ids of a run, so it can be played again and again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from coordhub.outbound.client import Outbound, Timeouts
from coordhub.r4.document import SpelledDecimal
from coordhub.sandbox.load import ANYWHERE
from coordhub.sandbox.members import SYSTEM
from coordhub.sandbox.transcript import Exchange, Failed, Speaker, Step, Unanswered

_PAUSE_SECONDS = 0.05
_LOINC = "http://loinc.org"
_MRN = "urn:oid:2.16.840.1.113883.19.5"
_TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
_HBA1C = "4548-4"

Document = dict[str, Any]


def referral(run: str, requester: str, recipient: str, now: datetime) -> Document:
    """The transaction Bundle that Riverside sends. requester, recipient: references."""
    patient, hba1c, order, task = (
        uuid.uuid5(uuid.NAMESPACE_URL, f"{run}:{n}").urn for n in range(4)
    )
    entries: dict[str, Document] = {
        patient: {
            "resourceType": "Patient",
            "identifier": [{"system": _MRN, "value": f"demo-{run}"}],
            "active": True,
            "name": [{"family": "Example", "given": ["Demo"]}],
            "gender": "female",
            "birthDate": "1961-04-02",
        },
        hba1c: observation(patient, requester, now - timedelta(days=9), "7.9"),
        order: {
            "resourceType": "ServiceRequest",
            "identifier": [{"system": f"{SYSTEM}:order", "value": run}],
            "status": "active",
            "intent": "order",
            "priority": "routine",
            "code": {
                "coding": [
                    {
                        "system": "http://snomed.info/sct",
                        "code": "306118006",
                        "display": "Referral to endocrinology service",
                    }
                ]
            },
            "subject": {"reference": patient},
            "authoredOn": _instant(now),
            "requester": {"reference": requester},
            "performer": [{"reference": recipient}],
            "reasonCode": [
                {
                    "coding": [
                        {
                            "system": "http://hl7.org/fhir/sid/icd-10-cm",
                            "code": "E11.65",
                            "display": "Type 2 diabetes mellitus with hyperglycemia",
                        }
                    ]
                }
            ],
            "supportingInfo": [{"reference": hba1c}],
        },
        task: {
            "resourceType": "Task",
            "identifier": [{"system": f"{SYSTEM}:task", "value": run}],
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"system": _TASK_CODE, "code": "fulfill"}]},
            "focus": {"reference": order},
            "for": {"reference": patient},
            "authoredOn": _instant(now),
            "requester": {"reference": requester},
        },
    }
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": urn,
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for urn, resource in entries.items()
        ],
    }


def consent(patient: str, organization: str, recipients: Sequence[str], date_time: str) -> Document:
    """The patient agrees that these see what a referral of the organization's needs them to see.

    http://hl7.org/fhir/us/sdoh-clinicalcare (Consent), with a provision that the hub can compute.
    """
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    recipient = {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                "code": "IRCP",
            }
        ]
    }
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": patient},
        "dateTime": date_time,
        "performer": [{"reference": patient}],
        "organization": [{"reference": organization}],
        "policyRule": {"coding": [{"system": act, "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "actor": [{"role": recipient, "reference": {"reference": one}} for one in recipients],
        },
    }


def observation(
    patient: str, performer: str, effective: datetime, percent: str, based_on: str | None = None
) -> Document:
    """An HbA1c result; percent is kept as it is spelled."""
    return {
        "resourceType": "Observation",
        **({"basedOn": [{"reference": based_on}]} if based_on else {}),
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": {
            "coding": [
                {
                    "system": _LOINC,
                    "code": _HBA1C,
                    "display": "Hemoglobin A1c/Hemoglobin.total in Blood",
                }
            ]
        },
        "subject": {"reference": patient},
        "effectiveDateTime": _instant(effective),
        "performer": [{"reference": performer}],
        "valueQuantity": {
            "value": SpelledDecimal(percent),
            "unit": "%",
            "system": "http://unitsofmeasure.org",
            "code": "%",
        },
    }


def moved(task: Document, status: str, now: datetime, output: str | None = None) -> Document:
    """The Task as its owner sends it back. output: reference of the result."""
    changed = {**task, "status": status, "lastModified": _instant(now)}
    if output is not None:
        kind = {"text": "HbA1c result"}
        changed["output"] = [{"type": kind, "valueReference": {"reference": output}}]
    return changed


def located(response: Document) -> dict[str, str]:
    """`Type/id` by type of what a transaction-response says was made."""
    found = {}
    for entry in response.get("entry", []):
        parts = str(entry.get("response", {}).get("location", "")).split("/_history/")[0].split("/")
        if len(parts) >= 2:
            found[parts[-2]] = "/".join(parts[-2:])
    return found


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Demo:
    """A run: `play` it; `steps` holds what happened so far.

    credentials: the content of dev.json. shown: told of each step when it is done. patience: how
    long a step may wait for something to arrive.
    """

    def __init__(
        self,
        credentials: Document,
        run: str,
        shown: Callable[[Step], None],
        patience: timedelta = timedelta(seconds=10),
    ) -> None:
        self.base: str = credentials["base"]
        self.run = run
        self.steps: list[Step] = []
        self._riverside: Document = credentials["organizations"]["riverside"]
        self._lakeside: Document = credentials["organizations"]["lakeside"]
        self._shown = shown
        self._patience = patience

    async def play(self) -> None:
        """All steps. Raises Failed at the first that does not come out."""
        waits = Timeouts(timedelta(seconds=3), self._patience, self._patience)
        async with Outbound(allowed_networks=ANYWHERE, timeouts=waits) as outbound:
            self._speaker = Speaker(outbound, self._hear)
            await self._play()

    def _hear(self, exchange: Exchange) -> None:
        self.steps[-1].exchanges.append(exchange)

    async def _play(self) -> None:
        service, partners = await self._directory()
        sent = await self._refer(service)
        parent = sent["Task"]
        task = await self._delivered(partners, parent)
        accepted = await self._answer(task, "accepted", "Lakeside accepts")
        await self._told(partners, parent, "in-progress", "Riverside is told that it is accepted")
        begun = await self._answer(task, "in-progress", "Lakeside begins", accepted)
        result = await self._report(begun.answer)
        await self._answer(
            task, "completed", "Lakeside completes, naming the result", begun, result
        )
        title = "Riverside is told that it is completed, and gets the result"
        await self._told(partners, parent, "completed", title, result)
        await self._closed(parent, result)

    async def _directory(self) -> tuple[str, str]:
        """Reference of Lakeside's service, and the simulator's `http://host:port/partners`."""
        token = self._riverside["token"]
        async with self._step("Riverside looks up Lakeside in the hub's directory") as step:
            url = f"{self.base}/HealthcareService?identifier={SYSTEM}%7Clakeside-service"
            service = _only(_expect(await self._speaker.say("GET", url, token), 200), "service")
            url = f"{self.base}/Endpoint?identifier={SYSTEM}%7Clakeside-endpoint"
            endpoint = _only(
                _expect(await self._speaker.say("GET", url, token, quietly=True), 200), "Endpoint"
            )
            step.note = f"{service['name']} is HealthcareService/{service['id']}"
            return f"HealthcareService/{service['id']}", endpoint["address"].rsplit("/", 2)[0]

    async def _refer(self, service: str) -> dict[str, str]:
        async with self._step(
            "Riverside sends Patient, prior HbA1c, ServiceRequest and Task"
        ) as step:
            bundle = referral(
                self.run, f"Organization/{self._riverside['id']}", service, datetime.now(UTC)
            )
            answer = await self._speaker.say(
                "POST",
                self.base,
                self._riverside["token"],
                bundle,
                headers={"Idempotency-Key": f"demo-{self.run}", "Prefer": "return=minimal"},
            )
            made = located(_expect(answer, 200))
            if set(made) != {"Patient", "Observation", "ServiceRequest", "Task"}:
                raise Failed(f"four resources should have been made, not {sorted(made)}")
            step.note = f"the hub holds {made['Task']} (T1) and {made['ServiceRequest']} (SR1)"
            return made

    async def _delivered(self, partners: str, parent: str) -> str:
        """The hub's reference of T2, once it has reached Lakeside's server with all it needs."""
        own = f"{partners}/lakeside"
        async with self._step("The hub makes SR2 and T2 for Lakeside and delivers them") as step:

            async def arrived() -> tuple[str, Exchange] | None:
                for reference, source in await self._arrivals(own, "Task"):
                    found = await self._speaker.say("GET", f"{own}/fhir/{reference}", quietly=True)
                    if _refers(found.answer, "partOf", parent):
                        return source, found
                return None

            task: str
            found: Exchange
            task, found = await self._until(
                step, arrived, f"a Task that is part of {parent} at Lakeside"
            )
            self._speaker.show(found)
            focus = _tail(found.answer["focus"]["reference"])
            order = _expect(await self._speaker.say("GET", f"{own}/fhir/{focus}"), 200)
            values = []
            for info in order.get("supportingInfo", []):
                url = f"{own}/fhir/{_tail(info['reference'])}"
                prior = _expect(await self._speaker.say("GET", url), 200)
                values.append(str(prior.get("valueQuantity", {}).get("value")))
            if "7.9" not in values:
                raise Failed("the prior HbA1c should have come with the ServiceRequest")
            step.note = f"Lakeside's server holds {task} (T2), {focus} (SR2) and the HbA1c of 7.9 %"
            return task

    async def _answer(
        self,
        task: str,
        status: str,
        title: str,
        known: Exchange | None = None,
        output: str | None = None,
    ) -> Exchange:
        """Lakeside reads its Task, unless it knows it, and puts it back with another status."""
        token = self._lakeside["token"]
        async with self._step(title) as step:
            url = f"{self.base}/{task}"
            if known is None:
                known = await self._speaker.say("GET", url, token)
                _expect(known, 200)
            put = await self._speaker.say(
                "PUT",
                url,
                token,
                moved(known.answer, status, datetime.now(UTC), output),
                headers={"If-Match": known.headers.get("etag", "")},
            )
            _expect(put, 200)
            step.note = f"{task} is {status}"
            return put

    async def _report(self, task: Document) -> str:
        """Lakeside creates its result, based on the order that its Task is about."""
        async with self._step("Lakeside reports a new HbA1c") as step:
            report = observation(
                _tail(task["for"]["reference"]),
                f"Organization/{self._lakeside['id']}",
                datetime.now(UTC),
                "7.10",
                _tail(task["focus"]["reference"]),
            )
            answer = await self._speaker.say(
                "POST", f"{self.base}/Observation", self._lakeside["token"], report
            )
            result = f"Observation/{_expect(answer, 201)['id']}"
            step.note = f"the hub holds {result}"
            return result

    async def _told(
        self, partners: str, task: str, status: str, title: str, result: str | None = None
    ) -> None:
        """Riverside's server has T1 in this status, and the result if one is named."""
        own = f"{partners}/riverside"
        async with self._step(title) as step:

            async def arrived(source: str) -> Exchange | None:
                kind = source.partition("/")[0]
                for reference, stated in await self._arrivals(own, kind):
                    if stated == source:
                        return await self._speaker.say(
                            "GET", f"{own}/fhir/{reference}", quietly=True
                        )
                return None

            async def moved_on() -> Exchange | None:
                found = await arrived(task)
                return found if found and found.answer.get("status") == status else None

            async def reported() -> Exchange | None:
                return await arrived(result) if result else None

            self._speaker.show(await self._until(step, moved_on, f"{task} {status} at Riverside"))
            step.note = f"Riverside's server holds {task} as {status}"
            if result is not None:
                self._speaker.show(await self._until(step, reported, f"{result} at Riverside"))
                step.note += f", and {result}"

    async def _closed(self, task: str, result: str) -> None:
        async with self._step("Riverside reads its Task in the hub") as step:
            token = self._riverside["token"]
            found = _expect(await self._speaker.say("GET", f"{self.base}/{task}", token), 200)
            outputs = [
                _tail(o.get("valueReference", {}).get("reference", ""))
                for o in found.get("output", [])
            ]
            if found.get("status") != "completed" or result not in outputs:
                raise Failed(f"{task} should be completed with {result} in its output")
            shared = _expect(await self._speaker.say("GET", f"{self.base}/{result}", token), 200)
            step.note = f"{task} is completed; its result is {shared['valueQuantity']['value']} %"

    async def _arrivals(self, own: str, resource_type: str) -> list[tuple[str, str]]:
        answer = await self._speaker.say("GET", f"{own}/received", quietly=True)
        return arrivals(_expect(answer, 200), resource_type)

    async def _until(self, step: Step, look: Callable[[], Awaitable[Any]], expected: str) -> Any:
        """Look until there is something; Failed when patience is over."""
        patience = self._patience.total_seconds()
        deadline = time.monotonic() + patience
        while True:
            found = await look()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise Failed(f"expected within {patience:.0f} s: {expected}")
            step.attempts += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    @asynccontextmanager
    async def _step(self, title: str) -> AsyncIterator[Step]:
        step = Step(title)
        self.steps.append(step)
        start = time.monotonic()
        try:
            yield step
        finally:
            step.milliseconds = round((time.monotonic() - start) * 1000, 1)
            self._shown(step)


def arrivals(received: list[Document], resource_type: str) -> list[tuple[str, str]]:
    """What a partner's server got of this type, newest first: its own and the hub's `Type/id`."""
    found: dict[tuple[str, str], None] = {}
    for entry in reversed(received):
        for resource in entry["resources"]:
            if entry["applied"] and resource["type"] == resource_type:
                source = resource.get("sourceId", resource["id"])
                found[f"{resource_type}/{resource['id']}", f"{resource_type}/{source}"] = None
    return list(found)


def _expect(exchange: Exchange, status: int) -> Any:
    if exchange.status == status:
        return exchange.answer
    if exchange.status == 0:
        raise Unanswered(f"{exchange.method} {exchange.url} was not answered.")
    outcome = exchange.answer if isinstance(exchange.answer, dict) else {}
    said = "; ".join(str(issue.get("diagnostics")) for issue in outcome.get("issue", []))
    raise Failed(
        f"{exchange.method} {exchange.url} answered {exchange.status}"
        f" where {status} was expected. {said}".strip()
    )


def _only(bundle: Document, what: str) -> Document:
    found = [entry["resource"] for entry in bundle.get("entry", [])]
    if len(found) != 1:
        raise Failed(f"one {what} of Lakeside should be found, not {len(found)}")
    resource: Document = found[0]
    return resource


def _refers(document: Any, element: str, reference: str) -> bool:
    if not isinstance(document, dict):
        return False
    return any(_tail(item.get("reference", "")) == reference for item in document.get(element, []))


def _tail(reference: str) -> str:
    """`Type/id` of a relative or absolute reference."""
    return "/".join(reference.split("/_history/")[0].split("/")[-2:])
