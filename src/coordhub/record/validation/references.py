"""References must lead somewhere that the writer can see.

A target that is hidden from the writer is answered exactly like one that is absent. Absolute
references to other servers, logical ones and contained ones are kept as they are, and so is what
the superseded version named already: a Task that the hub wrote names more than its owner may see.
The hub itself repeats what a sender named, also when that was deleted since.

A client may have agreed to be warned only: what it sends is stored with the reference as it came,
which leads nowhere (to a hidden target neither), and the answer carries a warning for each. Or to
quarantine: what it sends is then shown to its own organization only, as long as it dangles. Both are
judged again with every update of it, also one that changes nothing else.

http://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from dataclasses import replace

from coordhub.errors import Issue, unprocessable
from coordhub.r4 import reference
from coordhub.record.validation import quarantine
from coordhub.record.work import Draft, Work
from coordhub.store import resources


async def check(work: Work) -> None:
    """422 with one issue for every reference that leads nowhere, or warnings on the drafts."""
    refused: list[Issue] = []
    written = {draft.reference for draft in work.drafts if draft.document is not None}
    kept: set[str] = set()
    await _recall(work)
    held: set[str] = set()
    for draft in sorted(work.drafts, key=lambda draft: draft.type == "Task"):
        if draft.document is None or (draft.unchanged and draft.targets is None):
            continue
        superseded = draft.before()
        before = {
            element["reference"]: reference.parse_element(element, base=work.hub.base)
            for _, element in (work.references_in(superseded) if superseded else ())
        }
        stood = {
            text for text, found in before.items() if found is None or _stood(work, draft, found)
        }
        kept |= {found.local for text, found in before.items()
                 if text in stood and found is not None and found.local is not None}  # fmt: skip
        for place, element in work.references_in(draft.document):
            found = reference.parse_element(element, base=work.hub.base)
            if found is None:
                continue
            waits = _is_focus(draft, place) and quarantine.holds(work, held, found)
            if not waits and (found.text in stood or found.local in written):
                continue
            issue = (
                quarantine.waiting(_at(draft, place))
                if waits
                else _issue(work, found, draft, place)
            )
            if issue is None:
                continue
            tolerated = quarantine.tolerates(work, draft) and not (
                waits and work.caller.reference_policy == "warn"
            )
            tolerated = tolerated or (found.text in before and not waits)
            if tolerated and found.kind != "unreadable":
                draft.warnings.append(replace(issue, severity="warning"))
                draft.dangling = True
                if not waits:
                    draft.nowhere.add(found.local or "")
            else:
                refused.append(issue)
        quarantine.decide(work, draft)
        if draft.quarantined:
            held.add(draft.reference)
    if refused:
        raise unprocessable(*refused)
    for name in {name for draft in work.drafts for name in draft.nowhere} - kept:
        # What is hidden must not become a target: it would be found by what refers to it.
        kind, _, fhir_id = name.partition("/")
        work.located.pop((kind, fhir_id), None)


async def _recall(work: Work) -> None:
    """Of versions that dangled, what they referred to all the same: the rest is to be judged again.

    Unless another organization sends it as it is: that asks for nothing, and may make no version of it.
    """
    dangled = [
        draft
        for draft in work.drafts
        if draft.previous is not None
        and draft.previous.dangling
        and (not draft.unchanged or draft.source == work.caller.organization)
    ]
    if dangled:
        found = await resources.targets(work.conn, [draft.rid for draft in dangled])
        for draft in dangled:
            draft.targets = found[draft.rid]


def _stood(work: Work, draft: Draft, found: reference.Reference) -> bool:
    """Whether this reference of the superseded version led somewhere, or was none to judge."""
    if draft.targets is None or found.kind not in ("local", "urn"):
        return True
    known = work.located.get((found.type or "", found.id or ""))
    return known is not None and known.rid in draft.targets


def _is_focus(draft: Draft, place: reference.Place) -> bool:
    return draft.type == "Task" and reference.expression(place) == "Task.focus"


def _issue(
    work: Work, found: reference.Reference, draft: Draft, place: reference.Place
) -> Issue | None:
    if found.kind == "local":
        known = work.located.get((found.type or "", found.id or ""))
        gone = known is not None and known.deleted and not work.caller.is_hub
        if known is not None and known.visible and not gone:
            return None
        return Issue(
            "not-found",
            f"{found.local} is not known here. Send it first, or in the same transaction.",
            _at(draft, place),
        )
    if found.kind == "urn":
        return Issue(
            "not-found",
            "No entry of this transaction has this fullUrl. "
            "Send the target in the same transaction.",
            _at(draft, place),
        )
    if found.kind == "unreadable":
        return Issue(
            "value",
            "This is not a reference: use Type/id, an absolute URL, urn:uuid: of an entry, or #id.",
            _at(draft, place),
        )
    return None


def _at(draft: Draft, place: reference.Place) -> str:
    path = reference.expression(place)
    where = f"{draft.at}.{path.partition('.')[2]}" if draft.at else path
    return f"{where}.reference"
