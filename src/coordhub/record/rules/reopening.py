"""What follows when a sender asks again for what has ended: by a new Task whose basedOn names the old one.

http://hl7.org/fhir/R4/task-definitions.html#Task.basedOn

A Task that has ended stays so. As long as it has not, there is nothing to ask again.
"""

from __future__ import annotations

from coordhub.errors import business_rule
from coordhub.record import parties, transitions
from coordhub.record.work import Draft, Work


def apply(work: Work, draft: Draft) -> None:
    """409 while the referral that this one is to go on from is open."""
    for text in parties.locals_of((draft.document or {}).get("basedOn"), work.hub.base):
        rid = work.rid_of(text)
        episode = work.episodes.get(rid) if rid is not None else None
        if (
            episode is not None
            and episode.requester == work.caller.organization
            and episode.state == "open"
        ):
            raise business_rule(
                f"{text} has not ended, so there is nothing to open again. Change what it asks for, or cancel it.",
                transitions.at(draft, "basedOn"),
            )
