"""The directory's silence about victim service providers: what tells where they are is not stored.

Whoever writes an entry that is a provider's (by providedBy, managingOrganization, organization,
partOf, or the Organization itself), the provider in its own account aside, has it stored as
`directory.unlisted` leaves it. Its writer is told nothing; the log has the ids.
"""

from __future__ import annotations

from coordhub.directory.unlisted import stripped
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.store import vsp
from coordhub.telemetry import log

_OWNER = (
    "providedBy", "managingOrganization", "organization", "partOf", "healthcareService", "location",
)  # fmt: skip
"""Elements by which an entry says whose it is."""

_ITS_OWN = ("location", "practitioner", "endpoint")
"""Elements by which a provider's entry names others that are the provider's too."""


async def strip(work: Work) -> None:
    """Take from the drafts what the directory must not say."""
    if not work.apart:
        return
    entries = [
        draft
        for draft in work.drafts
        if draft.type in vsp.ENTRIES
        and draft.document is not None
        and draft.source not in work.apart
    ]
    if not entries:
        return
    above = {draft.rid: _named(work, draft, _OWNER) for draft in entries}
    asked = set(above).union(*above.values())
    known = await vsp.leading(work.conn, asked) | (work.apart & asked)
    theirs: set[int] = set()
    growing = True
    while growing:
        found = {rid for rid, owners in above.items() if rid in known or owners & (known | theirs)}
        for draft in entries:
            if draft.rid in found:
                found |= _named(work, draft, _ITS_OWN)
        growing = not found <= theirs
        theirs |= found
    for draft in entries:
        if draft.rid in theirs:
            _strip(work, draft)


def _strip(work: Work, draft: Draft) -> None:
    assert draft.document is not None
    before = draft.document
    draft.document = stripped(before)
    if draft.document != before:
        log("directory.unlisted", type=draft.type, id=draft.id, rid=draft.rid)
    draft.compare(draft.document, draft.before())
    if not draft.unchanged and draft.previous is not None:
        work.unlisted.add(draft.rid)


def _named(work: Work, draft: Draft, elements: tuple[str, ...]) -> set[int]:
    document = draft.document or {}
    rids: set[int] = set()
    for name in elements:
        if (
            draft.type in ("Location", "HealthcareService")
            and name == "location"
            and elements is _OWNER
        ):
            continue  # a service is not where it is
        value = document.get(name)
        for one in value if isinstance(value, list) else [value]:
            text = parties.local(one, work.hub.base)
            rid = work.rid_of(text) if text else None
            if rid is not None:
                rids.add(rid)
    return rids
