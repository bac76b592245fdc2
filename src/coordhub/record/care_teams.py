"""Who treats a patient by belonging to its CareTeam: rules that begin and end with the CareTeam.

http://hl7.org/fhir/R4/careteam.html

Believed of the organization that holds the patient's record, and of the hub, only: else whoever sees
a name could make itself its team. A participant counts by the organization that the directory says
is behind it, and (store.visibility) only while that one treats. Like taking on a referral it opens
what is labelled with no sensitivity class, and a Consent has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from coordhub.access import viewer
from coordhub.directory import services
from coordhub.errors import Issue
from coordhub.r4.interval import END, parse_period
from coordhub.record import parties
from coordhub.record.work import Draft, Work
from coordhub.store import resources
from coordhub.store.transact import Rule, RuleEnd
from coordhub.store.visibility import HUB

MOST = 500
"""Organizations of one CareTeam."""


async def decide(work: Work) -> None:
    """Give the batch the rules of the CareTeams that it writes, and end those of the versions before."""
    for draft in work.drafts:
        if draft.type != "CareTeam" or draft.unchanged:
            continue
        if draft.previous is not None:
            work.batch.rules_ended.append(RuleEnd(draft.rid))
        if draft.document is not None and draft.document.get("status") == "active":
            await _begin(work, draft, draft.document)


async def _begin(work: Work, draft: Draft, document: dict[str, Any]) -> None:
    if draft.patient is None:
        return
    if not await is_believed(work, draft.source, draft.patient):
        draft.warnings.append(
            Issue(
                "business-rule",
                "Another organization holds this patient's record: this CareTeam is stored, and opens the record "
                "to nobody. Ask that organization to send it.",
                f"{draft.at}.participant" if draft.at else "CareTeam.participant",
                "warning",
            )
        )
        return
    since, until = _span(document.get("period"), work.now)
    if until is not None and until <= since:
        return
    work.batch.rules.extend(
        Rule(each, draft.patient, True, 0, since, draft.rid, "team", until)
        for each in sorted(await organizations(work, document))
    )


async def is_believed(work: Work, source: int, patient: int) -> bool:
    """Whether this organization says who belongs to the team of a patient (rid)."""
    return source == HUB or source == await _holder(work, patient)


async def _holder(work: Work, patient: int) -> int | None:
    written = next((one.source for one in work.drafts if one.rid == patient), None)
    if written is not None:
        return written
    stored = await resources.read_rids(work.conn, viewer.deciding(), [patient])
    return stored[patient].source if patient in stored else None


async def organizations(work: Work, document: dict[str, Any]) -> set[int]:
    """rids of the organizations that the directory says are behind a CareTeam's participants."""
    found: set[int] = set()
    for text in list(dict.fromkeys(_members(document, work.hub.base)))[:MOST]:
        recipient = await services.recipient(work.conn, text, work.hub.base)
        if recipient is not None:
            found.add(recipient.organization.rid)
    return found


def _span(period: object, now: datetime) -> tuple[datetime, datetime | None]:
    """From when, not before now, until when; None: while it stands."""
    span = parse_period(period) if isinstance(period, dict) else None
    if span is None:
        return now, None
    return max(span.low, now), None if span.high == END else span.high


def _members(document: dict[str, Any], base: str) -> Iterator[str]:
    """`Type/id` of what may stand for an organization: of a member that is a person, whom it is there for."""
    for participant in document.get("participant") or ():
        for name in ("member", "onBehalfOf"):
            text = parties.local(participant.get(name), base)
            if text is not None and text.partition("/")[0] in _ORGANIZED:
                yield text


_ORGANIZED = frozenset({"Organization", "PractitionerRole"})
