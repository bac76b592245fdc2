"""The operation $lower-label: a privacy officer takes a sensitivity class from a resource of its organization.

For all versions, with the reason in the audit, as `coordhub labels lower` does; a class comes back only
where an author writes it as a label anew. What a victim service provider wrote keeps its own.

http://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from typing import Any, Final

from coordhub import errors
from coordhub.access import viewer
from coordhub.errors import FhirError, Issue
from coordhub.fhir import invocation
from coordhub.fhir.context import Answer, Asked, Context
from coordhub.fhir.operations import meta
from coordhub.r4.sensitivity import NAMES
from coordhub.record import label_acts
from coordhub.store import resources

NAME: Final = "lower-label"
LOWERED: Final = tuple(name for name in NAMES if name != "VSP")


async def answer(context: Context, asked: Asked) -> Answer:
    """Parameters with the meta as it is now; 404 for what the caller does not see, 403 for another's."""
    target, view = asked.target, viewer.of(asked.caller)
    async with context.hub.engine.pool.acquire() as conn:
        found = await resources.read(conn, view, *target.instance())
    if found is None:
        raise errors.not_found(target.reference)
    if found.body is None:
        raise errors.gone(found.reference, found.version)
    if found.source != asked.caller.organization:
        raise errors.forbidden(
            f"{target.reference} was written by another organization, whose privacy officer may lower its labels."
        )
    asked.caller.require_privacy_officer("Lowering a label")
    name, reason = _text(asked, "class", "valueCode"), _text(asked, "reason", "valueString")
    if name not in LOWERED:
        raise _fault("value", f"One of {', '.join(LOWERED)}.", "class")
    try:
        await label_acts.lower(
            context.hub, label_acts.Act(asked.caller.client or "", reason), found.reference, name
        )
    except label_acts.CannotLabelError as error:
        raise _fault("business-rule", str(error), "class", 409) from error
    async with context.hub.engine.pool.acquire() as conn:
        after = await resources.read(conn, view, *target.instance())
    if after is None:
        raise errors.not_found(target.reference)
    return meta.of_version(after)


def _text(asked: Asked, name: str, kind: str) -> str:
    given: dict[str, Any] = invocation.parameter(asked, name) or {}
    text = given.get(kind)
    if not isinstance(text, str) or not text.strip():
        raise _fault("required", f"A parameter `{name}` with a {kind}.", name)
    return text


def _fault(code: str, text: str, name: str, status: int = 400) -> FhirError:
    return FhirError(status, Issue(code, text, f"Parameters.parameter.where(name='{name}')"))
