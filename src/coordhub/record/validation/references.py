"""References must lead somewhere that the writer can see.

A target that is hidden from the writer is answered exactly like one that is absent. Absolute
references to other servers, logical ones and contained ones are kept as they are, and so is what
the superseded version named already: a Task that the hub wrote names more than its owner may see.
The hub itself repeats what a sender named, also when that was deleted since.

A client may have agreed to be warned only: what it sends is stored with the reference as it came,
which leads nowhere (to a hidden target neither), and the answer carries a warning for each.
The hub itself repeats what a sender named, also when that was deleted since.

http://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from dataclasses import replace

from coordhub.errors import Issue, unprocessable
from coordhub.r4 import reference
from coordhub.record.work import Draft, Work


def check(work: Work) -> None:
    """422 with one issue for every reference that leads nowhere, or warnings on the drafts."""
    refused: list[Issue] = []
    written = {draft.reference for draft in work.drafts if draft.document is not None}
    nowhere: set[tuple[str, str]] = set()
    kept: set[str | None] = set()
    for draft in work.drafts:
        if draft.document is None or draft.unchanged:
            continue
        superseded = draft.before()
        before = {
            element["reference"]: reference.parse_element(element, base=work.hub.base)
            for _, element in (work.references_in(superseded) if superseded else ())
        }
        kept |= {found.local for found in before.values() if found is not None}
        for place, element in work.references_in(draft.document):
            found = reference.parse_element(element, base=work.hub.base)
            if found is None or found.text in before or found.local in written:
                continue
            issue = _issue(work, found, draft, place)
            if issue is None:
                continue
            if work.caller.reference_policy == "warn" and found.kind != "unreadable":
                draft.warnings.append(replace(issue, severity="warning"))
                nowhere.add((found.type or "", found.id or ""))
            else:
                refused.append(issue)
    if refused:
        raise unprocessable(*refused)
    for name in nowhere:
        # What is hidden must not become a target: it would be found by what refers to it.
        if "/".join(name) not in kept:
            work.located.pop(name, None)


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
