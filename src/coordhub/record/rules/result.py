"""What follows when who was asked writes something that answers an order: it is a result of that referral.

Observation, DiagnosticReport, Procedure and all others that name the sender's or the hub's
ServiceRequest of a referral, by reference or by a number of it; and every later version of them, their
deletion too. What a sender sent along with a referral, and corrects or deletes, is told to whoever was sent
it.

http://hl7.org/fhir/R4/request.html

A result is of the patient that the order is about. One that turns out to be of somebody else is no
result of the order any more: who was shown it is told that it is gone, and not of whom it is.
"""

from __future__ import annotations

from coordhub.record import orders as matching
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
    if draft.document is None or draft.rid in work.copied:
        draft.episode = before.id if before is not None else work.copied.get(draft.rid)
    if draft.document is None:
        return
    matches = _referred(work, draft) or _numbered(work, draft)
    if before is not None:
        matches.append(Match(before.id, "based-on"))
    of_another = {
        one.episode
        for one in matches
        if matching.is_of_another(work, draft, work.episodes[one.episode])
    }
    kept = {one.episode: one for one in reversed(matches) if one.episode not in of_another}
    work.matches[draft.rid] = list(reversed(kept.values()))
    if of_another and not kept:
        work.of_another.add(draft.rid)
    if before is not None and before.id in of_another:
        work.batch.results_ended.append(ResultEnd(draft.rid, before.id))
        draft.episode = before.id
    elif kept:
        draft.episode = next(reversed(kept))


def _referred(work: Work, draft: Draft) -> list[Match]:
    return [
        Match(episode.id, "based-on")
        for text in parties.locals_of(results.orders(draft.document or {}), work.hub.base)
        if (rid := work.rid_of(text)) is not None
        and (episode := work.episode_of(rid)) is not None
        and matching.was_asked(work, episode, draft.source)
    ]


def _numbered(work: Work, draft: Draft) -> list[Match]:
    """By a number of the order; none if the numbers that it states lead to several."""
    found = {
        episode
        for number in results.numbers(draft.document or {})
        for episode in work.numbered.get(number, ())
        if episode in work.episodes
        and matching.was_asked(work, work.episodes[episode], draft.source)
    }
    return [Match(episode, "identifier") for episode in found] if len(found) == 1 else []


def _before(work: Work, draft: Draft) -> Episode | None:
    """The referral that its earlier versions were a result of."""
    found = work.located.get((draft.type, draft.id)) if draft.previous is not None else None
    number = found.result_of if found is not None else None
    return work.episodes.get(number) if number is not None else None


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
