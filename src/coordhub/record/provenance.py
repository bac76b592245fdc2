"""Provenance of what the hub makes: a Task and ServiceRequest that ask somebody, out of the sender's.

One for each that is asked, so that it tells nobody of the others; in the commit that makes them, and
seen by whom they ask. The sender's Task as computed from the answers has none: each of its versions
is in the audit with who caused it.

http://hl7.org/fhir/R4/provenance.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coordhub.r4.sensitivity import ALL
from coordhub.record import parties
from coordhub.record.hub import instant
from coordhub.record.work import Draft, Work
from coordhub.store.episodes import NOBODY
from coordhub.store.transact import Grant

_CREATE = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}
    ]
}
_ASSEMBLER = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
            "code": "assembler",
        }
    ]
}


async def write(work: Work) -> None:
    """Add the Provenance of each candidate's Task that this commit makes."""
    asked = [one for one in work.batch.candidates if one.task != one.episode]
    if not asked:
        return
    made = {draft.rid: draft for draft in work.drafts}
    for number, candidate in zip(await work.hub.engine.rids(len(asked)), asked, strict=True):
        task, request = made[candidate.task], made[candidate.request]
        shard = task.rid & 255
        draft = Draft(
            None,
            "Provenance",
            work.hub.new_id(shard),
            number << 8 | shard,
            1,
            work.caller.organization,
            work.caller.organization,
            _document(work, task, request),
            patient=task.patient,
        )
        work.drafts.append(draft)
        if candidate.organization != NOBODY:
            work.batch.grants.append(
                Grant(candidate.organization, draft.rid, candidate.task, "party", ALL)
            )


def _document(work: Work, task: Draft, request: Draft) -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": task.reference}, {"reference": request.reference}],
        "recorded": instant(work.now),
        "activity": _CREATE,
        "agent": [{"type": _ASSEMBLER, "who": {"reference": work.hub.organization}}],
        "entity": [
            {"role": "derivation", "what": {"reference": name}}
            for name in _sources(work, task, request)
        ],
    }


def _sources(work: Work, task: Draft, request: Draft) -> Iterator[str]:
    for draft, name in ((task, "partOf"), (request, "basedOn")):
        yield from parties.locals_of((draft.document or {}).get(name), work.hub.base)
