"""A plan of care and its goals, shared with the CareTeams that it names.

http://hl7.org/fhir/R4/careplan.html, http://hl7.org/fhir/R4/goal.html

Who treats sees the plan with the chart. Whoever belongs to the team and does not treat, a food bank or
a shelter, is shown the part of it that is for them: plans and goals of social care, by the data set
`social`. As of a CareTeam, believed of who holds the patient's record or treats it; shared as long as
the plan is in force and the organization in the team; and a Consent has the last word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordhub.access import viewer
from coordhub.r4 import datasets
from coordhub.record import care_teams, parties
from coordhub.record.work import Work
from coordhub.store import care_plans as store
from coordhub.store import grants, resources
from coordhub.store.transact import Grant

Document = dict[str, Any]

_IN_FORCE = frozenset({"active", "on-hold"})


async def decide(work: Work) -> None:
    """Share the plans that are written, and those whose team, goals or team's members change."""
    written = {draft.rid: draft for draft in work.drafts if not draft.unchanged}
    plans = {draft.rid: draft for draft in written.values() if draft.type == "CarePlan"}
    touched = [
        draft.rid
        for draft in written.values()
        if draft.type in ("CareTeam", "Goal") and draft.previous is not None
    ]
    for rid in await store.naming(work.conn, touched) if touched else ():
        if rid not in plans:
            [version] = (await resources.read_rids(work.conn, viewer.deciding(), [rid])).values()
            document = None if version.body is None else parties.document(version)
            await _share(work, rid, version.source, version.patient, document)
    for draft in plans.values():
        if draft.author not in work.apart:
            await _share(work, draft.rid, draft.source, draft.patient, draft.document)


async def _share(
    work: Work, plan: int, source: int, patient: int | None, document: Document | None
) -> None:
    """Put the grants of this plan to what they are to be."""
    meant: set[tuple[int, int]] = set()
    if (
        document is not None
        and patient is not None
        and document.get("status") in _IN_FORCE
        and datasets.in_use().admits(datasets.SOCIAL, document)
        and await grants.opens_chart(work.conn, source, patient)
    ):
        named = [one for one in await _named(work, source, document) if one.patient == patient]
        members = await _members(work, patient, named)
        rids = {plan, *(one.rid for one in named if _is_shown_goal(one.document))}
        meant = {(organization, rid) for organization in members for rid in rids}
    now = await store.shared(work.conn, plan)
    for until, pairs in ((None, meant - now), (work.now, now - meant)):
        work.batch.grants.extend(
            Grant(organization, rid, plan, "team", 0, datasets.SOCIAL, until)
            for organization, rid in sorted(pairs)
        )


@dataclass(frozen=True, slots=True)
class _Named:
    """A CareTeam or Goal that a plan names, as this commit leaves it."""

    rid: int
    source: int
    patient: int | None
    document: Document


async def _named(work: Work, source: int, plan: Document) -> list[_Named]:
    """The CareTeams and Goals of a plan, as far as its author may see them."""
    texts = {
        text
        for name in ("careTeam", "goal")
        for text in parties.locals_of(plan.get(name), work.hub.base)
    }
    names = [(text.partition("/")[0], text.partition("/")[2]) for text in sorted(texts)]
    seen = await resources.locate(work.conn, viewer.as_organization(source), names)
    stored = await resources.read_rids(
        work.conn, viewer.deciding(), [one.rid for one in seen.values() if one.visible]
    )
    drafts = {draft.rid: draft for draft in work.drafts}
    written = [
        _Named(draft.rid, draft.source, draft.patient, draft.document)
        for draft in drafts.values()
        if draft.document is not None
        and draft.reference in texts
        and (draft.rid in stored or draft.source == source)
    ]
    return written + [
        _Named(rid, one.source, one.patient, parties.document(one))
        for rid, one in stored.items()
        if rid not in drafts and one.body is not None
    ]


async def _members(work: Work, patient: int, named: list[_Named]) -> set[int]:
    """Organizations of the teams among these that stand and that are to be believed."""
    found: set[int] = set()
    for one in named:
        if (
            one.document["resourceType"] == "CareTeam"
            and one.document.get("status") == "active"
            and await care_teams.is_believed(work, one.source, patient)
        ):
            found |= await care_teams.organizations(work, one.document)
    return found - work.apart


def _is_shown_goal(document: Document) -> bool:
    return document["resourceType"] == "Goal" and datasets.in_use().admits(
        datasets.SOCIAL, document
    )
