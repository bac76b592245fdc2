"""A recipient that declines and says who would be right: that one is asked next, if it may be.

It rejects its Task and names the service in an output of type `suggested-service`. Whether the patient's
Consents permit to ask it is looked at when it is asked, as of everybody.

http://hl7.org/fhir/uv/cow (alternative proposed)
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.directory import services
from coordhub.errors import Issue, unprocessable
from coordhub.record import parent, parties, transitions
from coordhub.record.work import Draft, Work
from coordhub.referral import prospects
from coordhub.store import needs
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.transact import ProspectRow

OUTPUT: Final = "suggested-service"

Document = dict[str, Any]


async def suggest(work: Work, draft: Draft, episode: Episode, candidate: Candidate) -> None:
    """Put whom this answer suggests behind those there are, unless its sender limits who may be asked.

    422 for what the directory does not lead from to an organization.
    """
    document = draft.document or {}
    named = _named(document, work.hub.base) if document["status"] == "rejected" else []
    if not named:
        return
    found = {text: await services.recipient(work.conn, text, work.hub.base) for text in named}
    if "" in found or None in found.values():
        raise unprocessable(
            Issue(
                "value",
                "Name in output.valueReference a HealthcareService, Organization, PractitionerRole or "
                "Location of the directory, or leave the suggestion out.",
                transitions.at(draft, "output"),
            )
        )
    sent = parties.document((await parent.tasks(work, episode))[episode.id])
    limits = (sent.get("restriction") or {}).get("recipient")
    known = [
        one for one in await needs.prospects(work.conn, episode.id) if one.need == candidate.need
    ]
    asked = {one.recipient for one in episode.candidates if one.need == candidate.need}
    behind = max((one.rank for one in known), default=-1) + 1
    new = [
        (text, recipient)
        for text, recipient in found.items()
        if recipient is not None
        and text not in asked | {one.recipient for one in known}
        and recipient.organization.rid not in work.apart
    ]
    if limits or episode.shared is not None:  # with the Task that both share it ends
        return
    work.batch.prospects.extend(
        ProspectRow(
            episode.id, candidate.need, behind + at, recipient.organization.rid, text, "in", 1.0,
            prospects.written([prospects.SUGGESTED]),
        )
        for at, (text, recipient) in enumerate(new)
    )  # fmt: skip


def _named(task: Document, base: str) -> list[str]:
    return [
        parties.local(output.get("valueReference"), base) or ""
        for output in task.get("output") or ()
        if OUTPUT in {one.get("code") for one in (output.get("type") or {}).get("coding") or ()}
    ]
