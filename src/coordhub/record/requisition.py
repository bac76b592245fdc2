"""What a referral asks for: the ServiceRequest that its sender's Task focuses on, and others of its requisition.

http://hl7.org/fhir/R4/servicerequest-definitions.html#ServiceRequest.requisition
http://hl7.org/fhir/R4/task-definitions.html#Task.input
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coordhub.record import parties

Document = dict[str, Any]


def named(task: Document, base: str) -> Iterator[tuple[str, str]]:
    """`ServiceRequest/id` of what a Task may ask for besides its focus, each with where it stands."""
    for number, element in enumerate(task.get("input") or ()):
        text = parties.local(element.get("valueReference"), base)
        if text is not None and text.startswith("ServiceRequest/"):
            yield text, f"input[{number}].valueReference"


def belong_together(first: Document, other: Document) -> bool:
    """Whether both say that they were ordered together."""
    return (known := _requisition(first)) is not None and known == _requisition(other)


def _requisition(request: Document) -> tuple[str, str] | None:
    stated = request.get("requisition") or {}
    value = stated.get("value")
    return (str(stated.get("system", "")), str(value)) if value else None
