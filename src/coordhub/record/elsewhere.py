"""A Task that is about a ServiceRequest on its sender's own server: it waits until the hub has read that.

Only below an address that the directory vouches for: what a sender names elsewhere the hub does not
go to. What is read is in the table `fetching`, and the worker reads it.

http://hl7.org/fhir/R4/references.html#literal
"""

from __future__ import annotations

from coordhub.directory import bases
from coordhub.errors import Issue, unprocessable
from coordhub.r4 import reference
from coordhub.record import transitions
from coordhub.record.work import Draft, Work
from coordhub.referral import episode as pure
from coordhub.store.transact import EpisodeRow, FetchRow


async def waits(work: Work, draft: Draft) -> bool:
    """Whether it is about a ServiceRequest elsewhere; then it waits. 422 where the hub may not go there."""
    document = draft.document
    assert document is not None
    focus = document.get("focus")
    found = reference.parse_element(focus, base=work.hub.base) if isinstance(focus, dict) else None
    if found is None or found.kind != "absolute" or found.type != "ServiceRequest":
        return False
    of_sender = await bases.verified(work.conn, work.caller.organization, work.hub.base, work.now)
    base = next((one for one in of_sender if one.below(found.text) is not None), None)
    if base is None:
        raise unprocessable(
            Issue(
                "value",
                "This is not below an address that your organization has in the directory (an active Endpoint of "
                "connection type hl7-fhir-rest), so the hub does not read it. Send the ServiceRequest to the hub and "
                "name that, or have your Endpoint put into the directory.",
                f"{transitions.at(draft, 'focus')}.reference",
            )
        )
    draft.document = {**document, "businessStatus": pure.business_status("screening")}
    draft.episode = draft.rid
    if work.episode_of(draft.rid) is None:
        row = EpisodeRow(draft.rid, work.caller.organization, 0, draft.patient)
        work.batch.episodes.append(row)
    work.batch.fetches.append(
        FetchRow(draft.rid, work.caller.organization, base.endpoint, work.caller.client)
    )
    return True
