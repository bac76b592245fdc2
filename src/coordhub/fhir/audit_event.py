"""A row of the audit as an AuditEvent, by the patterns of IHE BALP.

https://profiles.ihe.net/ITI/BALP/, http://hl7.org/fhir/R4/auditevent.html

Basic audit of RESTful interactions with their patient, privacy disclosure for what the hub sends,
user authentication for who was not let in.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordhub.record.accounting import BREAK_GLASS
from coordhub.record.hub import instant
from coordhub.store.audit_trail import Row

Element = dict[str, Any]

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
REST: Final = "http://hl7.org/fhir/restful-interaction"
TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ACTS: Final = "urn:coordhub:audit-act"
_ENTITIES: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLES: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."

SEARCHED: Final = (
    "_id", "_lastUpdated", "action", "agent", "date", "entity", "outcome", "patient", "source",
    "subtype", "type",
)  # fmt: skip
"""What AuditEvents of the hub are searched by."""

_SOURCE: Final = (DCM, "110153", "Source Role ID")
_DESTINATION: Final = (DCM, "110152", "Destination Role ID")
_USER: Final = (
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", "information recipient",
)  # fmt: skip
PERSON: Final = "urn:coordhub:person"
_APPLICATION: Final = (DCM, "110150", "Application")
_CUSTODIAN: Final = (
    "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian",
)  # fmt: skip

Code = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What kind of event an interaction is. client, hub: the parts that they play.

    profile: of BALP, without and with `Patient` before it; empty: none fits.
    """

    type: Code
    subtypes: tuple[Code, ...]
    action: str
    client: Code = _SOURCE
    hub: Code = _DESTINATION
    profile: str = ""


def _rest(*codes: str) -> tuple[Code, ...]:
    return tuple((REST, code, code) for code in codes)


_RESTFUL: Final[Code] = (TYPES, "rest", "Restful Operation")


def _restful(
    codes: tuple[str, ...],
    action: str,
    client: Code = _SOURCE,
    hub: Code = _DESTINATION,
    profile: str = "",
) -> Pattern:
    return Pattern(_RESTFUL, _rest(*codes), action, client, hub, profile)


_OPERATION: Final = _restful(("operation",), "E")

PATTERNS: Final[Mapping[str, Pattern]] = {
    "read": _restful(("read",), "R", _DESTINATION, _SOURCE, "Read"),
    "vread": _restful(("vread",), "R", _DESTINATION, _SOURCE, "Read"),
    "history-instance": _restful(("history-instance",), "R", _DESTINATION, _SOURCE),
    "history-type": _restful(("history-type",), "R", _DESTINATION, _SOURCE),
    "history-system": _restful(("history-system",), "R", _DESTINATION, _SOURCE),
    "search-type": _restful(("search", "search-type"), "E", profile="Query"),
    "search-system": _restful(("search", "search-system"), "E", profile="Query"),
    "create": _restful(("create",), "C", profile="Create"),
    "update": _restful(("update",), "U", profile="Update"),
    "patch": _restful(("patch",), "U", profile="Update"),
    "delete": _restful(("delete",), "D", _APPLICATION, _CUSTODIAN, "Delete"),
    "transaction": _restful(("transaction",), "E"),
    "unknown": _restful((), "E"),
    "disclosure": Pattern(
        (DCM, "110106", "Export"),
        ((LIFECYCLE, "disclose", "Disclose Record Lifecycle Event"),),
        "R",
        _DESTINATION,
        _SOURCE,
        "PrivacyDisclosure.Source",
    ),
    "unauthenticated": Pattern(
        (DCM, "110114", "User Authentication"), ((DCM, "110122", "Login"),), "E"
    ),
    "signed-in": Pattern((DCM, "110114", "User Authentication"), ((DCM, "110122", "Login"),), "E"),
    "signed-out": Pattern(
        (DCM, "110114", "User Authentication"), ((DCM, "110123", "Logout"),), "E"
    ),
    "token-granted": Pattern(
        (DCM, "110114", "User Authentication"), ((DCM, "110122", "Login"),), "E"
    ),
    "token-refused": Pattern(
        (DCM, "110114", "User Authentication"), ((DCM, "110122", "Login"),), "E"
    ),
    "token-revoked": Pattern(
        (DCM, "110114", "User Authentication"), ((DCM, "110123", "Logout"),), "E"
    ),
}
"""By interaction, as the audit names it; `$name` is an operation, all else an act of an operator."""


def pattern_of(interaction: str) -> Pattern:
    if interaction.startswith("$"):
        return _OPERATION
    return PATTERNS.get(interaction) or Pattern(
        (DCM, "110100", "Application Activity"), ((ACTS, interaction, interaction),), "E"
    )


def outcome_of(status: int) -> str:
    """As store.audit_trail.OUTCOME says in SQL."""
    if status in (401, 403) or status >= 500:
        return "8"
    return "4" if status >= 400 else "0"


def render(row: Row, fhir_id: str, hub: str) -> Element:
    """hub: `Organization/<id>` of the hub, which observes and answers."""
    pattern, entities = pattern_of(row.interaction), list(_entities(row))
    meta: Element = {"versionId": "1", "lastUpdated": instant(row.at)}
    if pattern.profile and row.named and outcome_of(row.outcome) == "0":
        of_patient = "Patient" if any(one.patient for one in row.named) else ""
        if pattern.profile.startswith("Privacy"):
            of_patient = ""
        meta["profile"] = [f"{_BALP}{of_patient}{pattern.profile}"]
    document: Element = {
        "resourceType": "AuditEvent",
        "id": fhir_id,
        "meta": meta,
        "type": _coding(pattern.type),
        "subtype": [_coding(one) for one in pattern.subtypes],
        "action": pattern.action,
        "recorded": instant(row.at),
        "outcome": outcome_of(row.outcome),
        "purposeOfEvent": [{"coding": [BREAK_GLASS]}] if row.interaction == "$break-glass" else [],
        "agent": [*_asking(row, pattern), _agent(pattern.hub, {"reference": hub}, False)],
        "source": {
            "observer": {"reference": hub},
            "type": [
                _coding(
                    (
                        "http://terminology.hl7.org/CodeSystem/security-source-type",
                        "4",
                        "Application Server",
                    )
                )
            ],
        },
        "entity": entities,
    }
    return {name: value for name, value in document.items() if value != []}


def _asking(row: Row, pattern: Pattern) -> Iterator[Element]:
    """Whose request it was: a client of an organization, or a person, by the pages or by an app it let in."""
    who = {"reference": row.organization} if row.organization else {"display": "unauthenticated"}
    agent = _agent(pattern.client, who, row.account is None)
    if row.client is not None:
        agent["name"] = row.client
    yield agent
    if row.account is not None:
        name = row.person or "no longer known"
        account = {"system": PERSON, "value": row.account}
        person = _agent(_USER, {"identifier": account, "display": name}, True)
        yield {**person, "altId": row.account, "name": name}


def _agent(part: Code, who: Element, asks: bool) -> Element:
    return {"type": {"coding": [_coding(part)]}, "who": who, "requestor": asks}


def _entities(row: Row) -> Iterator[Element]:
    patients = dict.fromkeys(one.patient for one in row.named if one.patient)
    for patient in patients:
        yield _entity(("1", "Person"), ("1", "Patient"), what={"reference": patient})
    for one in row.named:
        if one.reference not in patients:
            yield _entity(
                ("2", "System Object"), ("4", "Domain Resource"), what={"reference": one.reference}
            )
    if row.asked and "/" in row.asked and not row.named:
        yield _entity(
            ("2", "System Object"), ("4", "Domain Resource"), what={"reference": row.asked}
        )
    if row.query is not None:
        query = f"{row.asked or ''}?{row.query}".encode()
        yield _entity(
            ("2", "System Object"), ("24", "Query"), query=base64.b64encode(query).decode()
        )
    if row.delivery is not None:
        value = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{row.delivery}"}
        yield _entity(("2", "System Object"), ("20", "Job"), what={"identifier": value})
    if row.request_id is not None:
        yield {
            "type": {
                "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                "code": "XrequestId",
            },
            "what": {"identifier": {"value": row.request_id}},
        }


def _entity(kind: tuple[str, str], role: tuple[str, str], **said: Any) -> Element:
    return {"type": _coding((_ENTITIES, *kind)), "role": _coding((_ROLES, *role)), **said}


def _coding(code: Code) -> Element:
    return {"system": code[0], "code": code[1], "display": code[2]}
