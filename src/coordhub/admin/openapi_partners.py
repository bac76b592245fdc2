"""What the OpenAPI document of the admin API says of partners."""

from __future__ import annotations

from typing import Any, Final

from coordhub.admin.openapi_parts import (
    INSTANT,
    NUMBER,
    TEXT,
    in_path,
    object_of,
    operation,
    or_null,
    ref,
)

_LIMITS: Final = {
    "per_second": {"type": "number"},
    "burst": NUMBER,
    "at_once": NUMBER,
    "per_day": NUMBER,
}

_SOME: Final = or_null({"type": "array", "items": TEXT})
_TERMS: Final = {
    "profile": {**TEXT, "description": "what its Tasks say (docs/referrals.md)"},
    "channels": {**_SOME, "description": "connection types by which it is spoken to"},
    "sends": {**_SOME, "description": "resource types that it sends"},
    "sends_kinds": {**_SOME, "description": "kinds of need that it refers for"},
    "receives": {**_SOME, "description": "resource types that it is sent"},
    "receives_kinds": {**_SOME, "description": "kinds of need that it is asked for"},
    "deliveries_per_second": or_null({"type": "number"}),
    "deliveries_at_once": or_null(NUMBER),
}

SCHEMAS: Final = {
    "Partner": object_of(
        {
            "client": TEXT,
            "state": {
                "type": "string",
                "enum": ["registered", "checked", "approved", "suspended", "ended"],
            },
            "organization": {**TEXT, "description": "Organization/id that it is to act for"},
            "sandbox": {**TEXT, "description": "Organization/id that it acts for until approved"},
            "endpoint": or_null({**TEXT, "description": "Endpoint/id of its own server there"}),
            "registered_by": TEXT,
            "registered_at": INSTANT,
            "software": or_null(TEXT),
            "checked_at": or_null(INSTANT),
            "failed": or_null({**NUMBER, "description": "items of the last report"}),
            "approved_by": or_null(TEXT),
            "approved_at": or_null(INSTANT),
            "reason": or_null(TEXT),
        }
    ),
    "Partners": object_of({"partners": {"type": "array", "items": ref("Partner")}}),
    "Registration": object_of(
        {
            "client": {**TEXT, "description": "its client_id"},
            "organization": {**TEXT, "description": "Organization/id of the directory"},
            "jwks": {"type": "object", "description": "JSON Web Key Set; or jwks_uri"},
            "jwks_uri": TEXT,
            "scope": TEXT,
            "endpoint": {**TEXT, "description": "base of its own FHIR server"},
            "headers": {
                "type": "array",
                "items": TEXT,
                "description": "by which that lets the hub in, like `Authorization: Bearer ...`",
            },
        },
        "jwks", "jwks_uri", "scope", "endpoint", "headers",
    ),
    "Check": object_of(
        {"sample": {"type": "object", "description": "a resource as it would send it"}}, "sample"
    ),
    "Report": object_of(
        {
            "by": TEXT,
            "at": INSTANT,
            "failed": NUMBER,
            "items": {
                "type": "array",
                "items": object_of(
                    {
                        "name": TEXT,
                        "result": {"type": "string", "enum": ["passed", "failed", "not tried"]},
                        "found": TEXT,
                        "next": {**TEXT, "description": "what to do; empty where it is passed"},
                    }
                ),
            },
        }
    ),
    "Approval": object_of(
        {
            "in_spite": {
                **TEXT,
                "description": "why, although the report does not allow it; stands in the audit",
            },
            "same_server": {
                "type": "boolean",
                "description": "its organization is reached at the server that was checked",
            },
        },
        "in_spite", "same_server",
    ),
    "Because": object_of({"because": {**TEXT, "description": "stands in the audit"}}),
    "Agreement": object_of(
        {
            "organization": TEXT,
            **_TERMS,
            "exchange": {"type": "object", "description": "about its own server"},
            "clients": {
                "type": "array",
                "items": object_of(
                    {
                        "client": TEXT,
                        "scopes": TEXT,
                        "reference_policy": TEXT,
                        **{name: or_null(kind) for name, kind in _LIMITS.items()},
                    }
                ),
            },
        }
    ),
    "AgreementChanges": {
        **object_of(
            {**_TERMS, "reference_policy": {**TEXT, "description": "of all its clients"}},
            *_TERMS, "reference_policy",
        ),
        "description": "What is left out stays; null: anything.",
    },
    "Limits": object_of({name: or_null(kind) for name, kind in _LIMITS.items()}),
    "LimitsAsked": {
        **object_of(_LIMITS, *_LIMITS),
        "description": "What is left out stays; 0: as is usual.",
    },
}  # fmt: skip

_CONFLICT: Final = "Not as things stand; the issue says why"


def _act(name: str, summary: str, scope: str, body: str, answer: str = "Partner") -> dict[str, Any]:
    return {
        "post": operation(
            name, summary, scope, answer, body=body, parameters=(in_path("client", TEXT),),
            missing=True, conflict=_CONFLICT, tag="Partners",
        )
    }  # fmt: skip


def paths() -> dict[str, Any]:
    read, act, at = "partners.read", "partners.act", "/admin/v1/partners"
    client = (in_path("client", TEXT),)
    return {
        at: {
            "get": operation(
                "listPartners", "Partners' clients and how far they are", read, "Partners",
                tag="Partners",
            ),
            "post": operation(
                "registerPartner", "Register one, in the sandbox", act, "Partner",
                body="Registration", unusable=True, tag="Partners",
            ),
        },
        f"{at}/{{client}}": {
            "get": operation(
                "showPartner", "How far it is, and who let it", read, "Partner",
                parameters=client, missing=True, tag="Partners",
            )
        },
        f"{at}/{{client}}/report": {
            "get": operation(
                "showReport", "The newest report of the check list", read, "Report",
                parameters=client, missing=True, tag="Partners",
            )
        },
        f"{at}/{{client}}/check": _act(
            "checkPartner", "Go through the check list", act, "Check", "Report"
        ),
        f"{at}/{{client}}/approve": _act(
            "approvePartner", "Let it out of the sandbox, as a second person", "partners.approve",
            "Approval",
        ),
        f"{at}/{{client}}/suspend": _act("suspendPartner", "Let it in no longer, for now", act, "Because"),
        f"{at}/{{client}}/resume": _act("resumePartner", "Let it in again", act, "Because"),
        f"{at}/{{client}}/end": _act("endPartner", "Let it in no longer, for good", act, "Because"),
        "/admin/v1/organizations/{organization}/agreement": {
            "get": operation(
                "showAgreement", "All that was agreed with an organization; null: anything", read,
                "Agreement", parameters=(in_path("organization", TEXT),), missing=True, tag="Partners",
            ),
            "patch": operation(
                "changeAgreement", "Say what was agreed with it", act, "Agreement",
                body="AgreementChanges", parameters=(in_path("organization", TEXT),), missing=True,
                unusable=True, tag="Partners",
            ),
        },
        "/admin/v1/clients/{client}/limits": {
            "get": operation(
                "showLimits", "How much a client may ask; null: as is usual", read, "Limits",
                parameters=client, missing=True, tag="Partners",
            ),
            "patch": operation(
                "setLimits", "Say how much it may ask", act, "Limits", body="LimitsAsked",
                parameters=client, missing=True, unusable=True, tag="Partners",
            ),
        },
    }  # fmt: skip
