"""Typed resources, for what the hub itself writes.

Built with fhir.resources, which has no R4 (4.0.1) set; its R4B models have the same elements for the
types used here. Nothing that was received goes through them: they would rewrite its numbers.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from fhir.resources.R4B.task import Task


def new_task(
    *,
    part_of: str,
    focus: str,
    requester: str,
    owner: str | None,
    authored_on: str,
    group: tuple[str, str],
) -> dict[str, Any]:
    """A requested Task that asks `owner` (None: whoever claims it) to fulfil `focus`, as a document without id.

    References are as `Type/id` or the fullUrl of another entry; `group` is system and value of
    groupIdentifier.
    """
    document = {
        **_checked(owned=owner is not None),
        "identifier": [{"system": group[0], "value": group[1]}],
        "partOf": [{"reference": part_of}],
        "groupIdentifier": {"system": group[0], "value": group[1]},
        "code": {"coding": [dict(_FULFIL)]},
        "focus": {"reference": focus},
        "requester": {"reference": requester},
        "authoredOn": authored_on,
        "lastModified": authored_on,
    }
    return document if owner is None else {**document, "owner": {"reference": owner}}


_FULFIL: Final = {"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}


@cache
def _checked(*, owned: bool) -> dict[str, Any]:
    """Such a Task as the model has checked it: once, as all that differs afterwards are texts."""
    reference = {"reference": "Resource/id"}
    number = {"system": "urn:a", "value": "a"}
    built = Task.model_validate(
        {
            "resourceType": "Task",
            "identifier": [number],
            "partOf": [reference],
            "groupIdentifier": number,
            "status": "requested",
            "intent": "order",
            "code": {"coding": [_FULFIL]},
            "focus": reference,
            "requester": reference,
            "authoredOn": "2020-01-01T00:00:00Z",
            "lastModified": "2020-01-01T00:00:00Z",
            **({"owner": reference} if owned else {}),
        }
    )
    document: dict[str, Any] = built.model_dump(mode="json", exclude_none=True)
    return document
