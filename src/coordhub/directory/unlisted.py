"""What the directory says of a victim service provider: its name, its hotline, its region, what it does.

http://hl7.org/fhir/R4/organization.html, http://hl7.org/fhir/R4/healthcareservice.html
45 CFR 1370.4(g): the place of a shelter is not made public.

A list of what may stay, so that what a later version of a profile adds is not told either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Document = dict[str, Any]

_ALWAYS: Final = ("resourceType", "id", "meta", "active", "status")

_KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "Organization": ("identifier", "type", "name", "telecom", "address", "partOf"),
    "HealthcareService": (
        "identifier", "providedBy", "category", "type", "specialty", "name", "telecom",
        "serviceProvisionCode", "program", "characteristic", "communication", "referralMethod",
        "appointmentRequired", "availableTime",
    ),
    "Location": ("identifier", "mode", "type", "address", "managingOrganization"),
    "PractitionerRole": (
        "identifier", "organization", "code", "specialty", "healthcareService", "telecom",
    ),
    "Practitioner": ("identifier",),
    "Endpoint": ("identifier", "connectionType", "payloadType", "managingOrganization"),
}  # fmt: skip

_REGION: Final = ("district", "state", "country")
_HOTLINE_SYSTEMS: Final = frozenset({"phone", "sms"})
_NOT_PUBLIC: Final = frozenset({"home", "mobile", "old", "temp"})
_OWN_IDENTIFIERS: Final = "urn:coordhub:"
"""A number of a public register leads to an address there."""

NOWHERE: Final = "urn:coordhub:not-listed"
"""Endpoint.address, which FHIR requires: such a provider is reached by its inbox at the hub."""


def stripped(document: Document) -> Document:
    """The entry with no address, position, staff, picture, free text or network address."""
    kind = str(document["resourceType"])
    kept = {
        name: _bare(value)
        for name, value in document.items()
        if name in _ALWAYS or name in _KEPT[kind]
    }
    if "identifier" in kept:
        kept["identifier"] = [
            each
            for each in _dicts(kept["identifier"])
            if str(each.get("system", "")).startswith(_OWN_IDENTIFIERS)
        ]
    if "telecom" in kept:
        kept["telecom"] = [
            {name: each[name] for name in ("system", "value", "use", "rank") if name in each}
            for each in _dicts(kept["telecom"])
            if each.get("system") in _HOTLINE_SYSTEMS and each.get("use") not in _NOT_PUBLIC
        ]
    if "address" in kept:
        address = kept["address"]
        regions = [_region(each) for each in _dicts(address)]
        kept["address"] = regions if isinstance(address, list) else (regions or [{}])[0]
    for name in ("availableTime",):
        if name in kept:
            kept[name] = [
                {part: value for part, value in each.items() if part != "description"}
                for each in _dicts(kept[name])
            ]
    for concepts in kept.values():
        _without_text(concepts)
    if kind == "Endpoint":
        kept |= {"status": "off", "address": NOWHERE}
    return {name: value for name, value in kept.items() if value not in ([], {}, None)}


def _region(address: Mapping[str, Any]) -> Document:
    return {name: address[name] for name in _REGION if name in address}


def _bare(value: Any) -> Any:
    """A copy without extensions, ids of elements and what stands beside primitives."""
    if isinstance(value, dict):
        return {
            name: _bare(inner)
            for name, inner in value.items()
            if name not in ("extension", "modifierExtension") and not name.startswith("_")
        }
    return [_bare(inner) for inner in value] if isinstance(value, list) else value


def _without_text(value: Any) -> None:
    """CodeableConcept.text and Reference.display are free text; with a code or a reference they are not needed."""
    if isinstance(value, dict):
        if "coding" in value:
            value.pop("text", None)
        if "reference" in value:
            value.pop("display", None)
        for inner in value.values():
            _without_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _without_text(inner)


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, Mapping)]
