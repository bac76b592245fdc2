"""What follows when a candidate writes something that is based on the order: it goes to whoever asked.

Observation, DiagnosticReport, Procedure and all others whose `basedOn` names the sender's or the
hub's ServiceRequest of a referral.

http://hl7.org/fhir/R4/request.html
"""

from __future__ import annotations

from coordhub.record import parties
from coordhub.record.work import Draft, Work


def apply(work: Work, draft: Draft) -> None:
    """Give the draft its episode if it is a result, so that the relay delivers it.

    What a victim service provider writes is told to nobody, not to the relay either.
    """
    assert draft.document is not None
    if work.caller.organization in work.apart:
        return
    for text in parties.locals_of(draft.document.get("basedOn"), work.hub.base):
        rid = work.rid_of(text)
        episode = work.episode_of(rid) if rid is not None else None
        if episode is None:
            continue
        if any(one.organization == work.caller.organization for one in episode.candidates):
            draft.episode = episode.id
            return
