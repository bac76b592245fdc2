"""Who is named as recipient of a referral, in the order in which addressing counts.

http://hl7.org/fhir/R4/task-definitions.html#Task.owner,
http://hl7.org/fhir/R4/servicerequest-definitions.html#ServiceRequest.performer

Named recipients only; matching by what a service offers comes after these find nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ADDRESSABLE = frozenset(
    {
        "HealthcareService",
        "PractitionerRole",
        "Practitioner",
        "Organization",
        "CareTeam",
        "Location",
    }
)


@dataclass(frozen=True, slots=True)
class Named:
    """Recipients in the sender's order, each once.

    references: as written by the sender (`Type/id`, absolute, `urn:uuid:`, `#contained`), and
    `Type?identifier=system|value` for one named by identifier alone.
    source: FHIRPath of the element that named them, for diagnostics.
    """

    references: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Nobody:
    """No recipient is named; `reason` is a code of task_machine.REASONS."""

    reason: str


def named(
    task: Mapping[str, Any], service_request: Mapping[str, Any] | None, hub: Collection[str]
) -> Named | Nobody:
    """The first of Task.owner, Task.restriction.recipient, ServiceRequest.performer that names one.

    hub: every reference that means the hub itself; an owner among these names nobody.
    """
    restriction = task.get("restriction")
    sources = (
        ("Task.owner", _each(task.get("owner"))),
        (
            "Task.restriction.recipient",
            _each(restriction.get("recipient") if isinstance(restriction, Mapping) else None),
        ),
        ("ServiceRequest.performer", _each((service_request or {}).get("performer"))),
    )
    unusable = False
    for source, elements in sources:
        references = [text for element in elements if (text := _text(element))]
        others = [text for text in references if text not in hub]
        usable = tuple(dict.fromkeys(text for text in others if _addressable(text)))
        if usable:
            return Named(usable, source)
        unusable = unusable or bool(others)
    return Nobody("recipient-unknown" if unusable else "no-provider-available")


def _each(value: object) -> Iterator[Mapping[str, Any]]:
    for element in value if isinstance(value, list) else [value]:
        if isinstance(element, Mapping):
            yield element


def _text(element: Mapping[str, Any]) -> str:
    reference = element.get("reference")
    if isinstance(reference, str) and reference:
        return reference
    identifier = element.get("identifier")
    if not isinstance(identifier, Mapping) or not identifier.get("value"):
        return ""
    kind = element.get("type", "Organization")
    return f"{kind}?identifier={identifier.get('system', '')}|{identifier['value']}"


def _addressable(reference: str) -> bool:
    """Whether the target can be a recipient, as far as the text tells its type."""
    if reference.startswith(("urn:", "#")):
        return True
    if "?" in reference:
        kind = reference.partition("?")[0]
    else:
        parts = reference.split("/_history/")[0].split("/")
        kind = parts[-2] if len(parts) > 1 else ""
    return kind in ADDRESSABLE
