"""The labels of a commit: of what it writes, and of what is derived from that.

An origin that is raised raises all that is derived from it, however far, in the same transaction; an
origin is held still (a share lock) while something new is derived from it, so that neither of two
writers overlooks the other. A commit that raises what it did not lock is begun again with the lock.
"""

from __future__ import annotations

from collections.abc import Mapping

from coordhub.access import viewer
from coordhub.r4.sensitivity import SDV, TEST, VSP
from coordhub.record import labels, parties
from coordhub.record.label_lists import InUse
from coordhub.record.veil import is_theirs
from coordhub.record.work import Draft, Work
from coordhub.store import resources, sensitive
from coordhub.store.engine import Connection
from coordhub.store.transact import Overtaken
from coordhub.store.visibility import HUB


async def decide(work: Work) -> None:
    """Set `labels` of each draft, and raise what is stored and derived from those that rise."""
    lists = await work.hub.lists.current(work.conn)
    computed: dict[int, int] = {}
    newly_said: dict[int, int] = {}
    named: dict[int, set[int]] = {}
    for draft in work.drafts:
        draft.labels = draft.previous.labels if draft.previous is not None else 0
        if draft.document is None or draft.unchanged:
            continue
        told = labels.told(draft.document, lists.codes)
        newly_said[draft.rid] = told.said and told.said & ~labels.said(draft.before() or {})
        computed[draft.rid] = told.bits | _of_writers(draft.document, _writers(draft), lists)
        computed[draft.rid] |= _kept(work, draft, lists) | work.sensitive.get(draft.rid, 0)
        if work.caller.sandbox or (draft.source == HUB and _of_tests(work)):
            computed[draft.rid] |= TEST  # whatever this process has heard of the sandbox yet
        found = _origins(work, draft)
        if found:
            named[draft.rid] = found
    written = {draft.rid: draft for draft in work.drafts}
    outside = set().union(*named.values()) - written.keys() if named else set()
    known: dict[int, int] = {}
    if outside:
        await work.hold()
        known = await sensitive.held(work.conn, outside)
    most = 0
    for bits in (*computed.values(), *known.values()):
        most |= bits
    perhaps = {
        rid
        for rid, own in computed.items()
        if written[rid].previous is not None
        and (own | (most if rid in named else 0)) & ~written[rid].labels
    }
    lowered = await sensitive.lowered(work.conn, perhaps) if perhaps else {}
    settling = True
    while settling:
        settling = False
        for rid, own in computed.items():
            draft = written[rid]
            inherited = 0
            for origin in named.get(rid, ()):
                inherited |= written[origin].labels if origin in written else known.get(origin, 0)
            after = labels.settled(
                before=draft.labels,
                computed=own | inherited,
                newly_said=newly_said[rid],
                lowered=lowered.get(rid, 0),
            )
            if after != draft.labels:
                draft.labels, settling = after, True
    raised = {
        draft.rid: (draft.reference, draft.labels)
        for draft in work.drafts
        if draft.previous is not None and draft.labels & ~draft.previous.labels
    }
    _keep_derived(work, named)
    await _raise_stored(work, written)
    if raised and work.compared:
        raise Overtaken  # perhaps by who derives from it now: once more, with its lock
    if raised:
        # before looking for what is derived: who derives something new holds these until it commits
        await work.hold()
        await resources.lock(work.conn, list(raised))
        await spread(work.conn, work.hub.base, raised, but=written)


def _kept(work: Work, draft: Draft, lists: InUse) -> int:
    """Say under whose key it is stored, and the classes that this comes of."""
    assert draft.document is not None
    if draft.keeper is None and draft.previous is not None:
        draft.keeper = draft.previous.keeper
    if draft.keeper is None:
        draft.keeper = next((each for each in _writers(draft) if each in lists.apart), None)
    if draft.keeper is None:
        draft.keeper = lists.terms.told_by(draft.document)
    if draft.keeper is None:
        return 0
    return VSP | SDV if is_theirs(draft) else VSP


def of_itself(document: dict[str, object], writers: tuple[int, ...], lists: InUse) -> int:
    """By its codes, its labels, and who wrote it.

    What is about nobody no writer makes sensitive, but victim service providers; all of the sandbox's is a test.
    """
    return labels.label(document, lists.codes) | _of_writers(document, writers, lists)


def _writers(draft: Draft) -> tuple[int, int]:
    return (draft.source, draft.author)


def _of_writers(document: dict[str, object], writers: tuple[int, ...], lists: InUse) -> int:
    bits = VSP | SDV if any(writer in lists.apart for writer in writers) else 0
    if not lists.sandboxes.isdisjoint(writers):
        bits |= TEST
    if labels.is_about_a_person(document):
        for writer in writers:
            bits |= lists.sources.get(writer, 0)
    return bits


def _of_tests(work: Work) -> bool:
    return any(episode.sandbox for episode in work.episodes.values())


async def spread(
    conn: Connection,
    base: str,
    raised: Mapping[int, tuple[str, int]],
    *,
    but: Mapping[int, object],
) -> int:
    """Raise what is derived from these (rid -> `Type/id`, classes), and from that in turn.

    but: rids that are being written, and have been looked at. Ends because classes only grow. Returns
    how many resources were raised.
    """
    count = 0
    while raised:
        found = await sensitive.perhaps_derived(
            conn,
            viewer.deciding(),
            {rid: name for rid, (name, _) in raised.items()},
            sorted(labels.DERIVED),
        )
        bits_of = dict(raised.values())
        lowered = await sensitive.lowered(conn, [each.rid for each in found]) if found else {}
        further: dict[int, tuple[str, int]] = {}
        for each in found:
            bits = 0
            for name in labels.origins(parties.document(each), base):
                bits |= bits_of.get(name, 0)
            bits &= ~lowered.get(each.rid, 0) & ~each.labels
            if bits and each.rid not in but:
                further[each.rid] = (each.reference, each.labels | bits)
        if further:
            await sensitive.raise_labels(conn, {rid: bits for rid, (_, bits) in further.items()})
            count += len(further)
        raised = further
    return count


def _keep_derived(work: Work, named: Mapping[int, set[int]]) -> None:
    """What the hub derives from a provider's is stored as that is; a provider's is in no patient's chart."""
    keepers = {draft.rid: draft.keeper for draft in work.drafts if draft.keeper is not None}
    for draft in work.drafts:
        if draft.keeper is None and draft.source == HUB and draft.labels & VSP:
            origins = (keepers.get(origin) for origin in named.get(draft.rid, ()))
            draft.keeper = next((each for each in origins if each is not None), None)
        if is_theirs(draft):
            draft.patient = None


async def _raise_stored(work: Work, written: Mapping[int, Draft]) -> None:
    """Raise what a rule says is sensitive and this commit does not write."""
    stored = {rid: bits for rid, bits in work.sensitive.items() if rid not in written}
    if stored:
        await work.hold()
        await sensitive.raise_labels(work.conn, stored)


def _origins(work: Work, draft: Draft) -> set[int]:
    """rids of what this is derived from, of a new version what the old one did not name already.

    A name that led nowhere gave the old one nothing, and gives the new one nothing while it does.
    """
    assert draft.document is not None
    base = work.hub.base
    dangled = draft.previous is not None and draft.previous.dangling
    before = set() if dangled else set(labels.origins(draft.before() or {}, base))
    rids = {
        work.rid_of(name)
        for name in labels.origins(draft.document, base)
        if name not in before and name not in draft.nowhere
    }
    # what this commit writes may rise by it, also where it was named before
    rids |= {other.rid for name in before if (other := work.draft_of(name)) is not None}
    return {rid for rid in rids if rid is not None and rid != draft.rid}
