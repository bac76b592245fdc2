"""The written release of a victim service provider: one referral's status, to one agency, for a time.

http://hl7.org/fhir/R4/consent.html
34 USC 12291(b)(2): informed, written, reasonably time-limited; withdrawn at any time, also by word of mouth.

The provider writes a Consent whose provision permits, names the organization that referred as its one
actor and the Task that asks as its data, and ends. The sender's own Task never says more than that the
referral was delivered; what is released is a Task of the hub's beside it (partOf), which says accepted
or completed, nothing else, and which that organization sees by a grant that ends with the provision. A
version of the Consent that is not active ends it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from coordhub.access import viewer
from coordhub.errors import Issue, business_rule, unprocessable
from coordhub.r4.interval import parse_instant, parse_period
from coordhub.r4.sensitivity import ALL, SDV, VSP
from coordhub.record import parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import task_machine as machine
from coordhub.store import resources, vsp
from coordhub.store.episodes import Candidate, Episode
from coordhub.store.transact import Grant, GrantEnd, Release
from coordhub.store.visibility import HUB
from coordhub.store.vsp import Told

CODES = "urn:coordhub:task"
RELEASED = "released-status"

Document = dict[str, Any]


async def decide(work: Work) -> None:
    """Begin, renew and end releases, and tell what is released of a Task that moved."""
    if not work.apart:
        return
    for draft in list(work.drafts):
        if draft.unchanged:
            continue
        if draft.type == "Consent" and draft.source in work.apart:
            await _consent(work, draft)
        elif draft.type == "Task" and draft.document is not None:
            await _moved(work, draft)


async def _moved(work: Work, draft: Draft) -> None:
    episode = work.episode_of(draft.rid)
    candidate = episode.candidate_of_task(draft.rid) if episode is not None else None
    if candidate is None or candidate.organization not in work.apart:
        return
    assert draft.document is not None
    for told in await vsp.releases_of(work.conn, draft.rid, work.now):
        await _tell(work, told, draft.document)


async def _consent(work: Work, draft: Draft) -> None:
    known = await vsp.release(work.conn, draft.rid) if draft.previous is not None else None
    document = draft.document
    if document is None or document.get("status") != "active":
        if known is not None:
            work.batch.grants_ended.append(GrantEnd(draft.rid, "release"))
        return
    provision = document.get("provision") or {}
    named = [one for one in provision.get("data") or () if isinstance(one, dict)]
    task = next(
        (
            text
            for one in named
            if (text := parties.local(one.get("reference"), work.hub.base))
            and text.startswith("Task/")
        ),
        None,
    )
    if task is None:
        if known is not None:
            work.batch.grants_ended.append(GrantEnd(draft.rid, "release"))
        return  # a Consent of the provider's own records
    episode, candidate = _asked(work, draft, task)
    until = _until(work, draft, provision)
    _check(work, draft, provision, episode, len(named))
    if known is not None and (known.task, known.organization) != (
        candidate.task,
        episode.requester,
    ):
        raise business_rule(
            "This Consent releases another referral, or to another agency. Set it inactive and write one more.",
            _at(draft, "provision"),
        )
    await work.hold()
    state = (await resources.lock(work.conn, [candidate.task]))[candidate.task]
    written = work.draft_of(task)
    now = written.document if written is not None and written.document else parties.document(state)
    if known is None:
        told = await _begin(work, draft, episode, candidate, now, until)
    else:
        told = known._replace(until=until)
        await _tell(work, told, now)
    work.batch.grants.append(
        Grant(told.organization, told.told, draft.rid, "release", ALL, until=until)
    )
    work.batch.releases.append(Release(*told))


def _asked(work: Work, draft: Draft, task: str) -> tuple[Episode, Candidate]:
    rid = work.rid_of(task)
    episode = work.episode_of(rid) if rid is not None else None
    candidate = episode.candidate_of_task(rid) if episode is not None and rid is not None else None
    if episode is None or candidate is None or candidate.organization != draft.source:
        raise unprocessable(
            Issue(
                "value",
                f"{task} does not ask you. Name the Task by which a referral came to you.",
                _at(draft, "provision.data"),
            )
        )
    return episode, candidate


def _until(work: Work, draft: Draft, provision: Mapping[str, Any]) -> datetime:
    period = provision.get("period")
    span = parse_period(period) if isinstance(period, dict) else None
    limit = work.hub.safeguards.longest_release
    end = parse_instant(str((period or {}).get("end")))
    if span is None or end is None or end.high <= work.now or end.low > work.now + limit:
        raise unprocessable(
            Issue(
                "business-rule",
                f"A release ends: set provision.period.end to a time within {limit.days} days from now.",
                _at(draft, "provision.period"),
            )
        )
    if span.low > work.now:
        raise unprocessable(
            Issue(
                "business-rule",
                "A release holds from when it is written. Leave provision.period.start out, or send it then.",
                _at(draft, "provision.period"),
            )
        )
    return span.high


def _check(
    work: Work, draft: Draft, provision: Mapping[str, Any], episode: Episode, named: int
) -> None:
    issues = []
    if provision.get("type") != "permit" or provision.get("provision"):
        issues.append(
            Issue(
                "business-rule",
                "A release permits, without exceptions: provision.type permit and no provisions within.",
                _at(draft, "provision"),
            )
        )
    if named != 1:
        issues.append(
            Issue(
                "business-rule",
                "Write one release for each referral: one entry that refers to its Task.",
                _at(draft, "provision.data"),
            )
        )
    actors = [one for one in provision.get("actor") or () if isinstance(one, dict)]
    texts = [parties.local(one.get("reference"), work.hub.base) for one in actors]
    if len(texts) != 1 or texts[0] is None or work.rid_of(texts[0]) != episode.requester:
        issues.append(
            Issue(
                "business-rule",
                "Write one release for each agency: one actor, the Organization that sent the referral.",
                _at(draft, "provision.actor"),
            )
        )
    if issues:
        raise unprocessable(*issues)


async def _begin(
    work: Work,
    consent: Draft,
    episode: Episode,
    candidate: Candidate,
    asked: Document,
    until: datetime,
) -> Told:
    """Make the Task that tells."""
    [number] = await work.hub.engine.rids(1)
    shard = episode.id & 255
    sent = (await resources.read_rids(work.conn, viewer.deciding(), [episode.id]))[episode.id]
    work.located |= await resources.locate(work.conn, viewer.deciding(), [("Task", sent.id)])
    document: Document = {
        "resourceType": "Task",
        "partOf": [{"reference": sent.reference}],
        "status": _status(asked),
        "intent": "order",
        "code": {
            "coding": [
                {"system": CODES, "code": RELEASED, "display": "Status, released in writing"}
            ]
        },
        "lastModified": instant(work.now),
        "requester": {"reference": work.hub.organization},
    }
    rid = number << 8 | shard
    draft = Draft(None, "Task", work.hub.new_id(shard), rid, 1, HUB, HUB, document)
    draft.keeper = consent.source
    work.drafts.append(draft)
    work.sensitive[rid] = VSP | SDV
    return Told(consent.rid, candidate.task, rid, episode.requester, until)


async def _tell(work: Work, told: Told, asked: Document) -> None:
    await work.hold()
    held = (await resources.lock(work.conn, [told.told]))[told.told]
    before = parties.document(held)
    if before["status"] != _status(asked):
        after = {**before, "status": _status(asked), "lastModified": instant(work.now)}
        work.supersede(held, HUB, after)


def _status(asked: Mapping[str, Any]) -> str:
    """Accepted and completed are told; all else looks as if nobody had answered."""
    status = str(asked.get("status"))
    if status == "completed":
        return status
    return "accepted" if status in machine.WON else "requested"


def _at(draft: Draft, element: str) -> str:
    return f"{draft.at}.{element}" if draft.at else f"Consent.{element}"
