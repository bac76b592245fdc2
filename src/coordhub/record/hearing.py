"""Who hears what somebody says about a referral: read from what is written, decided by `conversation`.

http://hl7.org/fhir/R4/communication.html, http://hl7.org/fhir/R4/appointmentresponse.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from coordhub.directory import services
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.referral import conversation
from coordhub.store.episodes import Episode

SAID: Final = frozenset({"Appointment", "AppointmentResponse", "Communication"})
"""Types by which sender and recipient talk to each other about a referral."""

_ABOUT: Final = ("about", "basedOn", "inResponseTo", "appointment")
"""Elements that say which referral it is about: its Task, its order, or what was said before."""


async def of(work: Work, draft: Draft, episode: Episode) -> frozenset[int]:
    """Organizations that hear this; none if its author has no part in the referral."""
    needs = _needs(work, draft, episode)
    asked = [
        conversation.Asked(one.organization, one.status, not needs or one.need in needs)
        for one in episode.candidates
    ]
    meant = await _meant(work, draft)
    return conversation.hearers(draft.source, episode.requester, asked, meant)


def episode_of(work: Work, draft: Draft) -> Episode | None:
    """The referral that this is said about, as far as its author sees of it."""
    for name in _ABOUT:
        for text in _references(work, (draft.document or {}).get(name)):
            found = work.episode_named(text)
            if found is not None:
                return found
    return None


def _needs(work: Work, draft: Draft, episode: Episode) -> set[int]:
    """Ordinals of the needs that it is about by the order or the Task of each; none: of the whole."""
    named = {
        work.rid_of(text)
        for name in ("about", "basedOn")
        for text in _references(work, (draft.document or {}).get(name))
    }
    if episode.id in named:
        return set()
    return {one.ordinal for one in episode.needs if one.request in named} | {
        one.need for one in episode.candidates if {one.task, one.request} & named
    }


async def _meant(work: Work, draft: Draft) -> frozenset[int]:
    document = draft.document or {}
    meant: set[int] = set()
    for text in _references(work, document.get("recipient")):
        found = await services.recipient(work.conn, text, work.hub.base)
        meant |= {found.organization.rid} if found is not None else set()
    for name in ("inResponseTo", "appointment"):
        for text in _references(work, document.get(name)):
            kind, _, fhir_id = text.partition("/")
            answered = work.located.get((kind, fhir_id))
            meant |= {answered.source} if answered is not None else set()
    return frozenset(meant)


def _references(work: Work, element: Any) -> Iterator[str]:
    yield from parties.locals_of(element if isinstance(element, list) else [element], work.hub.base)
