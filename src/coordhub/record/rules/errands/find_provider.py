"""A person was asked to find somebody for a need, as nobody is left whom the hub could ask.

Whom it names in its outputs is asked next, in that order. If it names nobody (rejected, failed) the
need ends unmet, and the referral with its last need.
"""

from __future__ import annotations

from coordhub.directory import services
from coordhub.errors import Issue, business_rule, unprocessable
from coordhub.record import parties, transitions
from coordhub.record.work import Draft, Work
from coordhub.referral import prospects
from coordhub.store import needs
from coordhub.store.episodes import Errand
from coordhub.store.transact import ProspectRow


async def answered(work: Work, draft: Draft, errand: Errand) -> None:
    assert draft.document is not None
    status = draft.document["status"]
    episode = work.episodes.get(errand.episode) if errand.episode is not None else None
    need = (
        next((one for one in episode.needs if one.request == errand.subject), None)
        if episode
        else None
    )
    if episode is None or need is None or status not in ("completed", "rejected", "failed"):
        return
    work.moved.add(episode.id)
    if status != "completed":
        work.concluded[episode.id, need.ordinal] = "no-provider-available"
        return
    if need.state != "queued":
        raise business_rule(
            "Nobody is looked for any more: this need has ended. Set the status to rejected.",
            transitions.at(draft, "status"),
        )
    found = {
        text: await services.recipient(work.conn, text, work.hub.base)
        for text in parties.locals_of(
            [one.get("valueReference") for one in draft.document.get("output") or ()],
            work.hub.base,
        )
    }
    if not found or None in found.values():
        raise unprocessable(
            Issue(
                "required",
                "Name whom you have found in output.valueReference: a HealthcareService, Organization, "
                "PractitionerRole or CareTeam of the directory, each in an output. If there is nobody, set "
                "the status to rejected.",
                transitions.at(draft, "output"),
            )
        )
    known = await needs.prospects(work.conn, episode.id)
    asked = {one.recipient for one in episode.candidates if one.need == need.ordinal}
    if need.strategy == "pool":  # whose Tasks say whom they asked only once one has claimed them
        asked |= {
            one.recipient for one in known if one.need == need.ordinal and one.verdict == "in"
        }
    again = asked & found.keys()
    if again:
        raise unprocessable(
            Issue(
                "business-rule",
                f"{', '.join(sorted(again))} was asked for this already. Name somebody else.",
                transitions.at(draft, "output"),
            )
        )
    behind = max((one.rank for one in known if one.need == need.ordinal), default=-1) + 1
    work.batch.prospects.extend(
        ProspectRow(
            episode.id, need.ordinal, behind + at, recipient.organization.rid, text, "in", 1.0,
            prospects.written([prospects.SUGGESTED]),
        )
        for at, (text, recipient) in enumerate(found.items())
        if recipient is not None
    )  # fmt: skip
