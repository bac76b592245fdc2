"""What follows when who was asked writes something that answers an order: it is a result of that referral.

Observation, DiagnosticReport, Procedure and all others that name the sender's or the hub's
ServiceRequest of a referral; and every later version of them, their deletion too.

http://hl7.org/fhir/R4/request.html

A result is of the patient that the order is about. One that turns out to be of somebody else is no
result of the order any more: who was shown it is told that it is gone, and not of whom it is.
"""

from __future__ import annotations

from coordhub.record import parties
from coordhub.record.work import Draft, Match, Work
from coordhub.referral import results
from coordhub.store.episodes import Episode
from coordhub.store.transact import ResultEnd


def apply(work: Work, draft: Draft) -> None:
    """Find the referrals that it is a result of, and give it one, so that the relay delivers it.

    What a victim service provider writes is told to nobody, not to the relay either.
    """
    if draft.source in work.apart or draft.author in work.apart:
        return
    before = _before(work, draft)
    if draft.document is None:
        draft.episode = before.id if before is not None else None
        return
    matches = [
        Match(episode.id, "based-on")
        for text in parties.locals_of(results.orders(draft.document), work.hub.base)
        if (rid := work.rid_of(text)) is not None
        and (episode := work.episode_of(rid)) is not None
        and was_asked(episode, draft.source)
    ]
    if before is not None:
        matches.append(Match(before.id, "based-on"))
    of_another = {
        one.episode for one in matches if _is_of_another(work, draft, work.episodes[one.episode])
    }
    kept = {one.episode: one for one in reversed(matches) if one.episode not in of_another}
    work.matches[draft.rid] = list(reversed(kept.values()))
    if before is not None and before.id in of_another:
        work.batch.results_ended.append(ResultEnd(draft.rid, before.id))
        draft.episode = before.id
    elif kept:
        draft.episode = next(reversed(kept))


def was_asked(episode: Episode, organization: int) -> bool:
    return any(one.organization == organization for one in episode.candidates)


def _before(work: Work, draft: Draft) -> Episode | None:
    """The referral that its earlier versions were a result of."""
    found = work.located.get((draft.type, draft.id)) if draft.previous is not None else None
    number = found.result_of if found is not None else None
    return work.episodes.get(number) if number is not None else None


def _is_of_another(work: Work, draft: Draft, episode: Episode) -> bool:
    """Whether it is about somebody else than the order is, as far as that is certain.

    Who was asked may keep a record of its own of the same person, and refer to that from the start.
    """
    if None in (draft.patient, episode.patient) or draft.patient == episode.patient:
        return False
    if draft.previous is not None and draft.previous.patient == episode.patient:
        return True
    return not any(
        found.rid == draft.patient and found.source == draft.source
        for found in work.located.values()
    ) and not any(one.rid == draft.patient and one.source == draft.source for one in work.drafts)


def settle(work: Work) -> None:
    """What a report of this commit consists of travels with it, and is not told by itself as well."""
    found = {draft.rid: draft for draft in work.drafts if draft.rid in work.matches}
    parts = {rid: _parts(work, draft) & found.keys() - {rid} for rid, draft in found.items()}
    carried: set[int] = set()
    waiting = list(found.keys() - set().union(*parts.values()))  # what is no part of anything
    while waiting:
        inside = parts[waiting.pop()] - carried
        carried |= inside
        waiting += inside
    for rid in carried:
        if found[rid].document is not None:
            found[rid].episode = None


def _parts(work: Work, draft: Draft) -> set[int]:
    document = draft.document or {}
    named = (
        work.rid_of(text)
        for name in results.PARTS
        for text in parties.locals_of(document.get(name), work.hub.base)
    )
    return {rid for rid in named if rid is not None}
