"""FHIR capabilities interaction: what this hub serves, said from what it serves.

http://hl7.org/fhir/R4/http.html#capabilities, http://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.dispatch import INSTANCE_OPERATIONS
from coordhub.r4 import types
from coordhub.r4.document import encode
from coordhub.r4.parameters import SearchParameter, parameters
from coordhub.r4.search import SERVED
from coordhub.record.hub import instant

INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "create", "search-type",
)  # fmt: skip
_COLUMNS = ("_id", "_lastUpdated")
_SECURITY = (
    "Every request but this one carries `Authorization: Bearer <token>`, a token of this hub bound "
    "to a client and its organization. An organization sees what it wrote, what it is party to, "
    "and what a referral shares with it; whatever else there is answers as if it were not there."
)
_DOCUMENTATION = (
    "Ids are given by the hub; only clients with that permission may create by update. A "
    "transaction or batch takes a request for each entry; a patch there is a Binary (JSON Patch) or "
    "a Parameters (FHIRPath Patch). Criteria name a resource among what its organization wrote. "
    "Idempotency-Key makes a repeated write safe. An unknown search parameter is refused unless "
    "`Prefer: handling=lenient` is sent."
)


async def answer(context: Context, asked: Asked) -> Answer:
    """The CapabilityStatement, the same for everyone."""
    body = statement(context.hub.base, instant(context.started), context.limits.deleted > 1)
    return Answer(200, body, audited=True)


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
                    "security": {"description": _SECURITY},
                    "resource": [_resource(name, base, deletes_several) for name in types.NAMES],
                    "interaction": [{"code": "transaction"}, {"code": "batch"}],
                }
            ],
        }
    )


def served(resource_type: str) -> list[SearchParameter]:
    """The parameters that a search of this type takes."""
    return [
        parameter
        for parameter in parameters(resource_type).values()
        if parameter.kind in SERVED
        and not parameter.phonetic
        and (parameter.indexed or parameter.code in _COLUMNS)
    ]


def _resource(name: str, base: str, deletes_several: bool) -> dict[str, Any]:
    operations = [
        {"name": operation, "definition": f"{base}/OperationDefinition/{operation}"}
        for operation, types_ in INSTANCE_OPERATIONS.items()
        if name in types_
    ]
    return {
        "type": name,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple" if deletes_several else "single",
        "referencePolicy": ["literal", "logical"],
        "searchParam": [
            {"name": parameter.code, "type": parameter.kind} for parameter in served(name)
        ],
        **({"operation": operations} if operations else {}),
    }
