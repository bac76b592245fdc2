"""What follows when a sender writes its Task T1: a referral opens, or is withdrawn.

Its ServiceRequest may be on the sender's own server: then T1 waits until the hub has read it there.
All else on T1 is computed from the Tasks that ask for its needs (`record.parent`).

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordhub.access import viewer
from coordhub.directory import services, teams
from coordhub.errors import FhirError, Issue, business_rule, unprocessable
from coordhub.r4.sensitivity import SDV
from coordhub.record import elsewhere, parties, requisition, sharing, stopping, transitions
from coordhub.record.work import Draft, Work
from coordhub.referral import candidates, strategies
from coordhub.referral import task_machine as machine
from coordhub.referral.kinds import kind_of
from coordhub.referral.wanted import wanted
from coordhub.store import partners, resources
from coordhub.store.episodes import Episode
from coordhub.store.transact import EpisodeRow, EpisodeSupplied, NeedRow
from coordhub.store.visibility import HUB

Document = dict[str, Any]

COMPUTED_ELEMENTS = frozenset({"status", "statusReason", "businessStatus", "output"})
"""What the hub computes on the sender's Task."""

_SAID_BY_THE_HUB = ("businessStatus", "output")

FIXED_ELEMENTS = frozenset(
    {"focus", "for", "owner", "requester", "intent", "code", "partOf", "restriction", "input"}
)
"""What a sent referral stands on. A further need of the same requisition may be added to `input`."""

_IN_FORCE = frozenset({"active", "unknown"})
"""ServiceRequest.status of what somebody can be asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing asked for: a ServiceRequest of the sender's. at: where the Task names it."""

    reference: str
    rid: int
    document: Document
    at: str


async def opens(work: Work, draft: Draft) -> None:
    """A requested Task of the caller's, whose focus is a ServiceRequest of the caller's, is a referral.

    Its needs are that one, and those of the same requisition that its inputs name.
    """
    document = draft.document
    assert document is not None
    if not _asks_for_fulfilment(document):
        return
    focus = parties.local(document.get("focus"), work.hub.base)
    if focus is None and await elsewhere.waits(work, draft):
        return
    if focus is None or not focus.startswith("ServiceRequest/"):
        return
    request = await _own_request(work, focus, "focus")
    if request is None:
        return
    await _ask_for(work, draft, request)
    draft.episode = draft.rid
    work.batch.episodes.append(
        EpisodeRow(draft.rid, work.caller.organization, request.rid, draft.patient)
    )


async def _ask_for(work: Work, draft: Draft, request: Asked) -> None:
    """Open the needs of the referral; 422 where somebody cannot be asked, or nobody is there to be."""
    assert draft.document is not None
    needs = [request, *await _besides(work, draft.document, request)]
    for asked in needs:
        _refuse_what_cannot_be_sent(work, draft, asked)
    work.batch.needs += [
        await _need(work, draft, ordinal, asked, len(needs)) for ordinal, asked in enumerate(needs)
    ]


def _refuse_what_cannot_be_sent(work: Work, draft: Draft, asked: Asked) -> None:
    """422 for an order that is of somebody else than the Task is for, or that is not in force.

    Whose Consents count is said by the Task: it must not speak for one person and the order of another.
    """
    assert draft.document is not None
    whole = "" if asked.at == "focus" else f" ({asked.at})"
    subject = parties.local(asked.document.get("subject"), work.hub.base)
    issues = []
    if (
        subject is not None
        and subject.startswith("Patient/")
        and parties.local(draft.document.get("for"), work.hub.base) != subject
    ):
        issues.append(
            Issue(
                "value" if draft.document.get("for") else "required",
                f"Name here whom the ServiceRequest{whole} is about, as its subject does: {subject}.",
                transitions.at(draft, "for"),
            )
        )
    status = str(asked.document.get("status"))
    if status not in _IN_FORCE:
        issues.append(
            Issue(
                "business-rule",
                f"{asked.reference} is {status}, so nobody is asked for it. Set its status to active, before or "
                "in the same transaction.",
                transitions.at(draft, asked.at),
            )
        )
    if issues:
        raise unprocessable(*issues)


async def _besides(work: Work, document: Document, first: Asked) -> list[Asked]:
    """Further needs: what Task.input names of the sender's with the requisition of the first."""
    found: dict[int, Asked] = {}
    for text, at in requisition.named(document, work.hub.base):
        other = await _own_request(work, text, at)
        if (
            other is not None
            and other.rid != first.rid
            and requisition.belong_together(first.document, other.document)
        ):
            found.setdefault(other.rid, other)
    return list(found.values())


async def _need(work: Work, draft: Draft, ordinal: int, asked: Asked, of: int) -> NeedRow:
    """The row of one need; 422 unless there is somebody to ask, or a way to find somebody."""
    assert draft.document is not None
    named = candidates.named(draft.document, asked.document, work.hub.itself)
    names: tuple[str, ...] = ()
    kind = kind_of(asked.document)
    _refuse_what_was_not_agreed(work, draft, asked, kind)
    priority = draft.document.get("priority") or asked.document.get("priority") or "routine"
    if isinstance(named, candidates.Named):
        names = named.references
        strategy = strategies.in_use().named(kind, str(priority), names)
        await _check(work, draft, asked, named, strategy)
    elif named.reason == "recipient-unknown" or not wanted(asked.document, None, work.now).kinds:
        whose = "" if of == 1 else f" of {asked.reference}"
        raise unprocessable(
            Issue(
                "required",
                f"Nobody is named to ask{whose}, and no code says what is needed so that the hub could look. Name a "
                "HealthcareService, Organization, PractitionerRole or CareTeam of the directory in Task.owner, "
                "Task.restriction.recipient or ServiceRequest.performer, or say what kind of service it is in "
                "ServiceRequest.category or code.",
                transitions.at(draft, "owner" if ordinal == 0 else asked.at),
            )
        )
    strategy = strategies.in_use().named(kind, str(priority), names)
    return NeedRow(draft.rid, ordinal, asked.rid, kind, strategy)


def _refuse_what_was_not_agreed(work: Work, draft: Draft, asked: Asked, kind: str) -> None:
    """422 where it was agreed what its sender refers for, and this is none of that."""
    kinds = work.caller.terms.sends_kinds
    if kinds is None or kind in kinds:
        return
    agreed = ", ".join(sorted(one or "what no code names" for one in kinds)) or "nothing"
    raise unprocessable(
        Issue(
            "business-rule",
            f"It was not agreed that your organization refers for {kind or 'what no code names'}; agreed is: {agreed}. "
            "Say by ServiceRequest.category or code what is needed, or ask the hub's operator to agree on more "
            "(coordhub agreement).",
            transitions.at(draft, asked.at),
        )
    )


async def _check(
    work: Work, draft: Draft, asked: Asked, named: candidates.Named, strategy: str
) -> None:
    """422 for whoever cannot be asked by what is named; and note who must not be told of."""
    found = {
        text: await services.recipient(work.conn, text, work.hub.base)
        for one in named.references
        for text in (
            await teams.members(work.conn, one, work.hub.base) if strategy == "pool" else [one]
        )
    }
    issues = [
        Issue(
            "value",
            f"{text} cannot be asked: name a recipient by its reference in the hub's directory (Type/id).",
            _place(work, draft, asked.reference, named.source),
        )
        for text, recipient in found.items()
        if recipient is None
    ]
    if issues:
        raise unprocessable(*issues)
    unasked = await partners.not_asked_for(work.conn, kind_of(asked.document))
    issues = [
        Issue(
            "business-rule",
            f"It was agreed with who is behind {text} that it is not asked for "
            f"{kind_of(asked.document) or 'what no code names'}. Name somebody else, or nobody.",
            _place(work, draft, asked.reference, named.source),
        )
        for text, recipient in found.items()
        if recipient is not None and recipient.organization.rid in unasked
    ]
    if issues:
        raise unprocessable(*issues)
    if any(one.organization.rid in work.apart for one in found.values() if one):
        # that it is asked says what the person needs
        work.sensitive |= {draft.rid: SDV, asked.rid: SDV}


def _place(work: Work, task: Draft, request: str, source: str) -> str:
    """Where the sender finds `source` (`Task.owner`, `ServiceRequest.performer`) in what it sent."""
    holder = task if source.startswith("Task.") else work.draft_of(request)
    return f"{holder.at}.{source.partition('.')[2]}" if holder and holder.at else source


def _asks_for_fulfilment(document: Document) -> bool:
    codings = (document.get("code") or {}).get("coding") or []
    codes = {coding.get("code") for coding in codings if isinstance(coding, dict)}
    return document.get("intent") in ("order", "original-order") and (
        not codes or "fulfill" in codes
    )


async def _own_request(work: Work, reference: str, at: str) -> Asked | None:
    """What is asked for by this `ServiceRequest/id`; None unless it is the caller's own."""
    written = work.draft_of(reference)
    if written is not None:
        own = written.source == work.caller.organization and written.document is not None
        return Asked(reference, written.rid, written.document or {}, at) if own else None
    kind, _, fhir_id = reference.partition("/")
    found = work.located.get((kind, fhir_id))
    if found is None or found.source != work.caller.organization:
        return None
    stored = await resources.read_rids(work.conn, viewer.of(work.caller), [found.rid])
    if found.rid not in stored or stored[found.rid].body is None:
        return None
    return Asked(reference, found.rid, parties.document(stored[found.rid]), at)


async def changed(work: Work, draft: Draft, episode: Episode) -> None:
    draft.episode = episode.id
    if episode.request == 0:
        await _waiting(work, draft, episode)
        return
    if work.caller.is_hub:
        if work.shares:
            await sharing.asks(work, draft, episode)
        work.moved.add(episode.id)
        return
    before = draft.before() or {}
    profile = await transitions.profile_of(work, episode.requester)
    transitions.as_meant(
        draft, profile, before, work.hub.base, names=("status", "businessStatus", "statusReason")
    )
    # The sender's own copy lacks what the hub computed; that is no wish to take it away.
    after = draft.document or {}
    after = {**after, **{n: before[n] for n in COMPUTED_ELEMENTS - after.keys() if n in before}}
    if episode.shared is not None:
        work.moved.add(episode.id)
        if parties.local(after.get("owner"), work.hub.base) in (None, *work.hub.itself):
            after["owner"] = before["owner"]  # as it was sent, before the hub wrote who it is
    draft.document = after
    old, new = str(before["status"]), str(after["status"])
    ends = new != old and new in ("cancelled", "entered-in-error")
    if ends:  # its copy may be from before the last answer, and that is not what it is about
        after = {name: value for name, value in after.items() if name not in _SAID_BY_THE_HUB}
        after |= {name: before[name] for name in _SAID_BY_THE_HUB if name in before}
        draft.document = after
    alone = ends or episode.shared is not None  # for more than one need nobody has agreed to that
    added = [] if alone else await _added(work, draft, episode, before, after)
    _refuse_what_stands(draft, before, after, ends=ends, added=bool(added))
    if not ends:
        draft.compare(after, before)
        work.batch.needs += added
        return
    if old in machine.TERMINAL and new != "entered-in-error":
        raise business_rule(
            f"{old} is final. To ask again, send a new Task whose basedOn names this one.",
            transitions.at(draft, "status"),
        )
    if await stopping.stop(work, episode, stopping.reason_of(after)):
        if episode.shared is None:
            draft.document = before
        draft.author = HUB  # what it says now is not what its sender has
        draft.warnings.append(
            Issue(
                "informational",
                "A recipient has begun the work, so it is not cancelled yet: the recipient is asked to stop "
                "(businessStatus cancellation-requested). It answers with cancelled, or with its outcome.",
                transitions.at(draft, "status"),
                "information",
            )
        )


async def _added(
    work: Work, draft: Draft, episode: Episode, before: Document, after: Document
) -> list[NeedRow]:
    """Needs that an open referral is given by further inputs; none where these are anything else."""
    old, new = before.get("input") or [], after.get("input") or []
    if episode.state != "open" or len(new) <= len(old) or new[: len(old)] != old:
        return []
    stored = await resources.read_rids(work.conn, viewer.deciding(), [episode.request])
    first = parties.document(stored[episode.request])
    known = {one.request for one in episode.needs}
    found: list[Asked] = []
    for text, at in requisition.named(after, work.hub.base):
        if work.rid_of(text) in known:
            continue
        other = await _own_request(work, text, at)
        if other is None or not requisition.belong_together(first, other.document):
            return []
        _refuse_what_cannot_be_sent(work, draft, other)
        found.append(other)
        known.add(other.rid)
    if len(found) != len(new) - len(old):
        return []
    count = len(episode.needs)
    return [
        await _need(work, draft, count + number, one, count + len(found))
        for number, one in enumerate(found)
    ]


def _refuse_what_stands(
    draft: Draft, before: Document, after: Document, *, ends: bool, added: bool = False
) -> None:
    """409 for what may not be changed once it is sent, and for what the hub computes."""
    changed = {name for name in FIXED_ELEMENTS if before.get(name) != after.get(name)}
    if added:
        changed -= {"input"}
    computed = {name for name in COMPUTED_ELEMENTS if before.get(name) != after.get(name)}
    if ends:
        computed -= {"status", "statusReason"}
    if not changed and not computed:
        return
    final = before["status"] in machine.TERMINAL
    legal = "It is final, and nothing of it may be changed." if final else ""
    raise FhirError(
        409,
        *(
            Issue(
                "business-rule",
                "This was sent and stands. Cancel this referral and send another one.",
                transitions.at(draft, name),
            )
            for name in sorted(changed)
        ),
        *(
            Issue(
                "business-rule",
                "The hub computes this from the recipients' answers. "
                + (legal or "You may set status to cancelled."),
                transitions.at(draft, name),
            )
            for name in sorted(computed)
        ),
    )


async def _waiting(work: Work, draft: Draft, episode: Episode) -> None:
    """T1 whose ServiceRequest is not here yet: nobody was asked, so its sender may still change it.

    Once its focus is a ServiceRequest at the hub, by whoever brought it there, it is a referral.
    """
    before = draft.before() or {}
    if work.caller.is_hub:
        if (draft.document or {}).get("status") in machine.TERMINAL:
            work.batch.closed.append(episode.id)
        return
    profile = await transitions.profile_of(work, episode.requester)
    transitions.as_meant(
        draft, profile, before, work.hub.base, names=("status", "businessStatus", "statusReason")
    )
    after = draft.document or {}
    after = {**after, **{n: before[n] for n in COMPUTED_ELEMENTS - after.keys() if n in before}}
    draft.document = after
    transitions.judge(draft, profile, before, after, machine.REQUESTER)
    if after["status"] in machine.TERMINAL:
        work.batch.closed.append(episode.id)
        return
    focus = parties.local(after.get("focus"), work.hub.base)
    if focus is None and await elsewhere.waits(work, draft):
        return
    request = None
    if focus is not None and focus.startswith("ServiceRequest/"):
        request = await _own_request(work, focus, "focus")
    if request is None:
        raise unprocessable(
            Issue(
                "value",
                "This is not a ServiceRequest of yours. Name one that you have sent, or one below your address "
                "in the directory.",
                transitions.at(draft, "focus"),
            )
        )
    await _ask_for(work, draft, request)
    draft.document = {name: value for name, value in after.items() if name != "statusReason"}
    work.batch.supplied.append(EpisodeSupplied(episode.id, request.rid, draft.patient))
