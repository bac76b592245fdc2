"""Who may see what from now on, decided in the transaction of the change that alters it.

- party: whom a Task of the hub asks may see that Task and its ServiceRequest;
- referral: and whatever these two name (patient, sender's order, supporting information, input),
  as far as the sender itself may see it, with the observations that a named report consists of; and
  what the sender says to it about the referral, with what that carries;
- result: who asked, and others by who they are to the patient, may see what the one who was asked
  produced for it, a report with its parts (record.results); who asked, also an appointment with its
  slots, and what it says;
- treatment: whoever took the referral on may see the patient's chart, while it is at work (a rule), if
  its sender holds the record or treats the patient itself, and has not asked itself.

Of several that are asked at once each sees what is asked, and neither for whom nor who else, until it
has won; a place on a waiting list that is kept while others are asked wins nothing. To a recipient that
does not treat, what is shared is shown by its data set (r4.datasets), and what that has nothing of is not
shared.

What a grant covers of sensitive classes: who is asked sees the question whatever it is about; what else a
referral names goes along only if it is of no such class, or a Consent says so.

`because` is the Task or episode that decided. What was shared by `referral` is no longer to be seen
once its Task is declined or cancelled (transact), nor some time after it is done (record.lapsing); the
Task itself stays readable to who was asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from coordhub.access import viewer
from coordhub.r4 import datasets, reference
from coordhub.r4.sensitivity import ALL, SUD, VSP
from coordhub.record import coordinating, hearing, lapsing, parent, parties, recipients, results
from coordhub.record.operations import Create
from coordhub.record.work import Draft, Work
from coordhub.referral import conversation
from coordhub.referral import task_machine as machine
from coordhub.referral.needs import PLACE_KEPT
from coordhub.store import grants as store
from coordhub.store import resources
from coordhub.store.episodes import NOBODY, Candidate, Episode
from coordhub.store.transact import CandidateRow, ErrandRow, Grant, GrantEnd, Rule, RuleEnd
from coordhub.store.visibility import HUB


async def decide(work: Work) -> None:
    for candidate in work.batch.candidates:
        await _asked(work, candidate)
    for draft in work.drafts:
        if draft.episode is None or draft.document is None:
            continue
        episode = work.episodes.get(draft.episode)
        if episode is None:
            continue
        if draft.author in work.apart:
            continue
        if draft.source == HUB and draft.type not in ("Task", "ServiceRequest"):
            continue
        if draft.type == "Task":
            await _outputs(work, draft, episode)
        elif draft.type == "ServiceRequest" and draft.source == HUB:
            await _amended(work, draft, episode)
        elif draft.type in hearing.SAID:
            if draft.source != episode.requester:
                await _results(work, {draft.rid}, draft.source, episode)
            else:
                await _said(work, draft, episode)
        else:
            for match in work.matches.get(draft.rid, ()):
                referral = work.episodes[match.episode]
                await results.share(work, {draft.rid}, draft.source, referral, match.how, draft)
    for episode in work.episodes.values():
        one = episode.shared
        live = one is not None and one.status not in machine.TERMINAL
        if one and live and any(draft.rid == one.request for draft in work.drafts):
            await _share(work, episode, one, datasets.WHOLE)
    for errand in work.batch.errands:
        await _coordinates(work, errand)
    work.batch.grants_ended += [GrantEnd(task, "referral") for task in work.batch.errands_closed]
    for answered in work.batch.statuses:
        for episode in work.episodes.values():
            one = episode.candidate_of_task(answered.task)
            if one is not None:
                kept = answered.status == "on-hold" and answered.reason == PLACE_KEPT
                await _answered(work, episode, one, answered.status, kept=kept)
    found = {
        (each.organization, each.rid, each.because, each.rule): each
        for each in reversed(work.batch.grants)
    }
    work.batch.grants = [
        lapsing.bounded(work, _bounded(work, grant)) for grant in reversed(found.values())
    ]
    await lapsing.decide(work)


def _bounded(work: Work, grant: Grant) -> Grant:
    """No sight of what is a victim service provider's, but for itself and by its release."""
    if grant.organization in work.apart or grant.rule == "release":
        return grant
    return grant._replace(labels=grant.labels & ~VSP)


async def _asked(work: Work, asked: CandidateRow) -> None:
    """Who is asked alone sees what it is about; who is asked with others sees only what is asked."""
    episode = work.episodes[asked.episode]
    if asked.organization == NOBODY:
        made = next(draft for draft in work.drafts if draft.rid == asked.task)
        url = made.operation.full_url if isinstance(made.operation, Create) else None
        work.batch.grants += [
            Grant(member, rid, asked.task, "party", ALL, datasets.BLIND)
            for member in work.invitations[url or ""]
            for rid in (asked.task, asked.request)
        ]
        return
    dataset = await _dataset(work, asked)
    competing = competes(work, episode, asked.need) and asked.organization not in work.apart
    grants = work.batch.grants
    for rid in (asked.task, asked.request):
        as_set = datasets.BLIND if competing else dataset
        grants.append(Grant(asked.organization, rid, asked.task, "party", ALL, as_set))
    if not competing:
        await _share(work, episode, asked, dataset)


async def _amended(work: Work, draft: Draft, episode: Episode) -> None:
    """What the hub's order names anew, those see who see what it named before."""
    for candidate in episode.candidates:
        its_own = candidate.request == draft.rid and candidate.status not in machine.TERMINAL
        if (
            its_own
            and not _keeps_unseen(candidate)
            and (candidate.status in machine.WON or not competes(work, episode, candidate.need))
        ):
            await _share(work, episode, candidate, await _dataset(work, candidate))


def _is_kept(candidate: Candidate) -> bool:
    return candidate.status == "on-hold" and candidate.reason == PLACE_KEPT


def _keeps_unseen(candidate: Candidate) -> bool:
    """Whether it keeps a place for somebody of whom it is not told who it is."""
    return _is_kept(candidate) and candidate.blind


def competes(work: Work, episode: Episode, need: int) -> bool:
    """Whether several are asked at once for this need, of whom the first to accept wins."""
    waiting = [one for one in episode.candidates if one.status not in _OUT and one.need == need]
    asked = [one for one in work.batch.candidates if one.episode == episode.id and one.need == need]
    organizations = [*(one.organization for one in waiting), *(one.organization for one in asked)]
    competing = [each for each in organizations if each not in work.apart]
    return len(competing) > 1 or NOBODY in competing


async def _answered(
    work: Work, episode: Episode, candidate: Candidate, status: str, *, kept: bool
) -> None:
    """Who takes a referral on sees what it is about, and treats the patient until it ends.

    kept: it keeps a place on its waiting list, and has taken nothing on.
    """
    if parent.is_to_be_chosen(work, episode, candidate):
        return
    before = (
        candidate.status in _AT_WORK
        and candidate.task not in work.chosen
        and not _is_kept(candidate)
    )
    now = status in _AT_WORK and not kept
    if now and not before:
        alone = sum(one.need == candidate.need for one in episode.candidates) == 1
        if not alone or episode.is_of_pool(candidate):
            dataset = await _dataset(work, candidate)
            work.batch.grants.extend(
                Grant(candidate.organization, rid, episode.id, "party", ALL, dataset)
                for rid in (candidate.task, candidate.request)
            )
            await _share(work, episode, candidate, dataset)
        if episode.patient is not None and await _may_open(work, episode, candidate):
            work.batch.rules.append(
                Rule(
                    candidate.organization, episode.patient, True, 0, work.now, candidate.task,
                    "treatment",
                )
            )  # fmt: skip
    elif before and (kept or status in machine.TERMINAL):
        work.batch.rules_ended.append(RuleEnd(candidate.task))


async def _coordinates(work: Work, errand: ErrandRow) -> None:
    """Who looks after another's referral sees what was asked, and for whom, as long as it is asked to."""
    episode = work.episodes.get(errand.episode or 0)
    if episode is None or errand.kind not in coordinating.KINDS:
        return
    if errand.owner == episode.requester:
        return
    needs = [one.request for one in episode.needs]
    orders = [errand.subject] if errand.subject in needs else needs
    person = [episode.patient] if episode.patient is not None else []
    shared = await store.shareable(work.conn, episode.requester, [episode.id, *orders, *person])
    [request] = await _documents(work, orders[:1])
    dataset = await recipients.dataset_of(work.conn, errand.owner, "", request, work.hub.base)
    admitted = await _admitted(work, set(shared), dataset) if dataset else set(shared)
    work.batch.grants.extend(
        Grant(errand.owner, rid, errand.task, "referral", dataset=shared[rid] or dataset)
        for rid in sorted(admitted)
    )


async def _may_open(work: Work, episode: Episode, candidate: Candidate) -> bool:
    """Whether the chart is its sender's to open; nobody opens one by asking itself."""
    assert episode.patient is not None
    return candidate.organization != episode.requester and await store.opens_chart(
        work.conn, episode.requester, episode.patient
    )


async def _dataset(work: Work, candidate: Candidate | CandidateRow) -> int:
    [request] = await _documents(work, [candidate.request])
    return await recipients.dataset_of(
        work.conn, candidate.organization, candidate.recipient, request, work.hub.base
    )


async def _said(work: Work, draft: Draft, episode: Episode) -> None:
    """What the sender says, those hear whom it concerns, with what it carries.

    As long as several are asked of whom none has won, nobody: it would tell for whom it is.
    """
    assert draft.document is not None
    heard = await hearing.of(work, draft, episode)
    for candidate in episode.candidates:
        declined = candidate.status in conversation.DECLINED  # another Task may ask the same one
        if (
            candidate.organization not in heard
            or declined
            or _keeps_unseen(candidate)
            or competes(work, episode, candidate.need)
        ):
            continue
        dataset = await _dataset(work, candidate)
        if datasets.in_use().admits(dataset, draft.document):
            grant = Grant(candidate.organization, draft.rid, candidate.task, "referral")
            work.batch.grants.append(grant._replace(dataset=dataset))
            await _share_named(work, episode, candidate, dataset, _carried(work, draft.document))


async def _share(
    work: Work, episode: Episode, candidate: Candidate | CandidateRow, dataset: int
) -> None:
    """Grant what the question names."""
    asking = [candidate.task, candidate.request]
    if dataset:  # the hub's own order is trimmed for its recipient, and names less
        asking.append(episode.need_of(candidate).request)
    named: set[str] = set()
    for document in await _documents(work, asking):
        for path, element in reference.walk(document):
            text = parties.local(element, work.hub.base)
            if text and not path.startswith("Task.partOf"):
                named.add(text)
    await _share_named(work, episode, candidate, dataset, named)


async def _share_named(
    work: Work,
    episode: Episode,
    candidate: Candidate | CandidateRow,
    dataset: int,
    named: Collection[str],
) -> None:
    """Grant these (`Type/id`), as far as the sender may see them and the data set has them."""
    rids = {text: work.rid_of(text) for text in named}
    unknown = [(text.partition("/")[0], text.partition("/")[2]) for text in named if not rids[text]]
    located = await resources.locate(work.conn, viewer.deciding(), sorted(unknown))
    found = {rid for rid in rids.values() if rid is not None}
    found |= {each.rid for each in located.values()}
    shared = await store.shareable(work.conn, episode.requester, found)
    admitted = await _admitted(work, set(shared), dataset) if dataset else set(shared)
    # what its sender is itself shown in part only goes on as that part
    work.batch.grants.extend(
        Grant(
            candidate.organization, rid, candidate.task, "referral", dataset=shared[rid] or dataset
        )
        for rid in sorted(admitted)
    )


async def _documents(work: Work, rids: Sequence[int]) -> list[dict[str, Any]]:
    """What these say: as this commit writes them, or as they are stored; {} of what is deleted."""
    written = {draft.rid: draft.document for draft in work.drafts if draft.rid in rids}
    missing = [rid for rid in rids if rid not in written and rid not in work.stored]
    if missing:
        work.stored |= await resources.read_rids(work.conn, viewer.deciding(), missing)
    stored = [work.stored[rid] for rid in rids if rid not in written and rid in work.stored]
    documents = {
        **written,
        **{each.rid: parties.document(each) for each in stored if each.body is not None},
    }
    return [documents.get(rid) or {} for rid in rids]


async def _admitted(work: Work, rids: set[int], dataset: int) -> set[int]:
    """Of these, what the data set has anything of."""
    found = await resources.read_rids(work.conn, viewer.deciding(), sorted(rids))
    sets = datasets.in_use()
    return {
        rid
        for rid, each in found.items()
        if each.body is not None and sets.admits(dataset, parties.document(each))
    }


async def _outputs(work: Work, draft: Draft, episode: Episode) -> None:
    """What a candidate names as output of its Task, of its own, is a result of the referral."""
    assert draft.document is not None
    candidate = episode.candidate_of_task(draft.rid)
    if candidate is None:
        return
    named = (
        parties.local(output.get("valueReference"), work.hub.base)
        for output in draft.document.get("output") or []
    )
    known = {text: rid for text in named if text and (rid := work.rid_of(text)) is not None}
    said = {rid for text, rid in known.items() if text.partition("/")[0] in hearing.SAID}
    # what found its order by itself, in this commit, is sent by itself
    matched = {rid for rid, by in work.matches.items() if episode.id in {one.episode for one in by}}
    await _results(work, said, candidate.organization, episode)
    rids = set(known.values()) - said - matched
    if rids:
        await results.share(work, rids, candidate.organization, episode, "output", draft)


async def _results(work: Work, rids: set[int], author: int, episode: Episode) -> None:
    """The requester may see these and what they carry, as far as `author` wrote it itself."""
    if not rids:
        return
    written = {draft.rid: draft for draft in work.drafts}
    own = {rid for rid in rids if rid in written and written[rid].source == author}
    for draft in [written[rid] for rid in own]:
        for text in _parts(work, draft.document or {}):
            part = work.rid_of(text)
            rids = rids | {part} if part is not None else rids
    own |= {rid for rid in rids if rid in written and written[rid].source == author}
    own |= await store.written_by(work.conn, author, rids)
    work.batch.grants.extend(
        Grant(episode.requester, rid, episode.id, "result", _OF_RESULTS) for rid in sorted(own)
    )


def _parts(work: Work, document: dict[str, Any]) -> list[str]:
    """`Type/id` of what this consists of, or carries."""
    return [
        *(text for name in _PARTS for text in parties.locals_of(document.get(name), work.hub.base)),
        *_carried(work, document),
    ]


def _carried(work: Work, document: dict[str, Any]) -> list[str]:
    contents = [each.get("contentReference") for each in document.get("payload") or ()]
    return parties.locals_of(contents, work.hub.base)


_OUT = machine.TERMINAL | {"on-hold"}
"""Not in a race: it has ended, or whose it is has a place on a waiting list, or has won and pauses."""

_AT_WORK = frozenset({"accepted", "in-progress", "on-hold"})

_OF_RESULTS = ALL & ~(SUD | VSP)

_PARTS = ("result", "hasMember", "derivedFrom", "slot")
"""Elements of a report, panel or appointment that name what it consists of."""
