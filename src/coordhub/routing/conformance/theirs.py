"""The check list at the partner's own server: let in, understood, taken once, in time.

http://hl7.org/fhir/R4/http.html#transaction, http://hl7.org/fhir/R4/security-labels.html#hcs (HTEST)

What is sent is a Task of nobody's, labelled as a test, as a delivery would send it; at the end it is set to
entered-in-error. It is looked for only by what the hub has sent: its own identifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from coordhub.directory import bases
from coordhub.directory.bases import Base
from coordhub.errors import FhirError
from coordhub.outbound.client import Answer, Outbound, Unreachable
from coordhub.r4 import document, sensitivity
from coordhub.record.hub import Hub, instant
from coordhub.routing.channels import hl7_fhir_rest
from coordhub.routing.channels.channel import Delivered
from coordhub.routing.conformance.items import (
    acknowledged,
    capabilities,
    certificate,
    clock,
    failed,
    not_tried,
    passed,
    unreachable,
)
from coordhub.store import counterparts
from coordhub.store.engine import Connection
from coordhub.store.onboarding import Item, Partner

NAMES: Final = (
    "reachable", "tls", "clock", "capabilities", "authentication", "takes", "once", "acknowledgement",
)  # fmt: skip
"""The items, in the order of the report."""

SYSTEM: Final = "urn:coordhub:conformance-test"
JSON: Final = "application/fhir+json; fhirVersion=4.0"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """base: None where it has none. own_ids: it gives ids itself, as was agreed."""

    base: Base | None
    own_ids: bool


async def server_of(conn: Connection, partner: Partner, hub: Hub) -> Server:
    if partner.endpoint is None:
        return Server(None, own_ids=False)
    base = await bases.at(conn, partner.endpoint, hub.clock())
    custom = await counterparts.custom(conn, partner.sandbox, partner.endpoint)
    return Server(base, own_ids=custom.own_ids)


@dataclass(slots=True)
class _Visit:
    """One run. took: seconds of each time that something was taken."""

    hub: Hub
    outbound: Outbound
    base: Base
    own_ids: bool
    number: str = field(default_factory=lambda: str(uuid4()))
    took: list[float] = field(default_factory=list)

    async def get(self, path: str, *, known: bool = True) -> Answer | Unreachable:
        """known: with what lets the hub in."""
        headers = {**(self.base.headers if known else {}), "Accept": JSON}
        return await self.outbound.send(
            "GET", f"{self.base.address}/{path}", headers, look_at_certificate=True
        )

    async def post(self, bundle: Document, key: str) -> Answer | Unreachable:
        headers = {
            **self.base.headers,
            "Content-Type": JSON,
            "Accept": "application/fhir+json",
            "Prefer": "return=minimal",
            "Idempotency-Key": key,
            "X-Request-Id": key,
        }
        return await self.outbound.send("POST", self.base.address, headers, document.encode(bundle))

    def bundle(self, status: str, theirs: str = "") -> Document:
        """theirs: `Task/id` at the partner, of a Task that is there already."""
        task: Document = {
            "resourceType": "Task",
            "meta": {"security": sensitivity.codings(sensitivity.TEST)},
            "identifier": [{"system": SYSTEM, "value": self.number}],
            "status": status,
            "intent": "order",
            "code": {
                "coding": [
                    {"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}
                ]
            },
            "description": "A test of the hub's: nothing is to be done.",
            "authoredOn": instant(self.hub.clock()),
        }
        where = theirs or ("" if self.own_ids else f"Task/{self.number}")
        request: Document = {"method": "POST", "url": "Task"}
        if where:
            task["id"] = where.partition("/")[2]
            request = {"method": "PUT", "url": where}
        else:
            request["ifNoneExist"] = f"identifier={SYSTEM}|{self.number}"
        entry = {"fullUrl": f"urn:uuid:{self.number}", "resource": task, "request": request}
        return {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}


async def check(hub: Hub, outbound: Outbound, server: Server) -> list[Item]:
    """Its items; those behind one that all others stand on are not tried."""
    if server.base is None:
        why = "No server of its own is registered, or its Endpoint is not active: what is for it waits at the hub."
        return [not_tried(name, why) for name in NAMES]
    visit = _Visit(hub, outbound, server.base, server.own_ids)
    found: list[Item] = []
    greeted = await visit.get("metadata")
    if isinstance(greeted, Unreachable):
        found.append(unreachable("reachable", greeted))
        if greeted.kind == "tls":
            found.append(unreachable("tls", greeted))
        return _completed(found)
    took = f"{greeted.elapsed * 1000:.0f} ms"
    found.append(passed("reachable", f"It answered in {took}."))
    found.append(certificate(server.base.address, greeted.certificate_ends, hub.clock()))
    waited = timedelta(seconds=greeted.elapsed)
    found.append(clock(greeted.headers.get("date"), hub.clock(), waited))
    found.append(_capable(greeted))
    found.append(await _lets_in(visit))
    if found[-1].result != "failed":
        found += await _takes(visit)
    return _completed(found)


def _completed(found: list[Item]) -> list[Item]:
    known = {one.name for one in found}
    why = "Something before it has to be right first."
    return [*found, *(not_tried(name, why) for name in NAMES if name not in known)]


def _capable(answer: Answer) -> Item:
    if answer.status != 200:
        return failed(
            "capabilities",
            f"GET [base]/metadata is answered with {answer.status}.",
            "Offer a CapabilityStatement there, without asking who it is for.",
        )
    found = _resource(answer.body)
    if found.get("resourceType") != "CapabilityStatement":
        return failed(
            "capabilities",
            "GET [base]/metadata does not answer with a CapabilityStatement.",
            "Register the base of the FHIR API, and nothing of a page before it.",
        )
    return capabilities(found)


async def _lets_in(visit: _Visit) -> Item:
    """The hub with what was given it, and nobody without."""
    name, path = "authentication", f"Task?identifier={SYSTEM}|{visit.number}"
    inside = await visit.get(path)
    if isinstance(inside, Unreachable):
        return unreachable(name, inside)
    if inside.status in (401, 403):
        return failed(
            name,
            f"It does not let the hub in: {inside.status}.",
            "Give the hub's operator a header that does (coordhub onboard register --header-file).",
        )
    if not visit.base.headers:
        return not_tried(
            name,
            "It was given no header by which to let the hub in, and lets anybody in.",
            "Let nobody in who does not show who it is, unless the network does that for you.",
        )
    outside = await visit.get(path, known=False)
    if isinstance(outside, Answer) and outside.status in (401, 403):
        return passed(name, f"It lets the hub in, and refuses who shows nothing: {outside.status}.")
    return failed(
        name,
        "It lets in who shows nothing.",
        "Refuse with 401 what comes without the header: what the hub sends there is about patients.",
    )


async def _takes(visit: _Visit) -> list[Item]:
    key = str(uuid4())
    first = await visit.post(visit.bundle("requested"), key)
    if isinstance(first, Unreachable):
        return [unreachable("takes", first)]
    outcome = hl7_fhir_rest.understand(first.status, first.body) if first.status < 300 else None
    if not isinstance(outcome, Delivered):
        return [
            failed(
                "takes",
                f"A transaction of one Task was answered with {first.status}"
                f"{'' if first.status >= 300 else ', and with no transaction-response'}.",
                "Take a transaction Bundle with a PUT under the hub's ids or, as agreed (coordhub exchange --own-ids), "
                "a POST; answer 200 with a transaction-response, or say in an OperationOutcome what is wrong.",
            )
        ]
    visit.took.append(first.elapsed)
    once = await _once(visit, key, next(iter(outcome.partner_ids), ""))
    return [
        passed("takes", f"A transaction of one Task was taken: {first.status}."),
        once,
        acknowledged(visit.took),
    ]


async def _once(visit: _Visit, key: str, theirs: str) -> Item:
    """What is sent again, as after an answer that was lost, is there once; then it is taken back."""
    again = await visit.post(visit.bundle("requested"), key)
    if isinstance(again, Unreachable):
        return unreachable("once", again)
    second = hl7_fhir_rest.understand(again.status, again.body) if again.status < 300 else None
    if not isinstance(second, Delivered):
        return failed(
            "once",
            f"The same with the same Idempotency-Key was answered with {again.status}.",
            "Answer what comes again as you did the first time: an answer may have been lost on its way.",
        )
    visit.took.append(again.elapsed)
    same = not theirs or theirs in second.partner_ids
    counted = await _counted(visit)
    where = theirs or next(iter(second.partner_ids), "")
    last = await visit.post(visit.bundle("entered-in-error", where), str(uuid4()))
    if isinstance(last, Answer) and last.status < 300:
        visit.took.append(last.elapsed)
    if (counted is not None and counted > 1) or not same:
        many = f"{counted} times" if counted and counted > 1 else "under another id"
        return failed(
            "once",
            f"Sent twice with the same Idempotency-Key, it is there {many}.",
            "Know a repeat by its Idempotency-Key (or by the id of the PUT, or by ifNoneExist) and store nothing "
            "again; or tell the hub's operator that you cannot (coordhub exchange --read-before-repeat).",
        )
    how = "it is there once" if counted == 1 else "it was answered with the same id"
    return passed("once", f"Sent twice with the same Idempotency-Key, {how}.")


async def _counted(visit: _Visit) -> int | None:
    """How many of them a search finds; None where it cannot be searched for."""
    answer = await visit.get(f"Task?identifier={SYSTEM}|{visit.number}")
    if isinstance(answer, Unreachable) or answer.status != 200:
        return None
    bundle = _resource(answer.body)
    entries = bundle.get("entry", [])
    if bundle.get("type") != "searchset" or not isinstance(entries, list):
        return None
    ours = [
        one for one in entries if isinstance(one, dict) and _is_ours(one.get("resource"), visit)
    ]
    return len(ours) or None


def _is_ours(resource: object, visit: _Visit) -> bool:
    if not isinstance(resource, Mapping):
        return False
    stated = resource.get("identifier")
    return isinstance(stated, list) and any(
        isinstance(one, Mapping) and one.get("value") == visit.number for one in stated
    )


def _resource(body: bytes) -> Document:
    try:
        return document.parse(body)
    except FhirError:
        return {}
