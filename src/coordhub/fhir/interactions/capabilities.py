"""FHIR capabilities interaction: what this hub serves, said from what it serves.

http://hl7.org/fhir/R4/http.html#capabilities, http://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

import zlib
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from coordhub import errors
from coordhub.access import oauth
from coordhub.fhir import audit_event
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.dispatch import OPERATIONS
from coordhub.fhir.headers import unchanged
from coordhub.fhir.searching import ALL_HAVE
from coordhub.fhir.viewing import view_of
from coordhub.r4 import types
from coordhub.r4.compartments import OWNERS
from coordhub.r4.document import encode
from coordhub.r4.parameters import SearchParameter, parameters
from coordhub.r4.search import SERVED
from coordhub.r4.search_result import references
from coordhub.r4.views import View, shown
from coordhub.record.hub import instant

INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create",
    "search-type",
)  # fmt: skip
SYSTEM = ("transaction", "batch", "search-system", "history-system")
_COLUMNS = ("_id", "_lastUpdated")
_OWN = frozenset(
    {
        "accounting-of-disclosures",
        "break-glass",
        "current-medications",
        "find",
        "lower-label",
        "prior-results",
        "read-again",
        "rotate-secret",
        "route",
        "status-of-referral",
        "why",
    }
)
"""Operations that this hub defines itself."""
_SMART = "http://fhir-registry.smarthealthit.org/StructureDefinition"
_SDC = "http://hl7.org/fhir/uv/sdc/OperationDefinition"
_SUBSCRIPTIONS = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/"
_BACKPORT = {"status": "", "events": "", "get-ws-binding-token": "", "resend": "|1.2.0-ballot"}
"""Operations of the backport of topic-based subscriptions, and of which version where it is not yet published."""
_SECURITY = (
    "Every request but this one carries `Authorization: Bearer <token>`, a token of this hub bound "
    "to a client and its organization, which SMART Backend Services get as "
    "[base]/.well-known/smart-configuration says. An organization sees what it wrote, what it is party to, "
    "and what a referral shares with it; whatever else there is answers as if it were not there."
)
_DOCUMENTATION = (
    "Ids are given by the hub; only clients with that permission may create by update. A "
    "transaction or batch takes a request for each entry; a patch there is a Binary (JSON Patch) or "
    "a Parameters (FHIRPath Patch). Criteria name a resource among what its organization wrote. "
    "Idempotency-Key makes a repeated write safe. An unknown search parameter is refused unless "
    "`Prefer: handling=lenient` is sent."
)
_AUDIT_EVENTS = (
    f"The hub's own, rendered from its audit, newest first: by {', '.join(audit_event.SEARCHED)}, "
    "without modifiers, sorting and includes. An organization sees what its clients did, what was sent to it, "
    "and who was shown what it is the source of. AuditEvents that partners store are resources like "
    "others, found by naming their source."
)


async def answer(context: Context, asked: Asked) -> Answer:
    """The CapabilityStatement, the same for everyone, or the view of it; 304 if the reader has it.

    `mode=normative` is answered with all of it, as R4 lets a server do.
    """
    for mode in (value for name, value in asked.query if name == "mode"):
        if mode == "terminology":
            raise errors.not_supported(
                "There are no TerminologyCapabilities: no terminology is served here.", "http.mode"
            )
        if mode not in ("full", "normative"):
            raise errors.bad_request("mode is full, normative or terminology.", "http.mode")
    stated = context.hub.base, instant(context.started), context.limits.deleted > 1
    number = _number(*stated)
    if unchanged(asked.conditions, number, context.started):
        return Answer(304, version=number, updated=context.started, audited=True)
    body = _viewed(*stated, view_of(asked, "CapabilityStatement"))
    return Answer(200, body, version=number, updated=context.started, audited=True)


@cache
def _number(base: str, date: str, deletes_several: bool) -> int:
    """For its ETag: another, when something else is stated."""
    return zlib.crc32(statement(base, date, deletes_several)) % 2**31


@lru_cache(8)
def _viewed(base: str, date: str, deletes_several: bool, view: View) -> bytes:
    return shown(statement(base, date, deletes_several).decode(), view)


@cache
def statement(base: str, date: str, deletes_several: bool = False) -> bytes:
    """date: since when it holds, an instant. deletes_several: a conditional delete may."""
    return encode(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": date,
            "kind": "instance",
            "software": {"name": "coordhub", "version": version("coordhub")},
            "implementation": {"description": "coordhub, a referral hub", "url": base},
            "fhirVersion": "4.0.1",
            "format": ["json", "application/fhir+json"],
            "patchFormat": ["application/json-patch+json", "application/fhir+json"],
            "rest": [
                {
                    "mode": "server",
                    "documentation": _DOCUMENTATION,
                    "security": _security(base),
                    "resource": [_resource(name, base, deletes_several) for name in types.NAMES],
                    "interaction": [{"code": code} for code in SYSTEM],
                    "searchParam": [
                        {"name": parameter.code, "type": parameter.kind}
                        for parameter in served("Basic")
                        if parameter.code in ALL_HAVE
                    ],
                    "operation": _operations("system", base),
                    "compartment": [
                        f"http://hl7.org/fhir/CompartmentDefinition/{owner.lower()}"
                        for owner in OWNERS
                    ],
                }
            ],
        }
    )


def _security(base: str) -> dict[str, Any]:
    """http://hl7.org/fhir/smart-app-launch/conformance.html#declaring-support-for-oauth2-endpoints"""
    addresses = [
        {"url": name, "valueUri": oauth.address(base, path)}
        for name, path in (
            ("authorize", "authorize"),
            ("token", "token"),
            ("introspect", "introspect"),
            ("revoke", "revoke"),
        )
    ]
    smart = {
        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
        "code": "SMART-on-FHIR",
    }
    return {
        "extension": [{"url": f"{_SMART}/oauth-uris", "extension": addresses}],
        "service": [{"coding": [smart]}],
        "description": _SECURITY,
    }


def served(resource_type: str) -> list[SearchParameter]:
    """The parameters that a search of this type takes."""
    return [
        parameter
        for parameter in parameters(resource_type).values()
        if parameter.kind in SERVED
        and not parameter.phonetic
        and (parameter.indexed or parameter.code in _COLUMNS)
    ]


def _operations(level: str, base: str, resource_type: str | None = None) -> list[dict[str, Any]]:
    return [
        {"name": name, "definition": _definition(name, base, resource_type)}
        for name, operation in OPERATIONS.items()
        if operation.at(level, resource_type)
    ]


def _definition(name: str, base: str, resource_type: str | None) -> str:
    if name in _OWN:
        return f"{base}/OperationDefinition/{name}"
    if name == "ihe-pix":
        return "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"
    if name == "extract":
        return f"{_SDC}/QuestionnaireResponse-extract"
    if name in _BACKPORT:
        return f"{_SUBSCRIPTIONS}backport-subscription-{name}{_BACKPORT[name]}"
    owner = resource_type if OPERATIONS[name].types else "Resource"
    return f"http://hl7.org/fhir/OperationDefinition/{owner}-{name}"


@cache
def _referring() -> dict[str, list[str]]:
    """`Type:parameter` of all that may refer to a type, by that type."""
    found: dict[str, list[str]] = {name: [] for name in types.NAMES}
    for name in types.NAMES:
        for parameter in references(name):
            for target in parameter.targets or types.NAMES:
                found[target].append(f"{name}:{parameter.code}")
    return found


def _resource(name: str, base: str, deletes_several: bool) -> dict[str, Any]:
    operations = {
        one["name"]: one for level in ("type", "instance") for one in _operations(level, base, name)
    }
    about: dict[str, Any] = {
        "searchInclude": ["*", *(f"{name}:{each.code}" for each in references(name))],
        "searchRevInclude": ["*", *_referring()[name]],
    }
    found = served(name)
    if name == "AuditEvent":
        about = {"documentation": _AUDIT_EVENTS}
        found = [parameter for parameter in found if parameter.code in audit_event.SEARCHED]
    return {
        "type": name,
        **about,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple" if deletes_several else "single",
        "referencePolicy": ["literal", "logical"],
        "searchParam": [{"name": parameter.code, "type": parameter.kind} for parameter in found],
        "operation": list(operations.values()),
    }
