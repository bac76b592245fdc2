"""Which Patient of the hub an EHR means: by numbers of its own organization's, never by guessing.

By the id under which its server has a Patient of the hub, or by an identifier that stands in a Patient which its
own organization wrote. Where these lead to two that it does not say are one person, to none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coordhub.store import people, resources
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer

Document = Mapping[str, Any]


def identifiers(patient: Document) -> list[tuple[str, str]]:
    """(system, value) of those that hold now."""
    listed = patient.get("identifier")
    return [
        (one["system"], one["value"])
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, Mapping) and one.get("use") not in ("old", "temp")
        if isinstance(one.get("system"), str) and isinstance(one.get("value"), str)
    ][:20]


async def meant(
    conn: Connection, viewer: Viewer, fhir_id: str, patient: Document | None, *, at_hub: bool
) -> int | None:
    """rid of the Patient with this id at the EHR; None: of none that is certain.

    patient: the EHR's own record. at_hub: its server is the hub, and the id is the hub's.
    """
    named = identifiers(patient) if patient is not None else []
    found = await people.at_its_own(conn, viewer, f"Patient/{fhir_id}", named)
    if at_hub:
        known = await resources.read(conn, viewer, "Patient", fhir_id)
        found |= {known.rid} if known is not None and known.body is not None else set()
    if not found:
        return None
    first = min(found)
    if len(found) > 1 and not found <= set(await people.same(conn, viewer, first)):
        return None
    return first
