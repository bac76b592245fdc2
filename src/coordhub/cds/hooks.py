"""What an EHR sends when it calls a service, read and judged.

https://cds-hooks.hl7.org/2.0/#calling-a-cds-service, https://cds-hooks.hl7.org/hooks/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from coordhub.cds.services import Service
from coordhub.errors import FhirError, Issue
from coordhub.r4 import reference

MOST_ORDERS: Final = 50
"""Of one call; what is beyond is not looked at."""

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,8192}", re.ASCII)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hook:
    """A call. patient: id of the Patient at the EHR. drafts: ServiceRequests that came along.

    dispatched: `ServiceRequest/id` at the EHR of what is sent off. fetched: resources of the prefetch, by
    `Type/id`. server, token: the EHR's own, and what it lets the hub in by; empty: none.
    """

    service: Service
    patient: str
    drafts: tuple[Document, ...] = ()
    dispatched: tuple[str, ...] = ()
    fetched: Mapping[str, Document] = field(default_factory=dict)
    server: str = ""
    token: str = ""


def read(service: Service, document: Document) -> Hook:
    """400 with every fault at once."""
    faults: list[Issue] = []
    if document.get("hook") != service.hook:
        faults.append(Issue("value", f"{service.id} is for the hook {service.hook}.", "hook"))
    if not is_uuid(document.get("hookInstance")):
        faults.append(Issue("value", "A UUID names each call: send it.", "hookInstance"))
    context = document.get("context")
    if not isinstance(context, Mapping):
        faults.append(Issue("required", f"Send the context of {service.hook}.", "context"))
        context = {}
    patient = context.get("patientId")
    if not isinstance(patient, str) or not _ID.fullmatch(patient):
        faults.append(
            Issue("required", "Send the id of the Patient at your server.", "context.patientId")
        )
    drafts, dispatched = _orders(service, context, faults)
    if faults:
        raise FhirError(400, *faults)
    given = document.get("fhirAuthorization")
    token = given.get("access_token") if isinstance(given, Mapping) else None
    server = document.get("fhirServer")
    return Hook(
        service,
        str(patient),
        tuple(drafts[:MOST_ORDERS]),
        tuple(dispatched[:MOST_ORDERS]),
        _fetched(document.get("prefetch")),
        server if isinstance(server, str) and len(server) < 2048 else "",
        token if isinstance(token, str) and _TOKEN.fullmatch(token) else "",
    )


def is_uuid(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def _orders(
    service: Service, context: Document, faults: list[Issue]
) -> tuple[list[Document], list[str]]:
    if service.hook == "patient-view":
        return [], []
    if service.hook == "order-dispatch":
        # the name has changed from one edition of the hook to the next
        named = context.get("dispatchedOrders", context.get("dispatched-orders"))
        named = [context["order"]] if named is None and "order" in context else named
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            where = "context.dispatchedOrders"
            faults.append(Issue("required", "Name what is sent off: [ServiceRequest/id].", where))
            return [], []
        return [], [text for one in named if (text := _order_of(one))]
    bundle = context.get("draftOrders")
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        faults.append(Issue("required", "Send the orders as a Bundle.", "context.draftOrders"))
        return [], []
    drafts = [one for one in _entries(bundle) if one.get("resourceType") == "ServiceRequest"]
    if service.hook != "order-select":
        return drafts, []
    selected = context.get("selections")
    if not isinstance(selected, list):
        faults.append(Issue("required", "Say which orders are selected.", "context.selections"))
        return [], []
    return [one for one in drafts if f"ServiceRequest/{one.get('id')}" in selected], []


def _order_of(text: str) -> str | None:
    found = reference.parse(text)
    is_order = found.type == "ServiceRequest" and found.id is not None
    return f"ServiceRequest/{found.id}" if is_order else None


def _entries(bundle: Document) -> Iterator[Document]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("resource"), Mapping):
            yield entry["resource"]


def _fetched(prefetch: object) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for value in prefetch.values() if isinstance(prefetch, Mapping) else ():
        if isinstance(value, Mapping):
            for one in [value, *_entries(value)]:
                found[f"{one.get('resourceType')}/{one.get('id')}"] = one
    return found
