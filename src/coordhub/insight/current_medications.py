"""What a viewer may know of a person's medications and allergies, compared by `medications`, with who says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coordhub.insight import medications, priors, same_ingredient
from coordhub.insight.medications import Allergy, Finding, Medication
from coordhub.insight.prior_results import holders
from coordhub.store import people, resources
from coordhub.store import priors as stored
from coordhub.store.engine import Connection
from coordhub.store.visibility import Viewer


@dataclass(frozen=True, slots=True)
class Current:
    """medications: those in force, and what speaks against one of them; newest first, as are the allergies.

    by: name of who says so, by rid.
    """

    medications: list[Medication]
    allergies: list[Allergy]
    findings: list[Finding]
    by: Mapping[int, str]

    @property
    def rids(self) -> tuple[int, ...]:
        """What is shown by telling all of it."""
        rids = [one.version.rid for one in self.medications]
        return (*rids, *(one.version.rid for one in self.allergies))


async def found(conn: Connection, viewer: Viewer, patient: int, *, base: str) -> Current:
    """Of the person who is this Patient (rid)."""
    whose = await people.same(conn, viewer, patient)
    versions = await stored.of_types(conn, viewer, whose, medications.TYPES)
    named = await resources.read_names(conn, viewer, sorted(medications.references(versions, base)))
    known = same_ingredient.in_use()
    documents = {
        one.reference: priors.document_of(one) for one in named.values() if one.body is not None
    }
    taken = medications.medications(versions, documents, known, base=base)
    allergic = medications.allergies(versions, known)
    findings = medications.findings(taken, allergic, known, base=base)
    told = {one.version.rid for finding in findings for one in finding.about}
    listed = [one for one in taken if one.is_current or one.version.rid in told]
    saying: list[Medication | Allergy] = [*listed, *allergic]
    by = await holders(conn, viewer, saying, base)
    return Current(listed, allergic, findings, by)
