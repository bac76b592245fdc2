"""What follows from a consultation note of who is at work: a visit took place.

http://hl7.org/fhir/R4/documentreference.html, https://loinc.org/11488-4
http://hl7.org/fhir/us/bser (interim consultation note: 5.1.4), http://hl7.org/fhir/uv/cow (visit-complete)

The note names the order or the Task in `context.related`, and goes to who asked as any other result.
"""

from __future__ import annotations

from typing import Any, Final

from coordhub.record import parent, parties
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.store.episodes import Candidate, Episode

CONSULT_NOTE: Final = ("http://loinc.org", "11488-4")


async def apply(work: Work, draft: Draft) -> None:
    """Give a consultation note its referral, and the Task of its author the business status of a visit."""
    assert draft.document is not None
    if work.caller.organization in work.apart or not _is_note(draft):
        return
    context = draft.document.get("context") or {}
    for text in parties.locals_of(context.get("related"), work.hub.base):
        rid = work.rid_of(text)
        episode = work.episode_of(rid) if rid is not None else None
        candidate = _at_work(episode, draft.source) if episode is not None else None
        if episode is None or candidate is None:
            continue
        draft.episode = episode.id
        status = await parent.status_of(work, episode, candidate)
        if draft.op == "create" and await parent.has_won(work, episode, candidate):
            changes: dict[str, Any] = {"businessStatus": pure.business_status("visit-complete")}
            if status in ("accepted", "ready"):
                changes["status"] = "in-progress"
            await parent.move(work, episode, candidate, changes)
        return


def _is_note(draft: Draft) -> bool:
    document = draft.document or {}
    if draft.type != "DocumentReference" or document.get("status") != "current":
        return False
    codings = (document.get("type") or {}).get("coding") or ()
    return any((coding.get("system"), coding.get("code")) == CONSULT_NOTE for coding in codings)


def _at_work(episode: Episode, organization: int) -> Candidate | None:
    found = [one for one in episode.candidates if one.organization == organization]
    return found[-1] if found else None
