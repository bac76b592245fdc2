"""Quarantine: what dangles is stored, and shown to nobody but the organization that wrote it.

By agreement with a client (`reference_policy`). Its organization sees a tag of the hub on it; others
see nothing, whatever was granted (`store.visibility`), and no rule routes it. It ends with an update
after which nothing dangles any more. What belongs to a referral already cannot be held back from the
others who act in it: there such a reference is refused. A referral is not begun while its
ServiceRequest is in quarantine: its Task waits there too.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final

from coordhub.errors import Issue
from coordhub.r4.reference import Reference
from coordhub.record.work import Draft, Work

TAG: Final[dict[str, str]] = {
    "system": "urn:coordhub:quarantine",
    "code": "dangling-reference",
    "display": "shown to nobody else until its references lead somewhere",
}


def tolerates(work: Work, draft: Draft) -> bool:
    """Whether a reference of the draft may lead nowhere."""
    policy = work.caller.reference_policy
    own = draft.source == work.caller.organization and work.episode_of(draft.rid) is None
    return policy == "warn" or (policy == "quarantine" and own)


def holds(work: Work, held: Set[str], focus: Reference) -> bool:
    """Whether this focus of a Task is in quarantine. held: what this commit has put there."""
    draft = work.draft_of(focus.local or "")
    if draft is not None and not draft.unchanged:
        return draft.reference in held
    found = work.located.get((focus.type or "", focus.id or ""))
    return found is not None and found.quarantined


def waiting(at: str) -> Issue:
    return Issue(
        "business-rule",
        "What this Task is about is in quarantine. Send what that names and is missing, then it and this again.",
        at,
    )


def decide(work: Work, draft: Draft) -> None:
    """Whether the draft is held back, now that its references are judged; its tag says so."""
    before = draft.previous is not None and draft.previous.quarantined
    draft.quarantined = draft.dangling and (
        before or (work.caller.reference_policy == "quarantine" and tolerates(work, draft))
    )
    assert draft.document is not None
    if draft.quarantined:
        draft.warnings.append(
            Issue(
                "not-found",
                "This is in quarantine: stored, and shown to nobody but your organization. Send what is "
                "missing, then this again.",
                draft.at or draft.type,
                "warning",
            )
        )
    if draft.quarantined or before:
        draft.document = tagged(draft.document, quarantined=draft.quarantined)
    if draft.previous is not None:
        # What it named has come since: that is a new version, though the sender changed nothing.
        same = draft.previous.dangling == draft.dangling and before == draft.quarantined
        draft.unchanged = draft.unchanged and same


def tagged(document: dict[str, Any], *, quarantined: bool) -> dict[str, Any]:
    """The same document with the hub's tag, or without it."""
    meta = dict(document.get("meta") or {})
    tags = [tag for tag in meta.pop("tag", ()) if tag.get("system") != TAG["system"]]
    if quarantined:
        tags.append(TAG)
    if tags:
        meta["tag"] = tags
    rest = {name: value for name, value in document.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest
