"""What follows when somebody writes the answers of a screening: findings, and concerns that nobody has confirmed.

http://hl7.org/fhir/us/sdoh-clinicalcare (Assessment survey Observation, Condition)

In the commit that writes the response, so that there is never the one without the others. They belong to
who holds the chart that the response is written into, which may confirm or refute them. A later version of
the response corrects what came of it; one that is entered in error, stopped or deleted takes it back. What
somebody has changed since is theirs, and stays as they left it. Whoever sends the Observations of a response
along with it has made them itself.

A question of safety makes the whole response as sensitive as its answer, whatever that is; the other findings
are as sensitive as they are by themselves (record.labels).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coordhub.access import viewer
from coordhub.errors import Issue
from coordhub.r4.sensitivity import SDV
from coordhub.record import labels, parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.referral import findings, screening
from coordhub.referral.findings import Made, Told
from coordhub.store import resources, sensitive
from coordhub.store.resources import Version
from coordhub.store.visibility import HUB

Document = dict[str, Any]

_KINDS = ("Observation", "Condition")


async def apply(work: Work, draft: Draft) -> None:
    """Write what the response says. Of a victim service provider's nothing is told to any chart."""
    if draft.type != "QuestionnaireResponse" or draft.quarantined or draft.patient is None:
        return
    if {draft.source, draft.author, work.caller.organization} & work.apart:
        return
    document, before = draft.document or {}, draft.before() or {}
    if screening.panel_of(document) is None and screening.panel_of(before) is None:
        return
    said = screening.read(document)
    if said is not None and said.asked_of_safety:
        work.sensitive[draft.rid] = work.sensitive.get(draft.rid, 0) | SDV
    stored = await _stored(work, draft) if draft.previous is not None else []
    if said is not None and _has_its_own(work, draft, stored):
        return
    known = {
        (one.type, key): one
        for one in stored
        if (key := findings.key_of(parties.document(one), draft.reference)) is not None
    }
    await _write(work, draft, said, known)


async def _write(
    work: Work,
    draft: Draft,
    said: screening.Said | None,
    known: dict[tuple[str, str], Version],
) -> None:
    names: dict[tuple[str, str], str] = {place: one.reference for place, one in known.items()}

    def of(kind: str, key: str) -> str:
        place = (kind, key)
        if place not in names:
            names[place] = f"{kind}/{work.hub.new_id(draft.rid & 255)}"
        return names[place]

    response = draft.document or {}
    written = (
        list(findings.made(Told(said, response, draft.reference, instant(work.now), of)))
        if said is not None
        else []
    )
    wanted = {(one.type, one.key): one for one in written}
    holder = await _holder(work, draft)
    bits = labels.said(response)
    fresh = [one for place, one in wanted.items() if place not in known]
    numbers = iter(await work.hub.engine.rids(len(fresh)) if fresh else [])
    for one in fresh:
        made = _new(work, draft, one, of(one.type, one.key), next(numbers), holder)
        work.sensitive[made.rid] = bits | (SDV if one.sensitive else 0)
    for place, version in known.items():
        _renew(work, draft, version, wanted.get(place))


def _new(work: Work, response: Draft, one: Made, name: str, number: int, holder: int) -> Draft:
    draft = Draft(
        None, one.type, name.partition("/")[2], number << 8 | (response.rid & 255), 1, HUB, holder,
        one.document, patient=response.patient,
    )  # fmt: skip
    work.drafts.append(draft)
    return draft


def _renew(work: Work, response: Draft, version: Version, wanted: Made | None) -> None:
    """A version that says what the response says now; none where it does already, or is somebody else's."""
    stored = parties.document(version)
    document = findings.withdrawn(stored) if wanted is None else dict(wanted.document)
    kept = {name: stored[name] for name in ("id", "meta") if name in stored}
    document = {**document, "meta": document.get("meta", {}), "id": kept.get("id")}
    if _content(document) == _content(stored):
        return
    if version.author != HUB:
        response.warnings.append(
            Issue(
                "business-rule",
                f"{version.reference} came of this response and was changed since, so it stays as it is. Look "
                "whether it still holds.",
                response.at or response.type,
                "warning",
            )
        )
        return
    if wanted is not None and version.type == "Observation":
        document["status"] = "amended"
    if _content(document) != _content(stored):
        work.supersede(version, HUB, document)


def _content(document: Document) -> Document:
    """Without what the hub sets, and without whether it was amended: what was, stays so."""
    kept = {name: value for name, value in document.items() if name not in ("id", "meta")}
    return {**kept, "status": "final"} if kept.get("status") == "amended" else kept


async def _stored(work: Work, draft: Draft) -> list[Version]:
    """What is derived from the response, and the concerns that go by that, locked."""
    await work.hold()
    found = await sensitive.perhaps_derived(
        work.conn, viewer.deciding(), {draft.rid: draft.reference}, ["Observation"]
    )
    derived = [one for one in found if _derives(one, draft.reference, work.hub.base)]
    names = {one.rid: one.reference for one in derived}
    concerns = (
        await sensitive.perhaps_derived(work.conn, viewer.deciding(), names, ["Condition"])
        if names
        else []
    )
    return [*derived, *concerns]


def _derives(version: Version, name: str, base: str) -> bool:
    return name in parties.locals_of(parties.document(version).get("derivedFrom"), base)


def _has_its_own(work: Work, response: Draft, stored: Iterable[Version]) -> bool:
    """Whether there are Observations of this response that others made."""
    documents = [parties.document(one) for one in stored if one.type == "Observation"]
    documents += [
        one.document
        for one in work.drafts
        if one.type == "Observation" and one.document is not None
    ]
    return any(
        not findings.is_finding(one)
        and response.reference in parties.locals_of(one.get("derivedFrom"), work.hub.base)
        for one in documents
    )


async def _holder(work: Work, draft: Draft) -> int:
    """rid of whose they are: who wrote the response; of what a person says by an app, who holds its record."""
    if not work.caller.is_person or draft.patient is None:
        return draft.source
    record = await resources.read_rids(work.conn, viewer.deciding(), [draft.patient])
    return record[draft.patient].source
