"""What follows when the hub makes a Task T2: a candidate is asked to meet a need.

http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from coordhub.directory import services
from coordhub.errors import business_rule
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.record import parties
from coordhub.record.operations import Create
from coordhub.record.work import Draft, Work
from coordhub.store.episodes import NOBODY, Episode, Need
from coordhub.store.transact import CandidateRow


async def apply(work: Work, draft: Draft) -> None:
    """A Task of the hub with partOf is a question to one candidate, or without owner to those of a pool."""
    document = draft.document
    assert document is not None
    part_of = [
        text
        for element in document.get("partOf") or []
        if (text := parties.local(element, work.hub.base))
    ]
    owner = parties.local(document.get("owner"), work.hub.base)
    focus = parties.local(document.get("focus"), work.hub.base)
    pooled = isinstance(draft.operation, Create) and draft.operation.full_url in work.invitations
    if not part_of or (owner is None and not pooled) or focus is None:
        return
    parent, request = work.rid_of(part_of[0]), work.rid_of(focus)
    episode = work.episodes.get(parent) if parent is not None else None
    found = await services.recipient(work.conn, owner, work.hub.base) if owner else None
    organization = found.organization.rid if found is not None else NOBODY
    need = _need(work, episode, request) if episode is not None else None
    if episode is None or not (found or pooled) or request is None or need is None:
        raise business_rule(
            f"{draft.reference} asks nobody: its episode or its owner is not known.", "Task.owner"
        )
    draft.episode = episode.id
    ordinal = len(episode.candidates) + len(work.batch.candidates)
    work.batch.candidates.append(
        CandidateRow(
            episode.id,
            ordinal,
            organization,
            owner or "",
            draft.rid,
            request,
            str(document["status"]),
            need.ordinal,
            need.wave + 1,
        )
    )
    work.batch.planned.append(episode.id)
    if organization in work.apart:
        work.sensitive |= {draft.rid: VSP | SDV, request: VSP | SDV}
        work.sensitive |= {episode.id: SDV, need.request: SDV}
        for each in work.drafts:
            if each.rid in (draft.rid, request) and each.keeper is None:
                each.keeper = organization


def _need(work: Work, episode: Episode, request: int | None) -> Need | None:
    """What the hub's ServiceRequest (rid), which this commit makes or an earlier one made, asks for."""
    for candidate in episode.candidates:
        if candidate.request == request:
            return episode.need_of(candidate)
    made = next((draft for draft in work.drafts if draft.rid == request), None)
    based = parties.locals_of((made.document or {}).get("basedOn"), work.hub.base) if made else []
    rids = {work.rid_of(text) for text in based}
    return next((need for need in episode.needs if need.request in rids), None)
