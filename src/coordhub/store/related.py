"""Who is related to a patient: the RelatedPersons of its record.

http://hl7.org/fhir/R4/relatedperson.html
"""

from __future__ import annotations

from coordhub.r4 import types
from coordhub.store.engine import Connection
from coordhub.store.resources import COLUMNS, Version, version_of
from coordhub.store.visibility import Viewer, shown, visible


async def of_patient(conn: Connection, viewer: Viewer, patient: int) -> list[Version]:
    """The current RelatedPersons of this patient that the viewer may see."""
    condition, arguments = visible(viewer, "r", 3)
    rows = await conn.fetch(
        f"select {COLUMNS}, {shown(viewer, 'r', 3)} from resource r"
        f" where r.patient = $1 and r.type = $2 and r.body is not null and {condition}",
        patient,
        types.NUMBER["RelatedPerson"],
        *arguments,
    )
    return [version_of(row) for row in rows]
