"""What follows when a sender changes the ServiceRequest that it has sent: whoever is asked is told.

The hub's own order SR2 is changed in the same way, as far as its recipient is shown of it; the Task that
asks says that it was; who has taken it on is asked to confirm. Another service, or another person, is
another referral.

http://hl7.org/fhir/R4/request.html, http://hl7.org/fhir/uv/cow (the request is its author's alone)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from coordhub.errors import FhirError, Issue
from coordhub.r4 import datasets
from coordhub.r4 import reference as reference_of
from coordhub.record import errands, parent, parties, question, recipients, transitions
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import needs
from coordhub.referral import task_machine as machine
from coordhub.store import resources
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.visibility import HUB

Document = dict[str, Any]

MATERIAL = frozenset(
    {"category", "code", "intent", "performer", "performerType", "requester", "subject"}
)
"""Who asks for what, of whom, for whom: what a referral stands on."""

_ITS_OWN = frozenset(
    {
        "id", "meta", "text", "identifier", "status", "instantiatesCanonical", "replaces", "relevantHistory",
        "requisition", "basedOn", "authoredOn",
    }
)  # fmt: skip
"""What the hub's order does not have of it."""


async def apply(work: Work, draft: Draft) -> None:
    episode = work.episode_of(draft.rid)
    asked = episode is not None and any(
        one.request == draft.rid and one.state not in needs.ENDED for one in episode.needs
    )
    if episode is None or not asked or work.caller.is_hub or draft.previous is None:
        return
    before, after = draft.before() or {}, draft.document or {}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    tasks = await parent.tasks(work, episode)
    sent = tasks[episode.id].reference
    _refuse(draft, sorted(changed & MATERIAL), sent)
    if "status" in changed and after.get("status") in ("revoked", "entered-in-error"):
        draft.warnings.append(
            Issue(
                "business-rule",
                f"Nobody is told by this to stop. Set the status of {sent} to cancelled.",
                transitions.at(draft, "status"),
                "warning",
            )
        )
    amended = changed - _ITS_OWN
    live = [
        one
        for one in episode.candidates
        if episode.need_of(one).request == draft.rid
        and parties.document(tasks[one.task])["status"] not in machine.TERMINAL
    ]
    if not amended or not live:
        return
    if episode.shared is None:
        await _orders(work, episode, live, before, after, amended)
    for candidate in live:
        await _task(work, episode, candidate, sorted(amended))
    work.moved.add(episode.id)


def _refuse(draft: Draft, material: Sequence[str], sent: str) -> None:
    if material:
        raise FhirError(
            409,
            *(
                Issue(
                    "business-rule",
                    "This was sent and stands: it would be another referral. Set the status of "
                    f"{sent} to cancelled, and send a new ServiceRequest whose replaces names this one.",
                    f"{draft.at}.{name}" if draft.at else f"ServiceRequest.{name}",
                )
                for name in material
            ),
        )


async def _orders(
    work: Work,
    episode: Episode,
    live: Sequence[Candidate],
    said: Document,
    sent: Document,
    amended: Collection[str],
) -> None:
    """The hub's orders with what was changed, each by the data set of whom it is for.

    said: the sender's order as it was. What a kit has enclosed besides stays enclosed.
    """
    of = {one.request: one for one in live}
    for rid, version in (await resources.lock(work.conn, sorted(of))).items():
        candidate = of[rid]
        before = parties.document(version)
        dataset = datasets.WHOLE  # of a pool, who claims it is shown its own part of it
        if not episode.is_of_pool(candidate):
            dataset = await recipients.dataset_of(
                work.conn, candidate.organization, candidate.recipient, before, work.hub.base
            )
        shown = question.trimmed(sent, dataset)
        kept = {name: value for name, value in before.items() if name not in amended}
        after = {**kept, **{name: shown[name] for name in amended if name in shown}}
        if "supportingInfo" in amended:
            enclosed = _enclosed(work, before, said, after)
            if enclosed:
                after["supportingInfo"] = [*after.get("supportingInfo", ()), *enclosed]
        draft = work.supersede(version, HUB, _named_only(after))
        draft.episode = episode.id


def _enclosed(work: Work, before: Document, said: Document, after: Document) -> list[Document]:
    """Supporting information of the hub's order that its sender has not named, neither then nor now."""
    named = {
        parties.local(one, work.hub.base)
        for order in (said, after)
        for one in order.get("supportingInfo") or ()
    }
    return [
        one
        for one in before.get("supportingInfo") or ()
        if parties.local(one, work.hub.base) not in named
    ]


def _named_only(order: Document) -> Document:
    """Without contained resources that nothing in it names."""
    if "contained" not in order:
        return order
    outside = {name: value for name, value in order.items() if name != "contained"}
    named = {element.get("reference") for _, element in reference_of.walk(outside)}
    kept = [one for one in order["contained"] if f"#{one.get('id')}" in named]
    return {**outside, **({"contained": kept} if kept else {})}


async def _task(work: Work, episode: Episode, candidate: Candidate, amended: Sequence[str]) -> None:
    """Its Task says what of the order was changed, by the names of the elements."""
    task = (await parent.tasks(work, episode))[candidate.task]
    document = parties.document(task)
    note = {"time": instant(work.now), "text": f"The request was changed: {', '.join(amended)}."}
    changed = {
        **document,
        "note": [*(document.get("note") or ()), note],
        "lastModified": instant(work.now),
    }
    said = work.draft_of(task.reference) if task.rid == episode.id else None
    if said is None:
        draft = work.supersede(task, HUB, changed)
    else:  # one that both share, which its sender writes in the same commit
        draft = said
        draft.document = {
            **(said.document or {}),
            "note": [*((said.document or {}).get("note") or ()), note],
        }
    if candidate.organization in work.apart:
        return
    draft.episode = episode.id
    waits = any(
        one.kind == "re-confirm" and one.subject == task.rid and one.closed_at is None
        for one in episode.errands
    )
    if document["status"] in machine.WON and not waits:
        await errands.open_errand(
            work,
            kind="re-confirm",
            owner=candidate.recipient,
            subject=task.reference,
            episode=episode.id,
        )
