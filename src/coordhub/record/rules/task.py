"""What follows from a write of a Task: a referral opens, is answered, is withdrawn.

T1 is the sender's Task and opens an episode; T2 is the hub's Task for one candidate. The sender may
withdraw T1, everything else on it is computed from its T2s; a candidate may answer its T2. Whatever
moves a T2 moves T1 in the same commit.

http://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.errors import FhirError, Issue, business_rule, forbidden, unprocessable
from coordhub.r4.sensitivity import SDV, VSP
from coordhub.record import parties, question, recipients
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import candidates, timers
from coordhub.referral import episode as pure
from coordhub.referral import task_machine as machine
from coordhub.store import resources
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.resources import Version
from coordhub.store.transact import CandidateRow, CandidateStatus, EpisodeRow, TimerRow
from coordhub.store.visibility import HUB

Document = dict[str, Any]

OWNERS_ELEMENTS = frozenset(
    {
        "status",
        "statusReason",
        "businessStatus",
        "output",
        "note",
        "executionPeriod",
        "lastModified",
        "identifier",
    }
)
"""What a candidate may change on the Task that asks it (and narrative and meta, which say nothing new)."""

COMPUTED_ELEMENTS = frozenset({"status", "statusReason", "businessStatus", "output"})
"""What the hub computes on the sender's Task."""

FIXED_ELEMENTS = frozenset(
    {"focus", "for", "owner", "requester", "intent", "code", "partOf", "restriction", "input"}
)
"""What a sent referral stands on; another need is another referral."""


async def apply(work: Work, draft: Draft) -> None:
    assert draft.document is not None
    episode = work.episode_of(draft.rid)
    if episode is not None and episode.id == draft.rid:
        await _sender_wrote(work, draft, episode)
    elif episode is not None:
        await _candidate_wrote(work, draft, episode)
    elif work.caller.is_hub:
        await _hub_asks(work, draft)
    elif draft.document.get("status") in ("requested", "received"):
        await _open(work, draft)


# ---- T1 arrives


async def _open(work: Work, draft: Draft) -> None:
    """A requested Task of the caller's, whose focus is a ServiceRequest of the caller's, is a referral."""
    document = draft.document
    assert document is not None
    if not _asks_for_fulfilment(document):
        return
    focus = parties.local(document.get("focus"), work.hub.base)
    if focus is None or not focus.startswith("ServiceRequest/"):
        return
    request = await _own_request(work, focus)
    if request is None:
        return
    named = candidates.named(document, request[1], work.hub.itself)
    if isinstance(named, candidates.Nobody):
        raise unprocessable(
            Issue(
                "required",
                "Nobody is named to ask. Name a HealthcareService, Organization, PractitionerRole or CareTeam of the "
                "directory in Task.owner, Task.restriction.recipient or ServiceRequest.performer.",
                _at(draft, "owner"),
            )
        )
    asked = {
        text: await services.recipient(work.conn, text, work.hub.base) for text in named.references
    }
    issues = [
        Issue(
            "value",
            f"{text} cannot be asked: name a recipient by its reference in the hub's directory (Type/id).",
            _place(work, draft, focus, named.source),
        )
        for text, found in asked.items()
        if found is None
    ]
    if issues:
        raise unprocessable(*issues)
    if any(found.organization.rid in work.apart for found in asked.values() if found):
        # that it is asked says what the person needs
        work.sensitive |= {draft.rid: SDV, request[0]: SDV}
    draft.episode = draft.rid
    work.batch.episodes.append(
        EpisodeRow(draft.rid, work.caller.organization, request[0], draft.patient)
    )


def _place(work: Work, task: Draft, focus: str, source: str) -> str:
    """Where the sender finds `source` (`Task.owner`, `ServiceRequest.performer`) in what it sent."""
    holder = task if source.startswith("Task.") else work.draft_of(focus)
    return f"{holder.at}.{source.partition('.')[2]}" if holder and holder.at else source


def _asks_for_fulfilment(document: Document) -> bool:
    codings = (document.get("code") or {}).get("coding") or []
    codes = {coding.get("code") for coding in codings if isinstance(coding, dict)}
    return document.get("intent") in ("order", "original-order") and (
        not codes or "fulfill" in codes
    )


async def _own_request(work: Work, focus: str) -> tuple[int, Document | None] | None:
    """rid and document of the focus; None unless it is the caller's own."""
    written = work.draft_of(focus)
    if written is not None:
        own = written.source == work.caller.organization
        return (written.rid, written.document) if own else None
    kind, _, fhir_id = focus.partition("/")
    found = work.located.get((kind, fhir_id))
    if found is None or found.source != work.caller.organization:
        return None
    stored = await resources.read_rids(work.conn, viewer.of(work.caller), [found.rid])
    return (found.rid, parties.document(stored[found.rid])) if found.rid in stored else None


# ---- T1 is changed by its sender


async def _sender_wrote(work: Work, draft: Draft, episode: Episode) -> None:
    before, after = draft.before() or {}, draft.document
    assert after is not None
    draft.episode = episode.id
    if work.caller.is_hub:
        if after["status"] in machine.TERMINAL:
            work.batch.closed.append(episode.id)
        return
    # The sender's own copy lacks what the hub computed; that is no wish to take it away.
    after = {**after, **{n: before[n] for n in COMPUTED_ELEMENTS - after.keys() if n in before}}
    draft.document = after
    changed = {name for name in FIXED_ELEMENTS if before.get(name) != after.get(name)}
    computed = {name for name in COMPUTED_ELEMENTS if before.get(name) != after.get(name)}
    old, new = before["status"], after["status"]
    if new != old and new in ("cancelled", "entered-in-error"):
        computed -= {"status", "statusReason"}
    if changed or computed:
        raise FhirError(
            409,
            *(
                Issue(
                    "business-rule",
                    "This was sent and stands. Cancel this referral and send another one.",
                    _at(draft, name),
                )
                for name in sorted(changed)
            ),
            *(
                Issue(
                    "business-rule",
                    "The hub computes this from the recipients' answers. You may set status to cancelled.",
                    _at(draft, name),
                )
                for name in sorted(computed)
            ),
        )
    if new == old:
        return
    tasks = await _tasks(work, episode)
    withdrawal = pure.withdraw(_children(work, episode, tasks))
    if withdrawal.ask:
        raise business_rule(
            "A recipient has begun the work, so the referral can only be ended with it. Ask it to "
            "stop, or wait for its outcome.",
            _at(draft, "status"),
        )
    if old not in machine.STARTED:  # else its recipient has accepted, and not begun
        _judge(draft, old, new, machine.REQUESTER)
    _cancel(work, episode, tasks, withdrawal.cancels)
    told = list(work.batch.statuses)
    work.batch.statuses.extend(
        CandidateStatus(one.task, "cancelled")
        for one in episode.candidates
        if one.organization in work.apart and one.task not in {each.task for each in told}
    )
    work.batch.closed.append(episode.id)


# ---- T2 is made by the hub


async def _hub_asks(work: Work, draft: Draft) -> None:
    """A Task of the hub with partOf is a question to one candidate."""
    document = draft.document
    assert document is not None
    part_of = [
        text
        for element in document.get("partOf") or []
        if (text := parties.local(element, work.hub.base))
    ]
    owner = parties.local(document.get("owner"), work.hub.base)
    focus = parties.local(document.get("focus"), work.hub.base)
    if not part_of or owner is None or focus is None:
        return
    parent, request = work.rid_of(part_of[0]), work.rid_of(focus)
    episode = work.episodes.get(parent) if parent is not None else None
    found = await services.recipient(work.conn, owner, work.hub.base)
    if episode is None or found is None or request is None:
        raise business_rule(
            f"{draft.reference} asks nobody: its episode or its owner is not known.", "Task.owner"
        )
    draft.episode = episode.id
    ordinal = len(episode.candidates) + len(work.batch.candidates)
    work.batch.candidates.append(
        CandidateRow(
            episode.id,
            ordinal,
            found.organization.rid,
            owner,
            draft.rid,
            request,
            str(document["status"]),
        )
    )
    work.batch.planned.append(episode.id)
    if found.organization.rid in work.apart:
        work.sensitive |= {draft.rid: VSP | SDV, request: VSP | SDV}
        work.sensitive |= {episode.id: SDV, episode.request: SDV}
        for each in work.drafts:
            if each.rid in (draft.rid, request) and each.keeper is None:
                each.keeper = found.organization.rid
        return  # that time ran out would tell that it did not accept
    due = timers.accept_by(document)
    if due is not None:
        work.batch.timers.append(TimerRow(episode.id, "accept-by", draft.rid, due))


async def settle_asked(work: Work) -> None:
    """T1 once the hub has asked: it is in the hub's hands, and waits for an answer."""
    for number in {candidate.episode for candidate in work.batch.candidates}:
        episode = work.episodes[number]
        asked = {row.task: row for row in work.batch.candidates if row.episode == number}
        children = [
            pure.Child(
                draft.reference,
                str(draft.document["status"]),
                str(episode.request),
                apart=asked[draft.rid].organization in work.apart,
            )
            for draft in work.drafts
            if draft.rid in asked and draft.document is not None
        ]
        tasks = await _tasks(work, episode)
        children = [*_children(work, episode, tasks), *children]
        _move_parent(work, episode, tasks[episode.id], children)


# ---- T2 is answered


async def _candidate_wrote(work: Work, draft: Draft, episode: Episode) -> None:
    before, after = draft.before() or {}, draft.document
    assert after is not None
    candidate = episode.candidate_of_task(draft.rid)
    if candidate is None:
        return
    old, new = str(before["status"]), str(after["status"])
    if candidate.organization in work.apart:
        if work.caller.is_hub:
            draft.episode = episode.id
        else:
            _only_the_answer(draft, before, after)
            _judge(draft, old, new, machine.OWNER)
        return
    draft.episode = episode.id
    tasks = await _tasks(work, episode)
    if not work.caller.is_hub:
        _only_the_answer(draft, before, after)
        step = pure.on_child_change(_children(work, episode, tasks), draft.reference, new)
        if isinstance(step, pure.AlreadyWon):
            raise business_rule(
                "Another organization was first: this need is already taken. Nothing is asked of you any more.",
                _at(draft, "status"),
            )
        _judge(draft, old, new, machine.OWNER)
        _cancel(work, episode, tasks, step.cancels)
        if (
            len(episode.candidates) > 1
            and new in machine.WON
            and candidate.status not in machine.WON
        ):
            await _tell_the_winner(work, draft, candidate, parties.document(tasks[episode.id]))
    work.batch.statuses.append(CandidateStatus(draft.rid, new))
    _compute_parent(work, episode, tasks)


async def _tell_the_winner(work: Work, draft: Draft, candidate: Candidate, sent: Document) -> None:
    """Put into its Task what was held back while others were asked too."""
    stored = await resources.read_rids(work.conn, viewer.deciding(), [candidate.request])
    dataset = await recipients.dataset_of(
        work.conn,
        candidate.organization,
        candidate.recipient,
        parties.document(stored[candidate.request]),
        work.hub.base,
    )
    draft.document = {**(draft.document or {}), **question.told(sent, dataset, blind=False)}


def _only_the_answer(draft: Draft, before: Document, after: Document) -> None:
    free = OWNERS_ELEMENTS | {"id", "meta", "text", "resourceType"}
    foreign = sorted(
        name
        for name in before.keys() | after.keys()
        if name not in free and before.get(name) != after.get(name)
    )
    if foreign:
        raise FhirError(
            403,
            *(
                Issue(
                    "forbidden",
                    f"The one who is asked may change {', '.join(sorted(OWNERS_ELEMENTS))}; "
                    "send the rest as you read it.",
                    _at(draft, name),
                )
                for name in foreign
            ),
        )


def _judge(draft: Draft, old: str, new: str, actor: machine.Actor) -> None:
    match machine.judge(old, new, actor):
        case machine.Illegal(legal_targets, hint):
            legal = ", ".join(legal_targets) or "nothing"
            raise business_rule(f"{hint} Legal for you now: {legal}.", _at(draft, "status"))
        case machine.WrongActor(_, hint):
            raise forbidden(hint, _at(draft, "status"))
        case machine.Legal():
            return


# ---- what follows for the others


async def _tasks(work: Work, episode: Episode) -> dict[int, Version]:
    """T1 and all T2s of the episode, locked."""
    return await resources.lock(work.conn, [episode.id, *(one.task for one in episode.candidates)])


def _children(
    work: Work, episode: Episode, tasks: dict[int, Version], drafts: Sequence[Draft] = ()
) -> list[pure.Child]:
    """The T2s as they stand, or as the drafts of this commit have them."""
    changed = {draft.rid: draft for draft in drafts if draft.document is not None}
    return [
        _child(
            episode.request,
            tasks[one.task],
            changed.get(one.task),
            apart=one.organization in work.apart,
        )
        for one in episode.candidates
    ]


def _child(need: int, version: Version, draft: Draft | None, *, apart: bool) -> pure.Child:
    document = draft.document if draft is not None else parties.document(version)
    assert document is not None
    return pure.Child(
        version.reference,
        str(document["status"]),
        str(need),
        _code(document.get("statusReason"), machine.REASON_SYSTEM),
        _code(document.get("businessStatus"), pure.BUSINESS_STATUS_SYSTEM),
        tuple(document.get("output") or ()),
        apart,
    )


def _code(concept: object, system: str) -> str:
    if isinstance(concept, dict):
        for coding in concept.get("coding") or []:
            if isinstance(coding, dict) and coding.get("system") == system:
                return str(coding.get("code", ""))
    return ""


def _cancel(
    work: Work, episode: Episode, tasks: dict[int, Version], cancels: Sequence[pure.Cancel]
) -> None:
    by_reference = {tasks[one.task].reference: tasks[one.task] for one in episode.candidates}
    for cancel in cancels:
        task = by_reference[cancel.task]
        changed: Document = {
            "status": cancel.status,
            "statusReason": machine.concept(cancel.reason),
            "lastModified": instant(work.now),
        }
        draft = work.supersede(task, HUB, {**parties.document(task), **changed})
        draft.episode = episode.id
        work.batch.statuses.append(CandidateStatus(draft.rid, cancel.status))


def _compute_parent(work: Work, episode: Episode, tasks: dict[int, Version]) -> None:
    """Put T1 to what its T2s say now."""
    _move_parent(work, episode, tasks[episode.id], _children(work, episode, tasks, work.drafts))


def _move_parent(
    work: Work, episode: Episode, current: Version, children: Sequence[pure.Child]
) -> None:
    """T1 as its children make it; no version when nothing changed."""
    before = parties.document(current)
    parent = pure.parent(children, str(before["status"]))
    after = with_state(before, parent, instant(work.now))
    if after is not before:
        work.supersede(current, HUB, after).episode = episode.id
    if parent.status in machine.TERMINAL and episode.state == "open":
        work.batch.closed.append(episode.id)


def with_state(document: Document, parent: pure.Parent, now: str) -> Document:
    """T1 with the computed state; the same object when that changes nothing."""
    state: Document = {"status": parent.status}
    if parent.business_status:
        state["businessStatus"] = pure.business_status(parent.business_status)
    if parent.outputs:
        state["output"] = [dict(output) for output in parent.outputs]
    after = {**document, **state}
    if parent.reason is not None:
        after["statusReason"] = machine.concept(parent.reason)
    else:
        after.pop("statusReason", None)
    if after == document:
        return document
    return {**after, "lastModified": now}


def _at(draft: Draft, element: str) -> str:
    return f"{draft.at}.{element}" if draft.at else f"Task.{element}"
